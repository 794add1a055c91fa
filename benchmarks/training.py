"""A training step and a frozen trunk: ours against the same network as plain torch has it, one thread.

Usage: benchmarks/training.py [rounds] [channels]; batches of 8 chunks of 200 frames, SGD with momentum.
"""

import sys

import torch
from paired import compare
from torch import nn
from torch.nn.functional import cross_entropy

from sertk.models.activation import LayerPReLU
from sertk.models.resnet import NetworkSpec, ResNet

BATCH, FRAMES = 8, 200


def with_torchs_prelu(network: nn.Module) -> nn.Module:
    """The same network with nn.PReLU() where ours has LayerPReLU."""
    for name, child in network.named_children():
        if isinstance(child, LayerPReLU):
            setattr(network, name, nn.PReLU())
        else:
            with_torchs_prelu(child)
    return network


def step(network: nn.Module, bf16: bool, channels_last: bool):
    """A function that takes one training step."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout).train()
    optimiser = torch.optim.SGD(network.parameters(), 1e-3, 0.9, fused=channels_last)
    feats, targets = torch.randn(BATCH, 128, FRAMES), torch.randint(0, 251, (BATCH,))

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(feats)
        loss = cross_entropy(logits.float(), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return run


def trunk(network: ResNet, bf16: bool, channels_last: bool):
    """A function that passes a batch through the frozen trunk and its pooling."""
    network = network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format).eval()
    feats = torch.randn(BATCH, 128, FRAMES)

    @torch.no_grad()
    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network.pooled(feats)

    return run


def main(rounds: int = 5, channels: int = 32):
    torch.set_num_threads(1)

    def new(**fields):
        torch.manual_seed(0)
        return ResNet(NetworkSpec(251, channels=channels, **fields))

    compare(f"Training step, {channels} channels, {BATCH} × {FRAMES} frames", {
        "sertk: bf16, channels last, its own PReLU": step(new(), True, True),
        "torch: bf16, channels last, nn.PReLU": step(with_torchs_prelu(new()), True, True),
        "sertk: float32": step(new(), False, True),
        "torch: float32, NCHW, nn.PReLU": step(with_torchs_prelu(new()), False, False),
        "torch: float32, NCHW, ReLU": step(new(activation="relu"), False, False),
    }, rounds)  # fmt: skip
    compare(f"Frozen trunk, {channels} channels, {BATCH} × {FRAMES} frames", {
        "sertk: bf16, channels last": trunk(new(), True, True),
        "torch: float32, NCHW, nn.PReLU": trunk(with_torchs_prelu(new()), False, False),
    }, rounds)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
