"""Whole segments through a network, one after the other on a CPU: ours against the network as it is in training.

Usage: benchmarks/evaluation.py [rounds] [channels]; nine segments of lengths like IEMOCAP's, noise.
"""

import sys

import numpy as np
import torch
from paired import compare

from sertk.models.inference import on_segments
from sertk.models.resnet import NetworkSpec, ResNet

# As in IEMOCAP, 40 % are shorter than 300 frames and the mean is 4.3 s.
FRAMES = (165, 212, 253, 299, 350, 420, 520, 660, 1000)


def main(rounds: int = 3, channels: int = 32):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network, rng, cpu = ResNet(NetworkSpec(4, channels=channels)).eval(), np.random.default_rng(0), torch.device("cpu")
    segments = [(str(frames), rng.normal(size=(frames, 128)).astype(np.float32)) for frames in FRAMES]

    @torch.no_grad()
    def as_it_is():
        for _, feats in segments:
            network(torch.from_numpy(feats.T.copy())[None]).softmax(dim=1)

    def ours(precision: str):
        return lambda: list(on_segments(network, segments, "posterior", cpu, precision))

    compare(f"{len(FRAMES)} whole segments, {sum(FRAMES) / 100:.0f} s of speech, {channels} channels, one thread", {
        "sertk: folded, bf16": ours("bf16"),
        "sertk: folded, float32": ours("float32"),
        "the network as it is, float32": as_it_is,
    }, rounds, sum(FRAMES) / 100)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
