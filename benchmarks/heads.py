"""15 heads from the same draws: one after the other against stacked, in batched matrix products (training/headstack.py).

Usage: benchmarks/heads.py [rounds] [segments]; an epoch of three experiments' five folds, one thread.

The first table is of the paper's heads, on 8192 pooled statistics; the others of those on a layer of an encoder (768
numbers), and of small ones on 88 numbers (eGeMAPS).
On a GPU the part heads of gpu.py compares the same.
"""

import sys

import numpy as np
import torch
from paired import compare

from sertk.data.store import store_of
from sertk.models.spec import HeadSpec
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

EXPERIMENTS, FOLDS, LABELS, VERSIONS = 3, 5, 4, 3
CPU = torch.device("cpu")


def main(rounds: int = 3, segments: int = 120):
    torch.set_num_threads(1)
    for dim, embedding_dim, times in ((8192, 256, 1), (768, 256, 4), (88, 16, 8)):
        spec = HeadSpec(dim, LABELS, embedding_dim)
        of_draws = store_of(
            [f"utt{index}" for index in range(times * segments)],
            list(np.random.default_rng(0).standard_normal((times * segments, VERSIONS, dim), np.float32)),
        )

        def epoch(stacked: bool, store=of_draws, spec=spec):
            members, targets = np.arange(len(store)), Targets(torch.arange(len(store)) % LABELS)
            trainings = {
                (experiment, fold): HeadTraining(spec, members[members % FOLDS != fold], targets, HeadSettings(epochs=1), CPU)
                for experiment in range(EXPERIMENTS) for fold in range(FOLDS)
            }  # fmt: skip

            def run():
                for _ in train_heads(trainings, dict.fromkeys(trainings, members), store, CPU, stacked=stacked):
                    pass
                for training in trainings.values():
                    training.history.clear()

            return run

        compare(f"An epoch of {EXPERIMENTS * FOLDS} heads, {len(of_draws)} segments, {dim} numbers", {
            "stacked": epoch(True),
            "one by one": epoch(False),
        }, rounds)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
