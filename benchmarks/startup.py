"""--help of every binary against `python -c 'import click, numpy'`: no help imports torch. Usage: benchmarks/startup.py
[rounds]

Whole processes with bin/launch's shell, alternating; the figure is the excess over the floor's median.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from paired import machine

BIN = Path(__file__).resolve().parents[1] / "bin"
FLOOR = "python -c 'import click, numpy'"
TORCH = "python -c 'import click, numpy, torch'"


def timed(command) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert status == 0, command
    return time.perf_counter() - start, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    commands = {name: [sys.executable, "-c", name.partition("'")[2][:-1]] for name in (FLOOR, TORCH)}
    binaries = sorted(path.name for path in BIN.iterdir() if path.name != "launch")
    commands |= {f"{name} --help": [BIN / name, "--help"] for name in binaries}
    found = {name: [] for name in commands}
    for i in range(rounds + 1):  # the first round warms the page cache
        for name, command in commands.items():
            result = timed(command)
            if i:
                found[name].append(result)
    print(f"start-up; medians of {rounds} interleaved runs; {machine()}\n")
    print("| | s wall | s CPU | s CPU more than the floor |")
    print("|---|---|---|---|")
    for name, times in sorted(found.items(), key=lambda item: median(cpu for _, cpu in item[1])):
        more = median(mine[1] - floor[1] for mine, floor in zip(times, found[FLOOR]))
        print(
            f"| `{name}` | {median(wall for wall, _ in times):.2f} | {median(cpu for _, cpu in times):.2f} | {more:+.2f} |"
        )
    print()
