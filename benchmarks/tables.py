"""Tables: writing, reading and random chunks, compared with kaldiio and kaldi-native-io. Usage: benchmarks/tables.py
[rounds]

Every run is a separate process, and runs alternate: the speed of large allocations depends on the history of a process
by a factor of four. Warm runs count CPU time; cold ones, with the archives dropped from the page cache before every
batch, wall time. 20 MB to 200 MB of log-mels of 128 bins in a temporary folder.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from paired import machine

BINS, CHUNK, BATCH = 128, 200, 32
FORMATS = {"float32": "none", "CM2": "cm2", "CM3": "cm3"}
SIZES = {400: 500, 800: 250, 2000: 100}  # frames of a matrix: matrices of a table
PEERS = {"write": ("sertk", "kaldiio"), "read": ("sertk", "kaldiio", "kaldi_native_io"),
         "chunks": ("sertk", "kaldiio"), "cold": ("sertk", "memmap")}  # fmt: skip


def keys(frames):
    return [f"id{i:05}" for i in range(SIZES[frames])]


def matrices(frames):
    draw = np.random.default_rng(0)
    few = [draw.normal(10, 3, (frames, BINS)).astype(np.float32) for _ in range(10)]
    return [(key, few[i % 10]) for i, key in enumerate(keys(frames))]


def write(who, compress, frames):
    entries = matrices(frames)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        target = f"ark,scp:{folder}/w.ark,{folder}/w.scp"
        start = clock()
        if who == "sertk":
            from sertk.kaldi.tables import table_writer

            with table_writer(target, compress=compress) as save:
                for key, feats in entries:
                    save(key, feats)
        else:
            import kaldiio

            with kaldiio.WriteHelper(target, compression_method={"none": None, "cm2": 3, "cm3": 5}[compress]) as save:
                for key, feats in entries:
                    save(key, feats)
        return len(entries), start


def read(who, compress, frames):
    name = f"{compress}{frames}.scp"
    if who == "sertk":
        from sertk.kaldi.tables import read_table

        start = clock()
        return sum(1 for _ in read_table(f"scp:{name}")), start
    if who == "kaldiio":
        import kaldiio

        start = clock()
        return sum(1 for _ in kaldiio.load_scp_sequential(name)), start
    import kaldi_native_io

    start = clock()
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{name}") as table:
        return sum(1 for _, feats in table if np.asarray(feats).size), start


def chunk_reader(who, compress, frames):
    """Return a function of (number of a matrix, first frame, array to fill)."""
    name = f"{compress}{frames}.scp"
    if who == "sertk":
        from sertk.kaldi.tables import open_table

        table = open_table(f"scp:{name}")
        assert len(table.num_frames)  # as in training: chunk offsets need the lengths
        return lambda number, first, out: table.rows(number, first, first + CHUNK, out)
    if who == "kaldiio":
        import kaldiio

        table, names = kaldiio.load_scp(name), keys(frames)

        def kaldiio_rows(number, first, out):
            out[:] = table[names[number]][first : first + CHUNK]

        return kaldiio_rows
    places = [line.split()[1].rpartition(":") for line in Path(name).read_text().splitlines()]
    mapped = np.memmap(places[0][0], np.uint8, "r")
    offsets = [int(place[2]) + 15 for place in places]

    def memmap_rows(number, first, out):
        start = offsets[number] + first * BINS * 4
        out[:] = mapped[start : start + CHUNK * BINS * 4].view(np.float32).reshape(CHUNK, BINS)

    return memmap_rows


def chunks(who, compress, frames, count=2000):
    rows, batch, draw = (
        chunk_reader(who, compress, frames),
        np.empty((BATCH, CHUNK, BINS), np.float32),
        np.random.default_rng(1),
    )
    places = np.stack([draw.integers(SIZES[frames], size=count), draw.integers(frames - CHUNK, size=count)], 1).tolist()
    for i, (number, first) in enumerate(places[:100]):
        rows(number, first, batch[i % BATCH])
    start = clock()
    for i, (number, first) in enumerate(places):
        rows(number, first, batch[i % BATCH])
    return count, start


def cold(who, compress, frames, batches=10):
    rows, batch, draw = (
        chunk_reader(who, compress, frames),
        np.empty((BATCH, CHUNK, BINS), np.float32),
        np.random.default_rng(1),
    )
    fd, taken = os.open(f"{compress}{frames}.ark", os.O_RDONLY), 0
    for _ in range(batches):
        if who == "memmap":  # pages that are mapped stay in the cache
            rows = chunk_reader(who, compress, frames)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        places = [(int(draw.integers(SIZES[frames])), int(draw.integers(frames - CHUNK))) for _ in range(BATCH)]
        start = clock()
        for out, (number, first) in zip(batch, places):
            rows(number, first, out)
        taken += clock()[0] - start[0]
    now = clock()
    return batches * BATCH, (now[0] - taken, now[1])


def clock():
    return time.perf_counter(), time.process_time()


def measured(folder, task, who, compress, frames) -> tuple[float, float]:
    """Return wall and CPU seconds per entry or chunk, in a separate process."""
    arguments = [sys.executable, __file__, "--one", task, who, compress, str(frames)]
    done = subprocess.run(arguments, cwd=folder, check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def one(task, who, compress, frames):
    count, start = globals()[task](who, compress, int(frames))
    print(json.dumps([(now - then) / count for now, then in zip(clock(), start)]))


def prepare(folder):
    from sertk.kaldi.tables import table_writer

    for compress in FORMATS.values():
        for frames in SIZES:
            with table_writer(
                f"ark,scp:{folder}/{compress}{frames}.ark,{folder}/{compress}{frames}.scp", compress=compress
            ) as save:
                for key, feats in matrices(frames):
                    save(key, feats)


def table(folder, task, rounds):
    cases = [(form, frames) for form in FORMATS for frames in SIZES]
    if task == "cold":
        cases = [("float32", 2000), ("CM2", 2000), ("CM3", 2000)]
    elif task != "chunks":
        cases = [(form, 400) for form in FORMATS]
    print("| | frames of a matrix | " + " | ".join(f"{who}, µs wall (CPU)" for who in PEERS[task]), end=" | ")
    print(" | ".join(f"{who} / sertk" for who in PEERS[task][1:]) + " |")
    print("|---" * (2 + 2 * len(PEERS[task]) - 1) + "|")
    which = 0 if task == "cold" else 1
    for form, frames in cases:
        found = {who: [] for who in PEERS[task]}
        for _ in range(rounds):
            for who in found:
                # A memory map of compressed bytes would need decoding, so float32 is used.
                compress = "none" if who == "memmap" else FORMATS[form]
                found[who].append(measured(folder, task, who, compress, frames))
        cells = [" ".join(f"{median(column) * 1e6:.0f}" if i == 0 else f"({median(column) * 1e6:.0f})"
                          for i, column in enumerate(zip(*times))) for times in found.values()]  # fmt: skip
        ratios = [median(b[which] / a[which] for a, b in zip(found["sertk"], found[who])) for who in PEERS[task][1:]]
        print(
            f"| {form} | {frames} | " + " | ".join([*cells, *(f"{ratio:.1f} ×" for ratio in ratios)]) + " |", flush=True
        )
    print()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
        sys.exit()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        for task, title in (("write", "writing a matrix"), ("read", "reading a matrix"),
                            ("chunks", f"a random chunk of {CHUNK} frames, warm"),
                            ("cold", f"a random chunk of {CHUNK} frames, cold")):  # fmt: skip
            print(f"{title}; medians of {rounds} interleaved runs; {machine()}\n")
            table(folder, task, rounds)
