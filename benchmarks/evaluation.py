"""Whole segments through a network, one by one on a CPU: the evaluation path against the training network.

Usage: benchmarks/evaluation.py [rounds] [channels]; nine segments of noise with lengths like IEMOCAP's; every run is a
separate process.
"""

import sys
from functools import partial

import numpy as np
import torch
from paired import alone, compare_processes

from sertk.models.inference import on_segments
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runtime import keep_memory

# As in IEMOCAP, 40 % are shorter than 300 frames and the mean is 4.3 s.
FRAMES = (165, 212, 253, 299, 350, 420, 520, 660, 1000)


def sertk(network: ResNet, segments, precision: str):
    return lambda: list(on_segments(network, segments, "posterior", torch.device("cpu"), precision))


def as_it_is(network: ResNet, segments):
    @torch.no_grad()
    def run():
        for _, feats in segments:
            network(torch.from_numpy(feats.T.copy())[None]).softmax(dim=1)

    return run


RUNS = {
    "sertk: folded, bf16": partial(sertk, precision="bf16"),
    "sertk: folded, float32": partial(sertk, precision="float32"),
    "the network as it is, float32": as_it_is,
}


def run_alone(name: str, channels: int) -> None:
    """Run `name` in this process; ours keeps freed memory, like predict-emotion."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if name.startswith("sertk"):
        keep_memory()
    network, rng = ResNet(NetworkSpec(4, channels=channels)).eval(), np.random.default_rng(0)
    segments = [(str(frames), rng.normal(size=(frames, 128)).astype(np.float32)) for frames in FRAMES]
    alone(RUNS[name](network, segments), warm_up=1, counted=5)


def main(rounds: int = 5, channels: int = 32):
    seconds = sum(FRAMES) / 100
    title = f"{len(FRAMES)} whole segments, {seconds:.0f} s of speech, {channels} channels, one thread"
    compare_processes(title, __file__, RUNS, rounds, channels, seconds_of_speech=seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        run_alone(sys.argv[2], int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
