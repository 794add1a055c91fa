"""A training step and a frozen trunk, compared with the usual way to run the same network; one thread.

Usage: benchmarks/training.py [rounds] [channels, from 16 on] [compile]; the paper's batches of 32 chunks, of 200
frames, SGD with momentum. Every run is a separate process, since the C library's use of freed memory depends on the
history of a process. With the argument compile, our step is also compiled, which takes minutes. SpeechBrain is included
if installed (pip install speechbrain).
"""

import sys
from importlib.util import find_spec

import torch
from paired import alone, compare_processes
from torch import nn
from torch.nn.functional import cross_entropy

from sertk.models.activation import LayerPReLU
from sertk.models.fuse import for_evaluation
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runtime import keep_memory
from sertk.training.compile import compile_network

BATCH, FRAMES = 32, 200
CPU = torch.device("cpu")


def with_torchs_prelu(network: nn.Module) -> nn.Module:
    """Return the same network with nn.PReLU() instead of LayerPReLU."""
    for name, child in network.named_children():
        if isinstance(child, LayerPReLU):
            setattr(network, name, nn.PReLU())
        else:
            with_torchs_prelu(child)
    return network


def speechbrain(channels: int) -> nn.Module:
    """Return SpeechBrain's ResNet at our widths, with its classifier, squeeze-and-excitation and attentive pooling."""
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
    """Return a function that takes one training step."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout).train()
    forward = compile_network(network, torch.device("cpu")) if compile else network
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


def trunk(network: ResNet):
    """Return a function that passes a batch through the frozen trunk and pooling."""
    feats = torch.randn(BATCH, FRAMES, 128).transpose(1, 2).to(network.trunk.stem.weight.dtype)

    @torch.no_grad()
    def run():
        network.pooled(feats)

    return run


def new(channels: int, **fields) -> ResNet:
    torch.manual_seed(0)
    return ResNet(NetworkSpec(251, channels=channels, **fields))


# Each run takes the number of channels; ours keep freed memory, like train-resnet.
COMPILED = {"sertk: bf16, compiled": lambda channels: step(new(channels), True, True, compile=True)}
STEPS = {
    "sertk: bf16, channels last, its own PReLU": lambda channels: step(new(channels), True, True),
    "sertk: float32": lambda channels: step(new(channels), False, True),
    "torch: bf16, channels last, nn.PReLU": lambda channels: step(with_torchs_prelu(new(channels)), True, True),
    "torch: float32, NCHW, nn.PReLU": lambda channels: step(with_torchs_prelu(new(channels)), False, False),
    "torch: float32, NCHW, ReLU": lambda channels: step(new(channels, activation="relu"), False, False),
}
SPEECHBRAIN = {"SpeechBrain's ResNet: float32": lambda channels: step(speechbrain(channels), False, False)}
TRUNKS = {
    "sertk: frozen trunk, bf16, folded": lambda channels: trunk(for_evaluation(new(channels), CPU, "bf16")),
    "torch: frozen trunk, float32, NCHW, nn.PReLU": lambda channels: trunk(with_torchs_prelu(new(channels)).eval()),
}


def run_alone(name: str, channels: int) -> None:
    """Run `name` in this process."""
    torch.set_num_threads(1)
    if name.startswith("sertk"):
        keep_memory()
    alone((COMPILED | STEPS | SPEECHBRAIN | TRUNKS)[name](channels), warm_up=2, counted=2)


def main(rounds: int = 3, channels: int = 32, *words: str):
    steps = (COMPILED if "compile" in words else {}) | STEPS | (SPEECHBRAIN if find_spec("speechbrain") else {})
    for title, runs in (("Training step", steps), ("Frozen trunk", TRUNKS)):
        compare_processes(f"{title}, {channels} channels, {BATCH} × {FRAMES} frames", __file__, runs, rounds, channels)


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        run_alone(sys.argv[2], int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:3]), *sys.argv[3:])
