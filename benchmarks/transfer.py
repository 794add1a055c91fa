"""Heads for 5 folds of 3 experiments: one trunk pass and heads from its draws, against every head through the trunk.

Usage: benchmarks/transfer.py [rounds] [segments] [channels]; one epoch of three versions, chunks of 200 frames, noise.

Passes and head steps both grow with segments × epochs, so the ratio holds for IEMOCAP's 5531 segments and 20 epochs,
whose three experiments have 81, 89 and 100 % of the segments.
"""

import sys

import numpy as np
import torch
from paired import compare

from sertk.data.store import store_of
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.settings import HeadSettings, TrainingSettings
from sertk.training.targets import Targets
from sertk.training.trunk_pass import DrawPlan, draw_vectors

FOLDS, PARTS, LABELS, FRAMES = 5, (0.81, 0.89, 1.0), 4, 200
CPU = torch.device("cpu")


def main(rounds: int = 3, segments: int = 40, channels: int = 32):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng, plan = np.random.default_rng(0), DrawPlan(TrainingSettings().chunk_rule(), 1, (FRAMES,))
    feats = [rng.normal(size=(FRAMES + 50, 128)).astype(np.float32) for _ in range(segments)]
    store = store_of([f"utt{index:04d}" for index in range(segments)], feats)
    network = ResNet(NetworkSpec(LABELS, channels=channels)).eval()
    targets = Targets(torch.arange(segments) % LABELS)

    def heads() -> dict[tuple[int, int], HeadTraining]:
        made = {}
        for experiment, part in enumerate(PARTS):
            of_it = np.arange(round(part * segments))
            for fold in range(FOLDS):
                members = of_it[of_it % FOLDS != fold]
                made[experiment, fold] = HeadTraining(network.spec, members, targets, HeadSettings(epochs=1), CPU)
        return made

    def from_draws(precision: str):
        def run():
            draws = store_of(*map(list, zip(*draw_vectors(network, store, plan, "pool", CPU, precision))))
            trainings = heads()
            for _ in train_heads(trainings, dict.fromkeys(trainings, np.arange(segments)), draws, CPU):
                pass

        return run

    @torch.no_grad()
    def through_the_trunk(chosen, versions):
        chunks = [plan.chunk(store[int(segment)], int(version)) for segment, version in zip(chosen, versions)]
        return network.pooled(torch.from_numpy(np.stack(chunks)).transpose(1, 2))

    def fold_by_fold():
        for training in heads().values():
            training.train_epoch(through_the_trunk)

    compare(f"{len(PARTS) * FOLDS} heads on {segments} segments, {channels} channels, one thread", {
        "sertk: one pass in bf16, heads from its draws": from_draws("bf16"),
        "sertk: one pass in float32": from_draws("float32"),
        "every head through the frozen trunk, float32": fold_by_fold,
    }, rounds)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
