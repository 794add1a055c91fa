"""What the benchmarks share: interleaved runs, medians, ratios, a markdown table. Runs nothing by itself."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median


def machine() -> str:
    """One line on what this was measured on."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = names[0].partition(": ")[2] if names else platform.machine()
    return f"{len(os.sched_getaffinity(0))} × {cpu}, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def cpu_seconds() -> float:
    """User and system time of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def compare(
    title: str, runs: dict[str, Callable[[], object]], rounds: int, seconds_of_speech: float = 0, warm_up: int = 1
):
    """Time each of `runs` once a round, after `warm_up` rounds that do not count, and print medians; the first is ours.

    CPU time of this process and its children, since it is their work that is compared and a shared machine may give them
    half a core. The ratio is the median of what each round gives: what else the machine does is the same for both. A run
    that returns a float has taken its time itself, in seconds.
    """
    times = {name: [] for name in runs}
    for i in range(warm_up + rounds):
        for name, run in runs.items():
            start = cpu_seconds()
            measured = run()
            taken = measured if isinstance(measured, float) else cpu_seconds() - start
            if i >= warm_up:
                times[name].append(taken)
    ours = next(iter(times.values()))
    print(f"{title}; CPU time, medians of {rounds} interleaved runs; {machine()}\n")
    print("| | ms | " + ("× real time | " if seconds_of_speech else "") + "ours is faster by |")
    print("|---|---|---|" + ("---|" if seconds_of_speech else ""))
    for name, theirs in times.items():
        speed = f"{seconds_of_speech / median(theirs):.0f} | " if seconds_of_speech else ""
        ratio = median(b / a for a, b in zip(ours, theirs))
        print(f"| {name} | {median(theirs) * 1000:.1f} | {speed}{ratio:.2f} × |")
    print()


def compare_processes(title: str, script: str, names: Iterable[str], rounds: int, *words, seconds_of_speech: float = 0):
    """As compare(), each run a process of its own: `script alone NAME words…`, which calls alone()."""

    def run(name: str):
        command = [sys.executable, script, "alone", name, *map(str, words)]
        return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])

    compare(title, {name: partial(run, name) for name in names}, rounds, seconds_of_speech, warm_up=0)


def alone(run: Callable[[], object], warm_up: int, counted: int) -> None:
    """Print the median of the CPU seconds of `counted` calls, after `warm_up` that do not count."""
    taken = []
    for _ in range(warm_up + counted):
        start = cpu_seconds()
        run()
        taken.append(cpu_seconds() - start)
    print(median(taken[warm_up:]))
