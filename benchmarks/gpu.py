"""What a GPU does in training, trunk passes, heads and prediction: figures of every part in six minutes.

Usage: benchmarks/gpu.py [--only PART,…] [--skip PART,…] [--minutes 6] [--size paper|toy] [--device cuda|cpu]
                         [--epochs 2] [--patience 1] [--out gpu.json]

Needs the checkout, torch and numpy (the part table3 also what the binaries import). Every part is a process of its own
with a time limit: what it has measured when the limit ends it, when it fails or when memory runs out is in the table
and in the JSON file, which is written after every part. Ctrl-C and TERM end the part too. Without a GPU the size is toy, to
check the script itself: 3 minutes.

  card       copy bandwidth and products in bf16 and float32, to compare the other figures with
  steps      training steps of 32, 128 and 256 chunks of 150 to 300 frames, by torch's operations, fused, and as CUDA graphs:
             segments/s, host time, memory, TFLOP/s
  loop       the training loop with features on the device, in each form, and on the host; chunks that a host thread prepares
  fused      BatchNorm, PReLU and shortcut of each stage's maps by torch's operations and fused, divided in several ways: time,
             bandwidth, error against float32
  convolutions  every kind of convolution of the network alone, by each way that cuDNN chooses, and their sum
  profile    the step's time by groups of kernels, the longest of each group, and operations with bytes and bandwidth
  folds      five trainings: one alone and five in turn in one process, in each form; five processes at once
  table3     the binaries: draws, 15 heads and posteriors from features (table3.py), --epochs of the paper's 20
  heads      15 heads on draws, stacked and one by one
  draws      a frozen trunk's draws, computed only, and written
  predict    posteriors of whole segments in bf16 and float32
  variants   the step without deterministic cuDNN, with its benchmark, in float32, with ReLU, in another layout, and as CUDA
             graphs of torch's operations
  compile    the compiled step, the time to compile, and the time in a second process with the same cache
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from paired import machine

HERE = Path(__file__).resolve().parent
# Seconds of each part at most, times --patience. In order of importance: six minutes need not be enough for all.
PARTS = {
    "card": 20, "steps": 110, "loop": 60, "fused": 60, "convolutions": 60, "profile": 45, "folds": 90, "table3": 110,
    "heads": 30, "draws": 40, "predict": 45, "variants": 70, "compile": 110,
}  # fmt: skip


def run_part(part: str, limit: float, *words: str) -> dict:
    """Run a part in a process of its own; return its rows, seconds and how it ended."""
    command = [sys.executable, HERE / "gpu_parts.py", part, *words]
    path = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
    start, rows = time.monotonic(), []
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr))
    reader.start()
    over = threading.Event()

    def end():
        over.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started

    timer = threading.Timer(limit, end)
    timer.start()
    try:
        for line in process.stdout:
            if line.startswith("{"):
                rows.append(json.loads(line))
                show(rows[-1])
        code = process.wait()
    except BaseException:  # Ctrl-C or TERM: the part would keep the GPU
        end()
        process.wait()
        raise
    finally:
        timer.cancel()
    reader.join()
    reason = last_line(errors) or f"no message, exit status {code}"
    ended = f"ended after {limit:.0f} s" if over.is_set() else f"failed: {reason}" if code else "done"
    return {"part": part, "ended": ended, "seconds": round(time.monotonic() - start, 1), "rows": rows}


def last_line(lines: list[str]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]


def show(row: dict) -> None:
    figures = ", ".join(
        value if name == "reason" else f"{value} {name}" for name, value in row.items() if name != "what"
    )
    print(f"| {row['what']} | {figures} |", flush=True)


def write(path: Path, content: dict) -> None:
    """Write a JSON file so that a killed benchmark leaves the last whole one."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )

    def parts(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in PARTS]:
            raise argparse.ArgumentTypeError(f"no such part: {unknown[0]} (there are {' '.join(PARTS)})")
        return names

    of_parts = {"type": parts, "metavar": "PART,…"}
    parser.add_argument("--only", default=list(PARTS), help="these parts; the order is always that above", **of_parts)
    parser.add_argument("--skip", default=[], help="all parts but these", **of_parts)
    parser.add_argument("--minutes", type=float, default=6, help="for all parts together")
    parser.add_argument("--patience", type=float, default=1, help="factor of the parts' time limits")
    parser.add_argument("--epochs", type=int, default=2, help="of the part table3")
    parser.add_argument("--size", choices=("paper", "toy"), help="paper on a GPU, else toy")
    parser.add_argument("--device", help="cuda, cuda:N or cpu; the first GPU if there is one")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the JSON file")
    options = parser.parse_args(words)
    for name in ("minutes", "patience", "epochs"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name} must be more than 0")
    options.parts = [part for part in PARTS if part in options.only and part not in options.skip]
    if not options.parts:
        parser.error("--only and --skip leave no part")
    if not options.out.parent.is_dir():
        parser.error(f"--out: there is no folder {options.out.parent}")
    if options.out.is_dir() or not os.access(options.out.parent, os.W_OK):
        parser.error(f"--out: {options.out} cannot be written")
    return options


def device_of(given: str | None, gpus: int) -> str:
    """The device that is measured; exits if torch has none of that name."""
    names = ["cpu", *["cuda"] * (gpus > 0), *(f"cuda:{number}" for number in range(gpus))]
    device = given or names[gpus > 0]
    if device not in names:
        sys.exit(f"gpu.py: error: --device {device}: torch has {', '.join(names)} here")
    return device


def main(words: list[str]) -> int:
    options = parse(words)
    import torch

    device = device_of(options.device, torch.cuda.device_count())
    size = options.size or ("paper" if device.startswith("cuda") else "toy")
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "no GPU"
    start = time.monotonic()
    found = {"device": name, "machine": machine(), "torch": torch.__version__, "cuda": torch.version.cuda,
             "size": size, "parts": []}  # fmt: skip
    print(f"{name}; torch {torch.__version__}, CUDA {torch.version.cuda}; {size} size; {machine()}\n")
    print("| | |\n|---|---|", flush=True)
    for part in options.parts:
        left = 60 * options.minutes - (time.monotonic() - start)
        if left < 5:
            done = {"part": part, "ended": "not started: no time left", "seconds": 0, "rows": []}
        else:
            more = [str(options.epochs)] if part == "table3" else []
            done = run_part(part, min(PARTS[part] * options.patience, left), size, device, *more)
        found["parts"].append(done)
        write(options.out, found)
        print(f"| **{part}** | {done['ended']}, {done['seconds']} s |", flush=True)
    return int(any(done["ended"].startswith("failed") for done in found["parts"]))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
