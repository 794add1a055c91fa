"""A training step and a frozen trunk: ours against the same network as others run it, one thread.

Usage: benchmarks/training.py [rounds] [channels] [compile]; batches of 8 chunks of 200 frames, SGD with momentum. With the word
compile, our step compiled too, which takes minutes; SpeechBrain where it is installed (pip install speechbrain).
"""

import sys
from importlib.util import find_spec

import torch
from paired import compare
from torch import nn
from torch.nn.functional import cross_entropy

from sertk.models.activation import LayerPReLU
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.compiling import compiled

BATCH, FRAMES = 8, 200


def with_torchs_prelu(network: nn.Module) -> nn.Module:
    """The same network with nn.PReLU() where ours has LayerPReLU."""
    for name, child in network.named_children():
        if isinstance(child, LayerPReLU):
            setattr(network, name, nn.PReLU())
        else:
            with_torchs_prelu(child)
    return network


def speechbrain(channels: int) -> nn.Module:
    """SpeechBrain's ResNet at our widths, with its classifier; squeeze-and-excitation and attentive pooling are its own."""
    from speechbrain.lobes.models.ResNet import Classifier
    from speechbrain.lobes.models.ResNet import ResNet as Theirs

    class Recogniser(nn.Module):
        def __init__(self):
            super().__init__()
            widths = [channels, 2 * channels, 4 * channels, 8 * channels]
            self.embed = Theirs(input_size=128, channels=widths, lin_neurons=256)
            self.classify = Classifier(256, out_neurons=251)

        def forward(self, feats):
            return self.classify(self.embed(feats.transpose(1, 2)))[:, 0]

    return Recogniser()


def step(network: nn.Module, bf16: bool, channels_last: bool, compile: bool = False):
    """A function that takes one training step."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout).train()
    forward = compiled(network, torch.device("cpu")) if compile else network
    optimiser = torch.optim.SGD(network.parameters(), 1e-3, 0.9, fused=channels_last)
    feats, targets = torch.randn(BATCH, FRAMES, 128).transpose(1, 2), torch.randint(0, 251, (BATCH,))

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = forward(feats)
        loss = cross_entropy(logits.float(), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return run


def trunk(network: ResNet, bf16: bool, channels_last: bool):
    """A function that passes a batch through the frozen trunk and its pooling."""
    network = network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format).eval()
    feats = torch.randn(BATCH, FRAMES, 128).transpose(1, 2)

    @torch.no_grad()
    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network.pooled(feats)

    return run


def main(rounds: int = 5, channels: int = 32, *words: str):
    torch.set_num_threads(1)

    def new(**fields):
        torch.manual_seed(0)
        return ResNet(NetworkSpec(251, channels=channels, **fields))

    steps = {"sertk: bf16, channels last, its own PReLU": step(new(), True, True)}
    if "compile" in words:
        steps = {"sertk: bf16, compiled": step(new(), True, True, compile=True)} | steps
    steps |= {
        "torch: bf16, channels last, nn.PReLU": step(with_torchs_prelu(new()), True, True),
        "sertk: float32": step(new(), False, True),
        "torch: float32, NCHW, nn.PReLU": step(with_torchs_prelu(new()), False, False),
        "torch: float32, NCHW, ReLU": step(new(activation="relu"), False, False),
    }
    if find_spec("speechbrain"):
        steps["SpeechBrain's ResNet: float32"] = step(speechbrain(channels), False, False)
    compare(f"Training step, {channels} channels, {BATCH} × {FRAMES} frames", steps, rounds)
    compare(f"Frozen trunk, {channels} channels, {BATCH} × {FRAMES} frames", {
        "sertk: bf16, channels last": trunk(new(), True, True),
        "torch: float32, NCHW, nn.PReLU": trunk(with_torchs_prelu(new()), False, False),
    }, rounds)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
