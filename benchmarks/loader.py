"""From a table of features on disk to batches of masked chunks: ours against PyTorch's DataLoader over kaldiio.

Usage: benchmarks/loader.py [rounds] [segments] [epochs]; segments of 80 to 800 frames × 128, three versions of each (as it is,
with conservative and with aggressive masks), chunks of 200 frames, batches of 32. CPU time of all processes, the opening of
the table included.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import sys
import tempfile

import kaldiio
import numpy as np
import torch
from paired import compare

from sertk.data.chunks import ChunkRule
from sertk.data.loader import HostChunks, prefetch
from sertk.data.masks import POLICIES
from sertk.data.sampler import Sampler
from sertk.data.store import load_store
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer

FRAMES, BATCH = 200, 32
VERSIONS = tuple(POLICIES.values())


class Chunks(torch.utils.data.Dataset):
    """The same chunks as people write them: the matrix of a segment is loaded, cut and masked."""

    def __init__(self, script: str):
        self.feats = kaldiio.load_scp(script)
        self.keys = list(self.feats)

    def __len__(self):
        return len(self.keys) * len(VERSIONS)

    def __getitem__(self, number):
        index, version = divmod(number, len(VERSIONS))
        feats = self.feats[self.keys[index]]
        if len(feats) < FRAMES:
            feats = np.tile(feats, (-(-FRAMES // len(feats)), 1))
        first = np.random.randint(0, len(feats) - FRAMES + 1)
        chunk, policy = feats[first : first + FRAMES].copy(), VERSIONS[version]
        for _ in range(policy.num_freq):
            width = np.random.randint(0, policy.max_bins + 1)
            start = np.random.randint(0, chunk.shape[1] - width + 1)
            chunk[:, start : start + width] = 0
        for _ in range(policy.num_time):
            width = np.random.randint(0, min(policy.max_frames, int(policy.max_part * FRAMES)) + 1)
            start = np.random.randint(0, FRAMES - width + 1)
            chunk[start : start + width] = 0
        return torch.from_numpy(chunk), index


def theirs(script: str, epochs: int, workers: int):
    def run():
        loader = torch.utils.data.DataLoader(
            Chunks(script), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        for _ in range(epochs):
            for _ in loader:
                pass

    return run


def ours(script: str, epochs: int, **limits):
    def run():
        store = load_store(parse_rspecifier(f"scp:{script}"), **limits)
        chunks = HostChunks(store, ChunkRule(0, VERSIONS), torch.device("cpu"))
        sampler = Sampler(0, len(store), len(VERSIONS), 1, BATCH, (FRAMES,))
        for epoch in range(1, epochs + 1):
            for _ in prefetch(chunks.prepare(batch, epoch) for batch in sampler.batches(epoch)):
                pass

    return run


def main(rounds: int = 3, segments: int = 400, epochs: int = 10):
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("none", "cm2"):
            with table_writer(f"ark,scp:{folder}/{name}.ark,{folder}/{name}.scp", compress=name) as write:
                for number in range(segments):
                    write(f"utt{number:06d}", rng.standard_normal((int(rng.integers(80, 801)), 128), np.float32))
        for name, what in (("none", "float32"), ("cm2", "CM2")):
            script = f"{folder}/{name}.scp"
            runs = {
                "sertk": ours(script, epochs),
                "sertk, the table stays on disk": ours(script, epochs, resident_bytes=0),
            }
            runs |= {f"DataLoader + kaldiio, {n} workers": theirs(script, epochs, n) for n in (0, 1, 2)}
            compare(f"{what}, {epochs} epochs of {segments * len(VERSIONS)} chunks", runs, rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
