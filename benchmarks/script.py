"""A script of 1.2 million lines: first and second opening, and memory per worker, compared with kaldiio.load_scp.

Usage: benchmarks/script.py [rounds] [lines]. Every run is a separate process. Memory is that of a worker that has read
2,000 random chunks and all keys once, minus that of a worker of a process without a table: its proportional set size
with four workers alive, and its private part (the rest is the mapped sidecar in the page cache, which all share).
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from paired import machine

SELF = Path(__file__).resolve()
ARCHIVES, WORKERS, READS = 32, 4, 2000


def prepare(lines: int):
    from sertk.kaldi.tables import table_writer

    for number in range(ARCHIVES):
        with table_writer(f"ark:{number}.ark") as write:
            write("k", np.ones((300, 128), np.float32))
    here, speakers = Path.cwd(), 7205
    keys = sorted(f"id{10000 + i % speakers}-{i * 2654435761 % 2**44:011x}-{i % 400:05}" for i in range(lines))
    with open("x.scp", "w") as file:
        file.writelines(f"{key} {here}/{i * ARCHIVES // lines}.ark:2\n" for i, key in enumerate(keys))
    time.sleep(2.5)  # sidecars are not written for scripts younger than this


def timed(function):
    start = time.perf_counter(), time.process_time()
    found = function()
    return found, time.perf_counter() - start[0], time.process_time() - start[1]


def opened(who):
    if who == "kaldiio":
        import kaldiio

        return kaldiio.load_scp("x.scp")
    from sertk.kaldi.tables import open_table

    return open_table("scp:x.scp")


def use(table, who):
    """Read random chunks and all keys once, like a training worker."""
    draw = np.random.default_rng(os.getpid())
    if who == "kaldiio":
        names = list(table)
        for number in draw.integers(len(names), size=READS).tolist():
            assert len(table[names[number]][50:250]) == 200
    elif table is not None:
        assert sum(1 for _ in table.keys)
        for number in draw.integers(len(table), size=READS).tolist():
            assert len(table.rows(number, 50, 250)) == 200


def own_megabytes() -> tuple[float, float]:
    """Return the proportional set size of this process, and its private part."""
    words = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    sizes = {word[0]: int(word[1]) / 1024 for word in words}
    return sizes["Pss:"], sizes["Private_Clean:"] + sizes["Private_Dirty:"]


def work(table, who, ready, results):
    use(table, who)
    ready.wait()
    results.put(own_megabytes())
    ready.wait()


def megabytes(method, table, who) -> list[float]:
    """Return the memory of a worker, medians of four."""
    context = multiprocessing.get_context(method)
    ready, results = context.Barrier(WORKERS), context.Queue()
    workers = [context.Process(target=work, args=(table, who, ready, results)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return [median(column) for column in zip(*found)]


def one(task, who):
    if task == "open":
        opened(who)  # exclude its imports
        if who == "first":
            Path("x.scp.index.npy").unlink()
        table, *times = timed(lambda: opened(who))
        if who == "first":
            use(table, who)
        print(json.dumps(times))
    elif task == "lengths":
        table = opened(who)
        print(json.dumps(timed(lambda: int(table.num_frames.sum()))[1:]))
    else:
        import kaldiio  # noqa: F401  all processes alike

        import sertk.kaldi.tables  # noqa: F401

        print(json.dumps(megabytes(task, None if who == "none" else opened(who), who)))


def run(*arguments):
    done = subprocess.run([sys.executable, SELF, "--one", *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
        sys.exit()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 1_200_000
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare(lines)
        names = {"first": "sertk, first opening", "second": "sertk, second opening", "kaldiio": "kaldiio.load_scp"}
        found = {who: [] for who in names}
        for _ in range(rounds):
            for who in found:
                found[who].append(run("open", who))
        print(f"a script of {lines} lines; medians of {rounds} interleaved runs; {machine()}\n")
        print("| | s wall | s CPU | kaldiio / this, CPU |")
        print("|---|---|---|---|")
        for who, times in found.items():
            wall, cpu = (median(column) for column in zip(*times))
            ratio = median(b[1] / a[1] for a, b in zip(times, found["kaldiio"]))
            print(f"| {names[who]} | {wall:.3f} | {cpu:.3f} | {ratio:.1f} × |")
        once, again = (run("lengths", "second")[1] for _ in range(2))
        print(f"\nAll lengths, from every header: {once:.1f} s of CPU once, then {again:.4f}.\n")
        print("| MB a worker | proportional | its own |")
        print("|---|---|---|")
        for method, who in (("fork", "second"), ("spawn", "second"), ("fork", "kaldiio")):
            more = [mine - none for mine, none in zip(run(method, who), run(method, "none"))]
            print(f"| {'kaldiio' if who == 'kaldiio' else 'sertk'}, {method} | {more[0]:.1f} | {more[1]:.1f} |")
        print()
        os.chdir("/")
