"""From a feature table on disk to batches of masked chunks, compared with PyTorch's DataLoader and (if installed)
SpeechBrain's, over kaldiio.

Usage: benchmarks/loader.py [rounds] [segments] [epochs]; segments of 80 to 800 frames × 128, three versions of each
(without masks, with conservative and with aggressive masks), chunks of 200 frames, batches of 32. Every run is a
separate process. Warm: CPU time with all children, including opening the table. Cold: wall time for as many segments of
800 frames in CM2, each read once, with the archive dropped from the page cache; then with 2 ms added to every read, to
simulate a slow file system.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import kaldiio
import numpy as np
import torch
from paired import alone, compare_processes

from sertk.data.chunks import ChunkRule
from sertk.data.loader import HostChunks, prefetch
from sertk.data.masks import POLICIES, Policy
from sertk.data.sampler import Sampler
from sertk.data.store import READERS, Store, load_store
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer

FRAMES, BATCH = 200, 32
VERSIONS = tuple(POLICIES.values())


def piece(feats: np.ndarray, policy: Policy) -> torch.Tensor:
    """Return a chunk as typical code does: repeat short segments, cut, mask."""
    if len(feats) < FRAMES:
        feats = np.tile(feats, (-(-FRAMES // len(feats)), 1))
    first = np.random.randint(0, len(feats) - FRAMES + 1)
    chunk = feats[first : first + FRAMES].copy()
    for _ in range(policy.num_freq):
        width = np.random.randint(0, policy.max_bins + 1)
        start = np.random.randint(0, chunk.shape[1] - width + 1)
        chunk[:, start : start + width] = 0
    for _ in range(policy.num_time):
        width = np.random.randint(0, min(policy.max_frames, int(policy.max_part * FRAMES)) + 1)
        start = np.random.randint(0, FRAMES - width + 1)
        chunk[start : start + width] = 0
    return torch.from_numpy(chunk)


class Chunks(torch.utils.data.Dataset):
    """Dataset of the same chunks over kaldiio, which loads a whole matrix for each."""

    def __init__(self, script: str, versions: tuple):
        self.feats, self.versions = kaldiio.load_scp(script), versions
        self.keys = list(self.feats)

    def __len__(self):
        return len(self.keys) * len(self.versions)

    def __getitem__(self, number):
        index, version = divmod(number, len(self.versions))
        return piece(self.feats[self.keys[index]], self.versions[version]), index


def dataloader(script: str, epochs: int, workers: int, versions: tuple = VERSIONS):
    def run():
        loader = torch.utils.data.DataLoader(
            Chunks(script, versions), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        for _ in range(epochs):
            for _ in loader:
                pass

    return run


def speechbrain(script: str, epochs: int, workers: int):
    """SpeechBrain's pipelines over kaldiio, with its collation and loader, as in its recipes."""
    from speechbrain.dataio.batch import PaddedBatch
    from speechbrain.dataio.dataloader import SaveableDataLoader
    from speechbrain.dataio.dataset import DynamicItemDataset
    from speechbrain.utils.data_pipeline import provides, takes

    @takes("place", "version")
    @provides("feats")
    def pipeline(place, version):
        yield piece(kaldiio.load_mat(place), VERSIONS[version])

    def run():
        places = [line.split() for line in Path(script).read_text().splitlines()]
        items = {f"{key}-{n}": {"place": place, "version": n} for key, place in places for n in range(len(VERSIONS))}
        data = DynamicItemDataset(items, [pipeline], ["id", "feats"])
        loader = SaveableDataLoader(data, BATCH, shuffle=True, num_workers=workers, collate_fn=PaddedBatch,
                                    persistent_workers=workers > 0)  # fmt: skip
        for _ in range(epochs):
            for _ in loader:
                pass

    return run


def batches(store: Store, epochs: int, versions: tuple, threads: int | None = None):
    """Read and discard all batches of some epochs."""
    chunks = HostChunks(store, ChunkRule(0, versions), torch.device("cpu"))
    sampler = Sampler(0, len(store), len(versions), 1, BATCH, (FRAMES,))
    for epoch in range(1, epochs + 1):
        order = sampler.batches(epoch)
        for _ in prefetch(lambda batch, e=epoch: chunks.prepare(batch, e), order, threads=threads or chunks.threads):
            pass


def ours(script: str, epochs: int, **limits):
    return lambda: batches(load_store(parse_rspecifier(f"scp:{script}"), **limits), epochs, VERSIONS)


def from_disk(script: str, threads: int, wait: float = 0.0):
    """One epoch without masks from an open table on disk, with some seconds added to every read."""
    store = load_store(parse_rspecifier(f"scp:{script}"), resident_bytes=0)

    def rows(index, start, stop, out):
        time.sleep(wait)
        return store[index].rows(start, stop, out)

    slow = Store(store.keys, store.num_frames, store.bins, rows, on_disk=True) if wait else store
    return lambda: batches(slow, 1, VERSIONS[:1], threads)


def cold(script: str, run):
    """`run` with the archive out of the page cache."""
    fd = os.open(script.replace(".scp", ".ark"), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    alone(run, warm_up=0, counted=1, clock=time.perf_counter)


# Each run takes a script and a number of epochs.
WARM = {
    "sertk": ours,
    "sertk, the table stays on disk": partial(ours, resident_bytes=0),
    **{f"DataLoader + kaldiio, {n} workers": partial(dataloader, workers=n) for n in (0, 1, 2)},
}
if find_spec("speechbrain"):
    WARM |= {f"SpeechBrain + kaldiio, {n} workers": partial(speechbrain, workers=n) for n in (0, 2)}
COLD = {
    f"sertk, {READERS} threads": lambda script: from_disk(script, READERS),
    "sertk, 1 thread": lambda script: from_disk(script, 1),
    "DataLoader + kaldiio, cold, 0 workers": lambda script: dataloader(script, 1, 0, VERSIONS[:1]),
    "DataLoader + kaldiio, cold, 2 workers": lambda script: dataloader(script, 1, 2, VERSIONS[:1]),
}
SLOW = {
    f"sertk, {READERS} threads, 2 ms a read": lambda script: from_disk(script, READERS, 0.002),
    "sertk, 1 thread, 2 ms a read": lambda script: from_disk(script, 1, 0.002),
}


def run_alone(name: str, script: str, epochs: int) -> None:
    """Run `name` in this process."""
    torch.set_num_threads(1)
    if name in WARM:
        alone(WARM[name](script, epochs), warm_up=1, counted=1)
    else:
        cold(script, (COLD | SLOW)[name](script))


def write(folder: str, name: str, compress: str, lengths) -> str:
    """Write a table of noise; return its script."""
    rng = np.random.default_rng(0)
    with table_writer(f"ark,scp:{folder}/{name}.ark,{folder}/{name}.scp", compress=compress) as save:
        for number, length in enumerate(lengths):
            save(f"utt{number:06d}", rng.standard_normal((int(length), 128), np.float32))
    return f"{folder}/{name}.scp"


def main(rounds: int = 3, segments: int = 400, epochs: int = 10):
    lengths = np.random.default_rng(0).integers(80, 801, segments)
    with tempfile.TemporaryDirectory() as folder:
        for name, what in (("none", "float32"), ("cm2", "CM2")):
            script = write(folder, name, name, lengths)
            title = f"{what}, {epochs} epochs of {segments * len(VERSIONS)} chunks"
            compare_processes(title, __file__, WARM, rounds, script, epochs)
        script = write(folder, "long", "cm2", [800] * segments)
        compare_processes(f"CM2, {segments} chunks, cold", __file__, COLD, rounds, script, 1, time="wall time")
        compare_processes(f"CM2, {segments} chunks, slow", __file__, SLOW, rounds, script, 1, time="wall time")


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        run_alone(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(*map(int, sys.argv[1:]))
