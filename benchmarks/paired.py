"""Shared by the benchmarks: interleaved runs, medians, ratios, a Markdown table. Runs nothing by itself."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median


def machine() -> str:
    """Return one line that describes the machine."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = names[0].partition(": ")[2] if names else platform.machine()
    return f"{len(os.sched_getaffinity(0))} × {cpu}, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def cpu_seconds() -> float:
    """User and system time of this process and its finished children, in microseconds (os.times: 10 ms)."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def compare(title: str, runs: dict[str, Callable[[], object]], rounds: int, seconds_of_speech: float = 0):
    """Time each of `runs` once per round, after a warm-up round, and print medians; the first is ours.

    CPU time of this process and its children, since a shared machine may give them half a core.
    """
    times = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, run in runs.items():
            start = cpu_seconds()
            run()
            taken = cpu_seconds() - start
            if i:
                times[name].append(taken)
    show(title, times, seconds_of_speech)


def compare_processes(title: str, script: str, names: Iterable[str], rounds: int, *words, seconds_of_speech: float = 0,
                      time: str = "CPU time"):  # fmt: skip
    """Like compare(), with each run a separate process `script alone NAME words…`, which warms up and calls alone().

    `time` names the time that it prints.
    """
    times = {name: [] for name in names}
    for _ in range(rounds):
        for name in times:
            command = [sys.executable, script, "alone", name, *map(str, words)]
            out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            times[name].append(float(out.split()[-1]))
    show(title, times, seconds_of_speech, time)


def show(title: str, times: dict[str, list[float]], seconds_of_speech: float = 0, time: str = "CPU time"):
    """Print the medians of the runs' seconds over the rounds.

    Ratios are medians of the rounds' ratios, so that other load on the machine affects both runs.
    """
    ours = next(iter(times.values()))
    print(f"{title}; {time}, medians of {len(ours)} interleaved runs; {machine()}\n")
    print("| | ms | " + ("× real time | " if seconds_of_speech else "") + "ours is faster by |")
    print("|---|---|---|" + ("---|" if seconds_of_speech else ""))
    for name, theirs in times.items():
        speed = f"{seconds_of_speech / median(theirs):.0f} | " if seconds_of_speech else ""
        ratio = median(b / a for a, b in zip(ours, theirs))
        print(f"| {name} | {median(theirs) * 1000:.1f} | {speed}{ratio:.2f} × |")
    print()


def alone(run: Callable[[], object], warm_up: int, counted: int, clock: Callable[[], float] = cpu_seconds) -> None:
    """Print the median seconds of `counted` calls, after `warm_up` calls."""
    taken = []
    for _ in range(warm_up + counted):
        start = clock()
        run()
        taken.append(clock() - start)
    print(median(taken[warm_up:]))
