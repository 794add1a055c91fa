"""The paper's Table 3 from features on one machine, by the binaries: on a GPU, or at a small size on a CPU.

Usage: benchmarks/table3.py [segments] [channels] [epochs]; noise of IEMOCAP's lengths. With a GPU IEMOCAP's 5531
segments, the paper's 32 channels and 20 epochs; without one 40 segments, 8 channels, 2 epochs, as a check.

Wall seconds of whole processes with start-up; segments per second are those of a training's last epoch, when everything
is compiled and warm. GPU utilisation is that of nvidia-smi, sampled five times a second.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from paired import machine

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import table_writer

BIN = Path(__file__).resolve().parent.parent / "bin"
BINS, FOLDS, LABELS = 128, 5, ("ang", "hap", "neu", "sad")
PARTS = {"exp1": 0.81, "exp2": 0.89, "exp3": 1.0}  # fraction of the segments in an experiment


def write_features(folder: Path, segments: int) -> None:
    """Write CM2 features with lengths like IEMOCAP's: 4.3 s on average, two in five below 3 s."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(345), 0.66, segments), 60, 3400).astype(int)
    keys = [f"utt{index:05d}" for index in range(segments)]
    with table_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp", compress="cm2") as write:
        for key, length in zip(keys, lengths.tolist()):
            write(key, rng.standard_normal((length, BINS), np.float32))
    for name, part in PARTS.items():
        kept = keys[: round(part * segments)]
        write_list(folder / f"{name}.utt2label", {key: LABELS[i % 4] for i, key in enumerate(kept)})
        write_list(folder / f"{name}.utt2fold", {key: str(1 + i // 4 % FOLDS) for i, key in enumerate(kept)})


def call(*words) -> float:
    """Run a binary; return its wall seconds."""
    start = time.monotonic()
    done = subprocess.run([BIN / words[0], *map(str, words[1:])], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return time.monotonic() - start


@contextmanager
def utilisation():
    """Fill a list with the mean GPU utilisation in per cent; leave it empty without a GPU."""
    found: list[float] = []
    if not shutil.which("nvidia-smi"):
        yield found
        return
    query = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield found
        finally:
            process.terminate()
            lines = process.stdout.read().split()
    figures = [float(line) for line in lines if line.isdecimal()]  # MIG partitions have none
    found.extend([fmean(figures)] if figures else [])


def say(what: str, figure: str, used: list[float]) -> None:
    print(f"| {what} | {figure} | {f'{used[0]:.0f} %' if used else ''} |", flush=True)


def train(folder: Path, size: list, batch: int, compile: str) -> Path:
    """Train two epochs and print the speed of the second; return the model."""
    run = folder / f"resnet.{batch}.{compile}"
    with utilisation() as used:
        seconds = call("train-resnet", *size, "--copies", 2, "--epochs", 2, "--batch-size", batch, "--compile", compile,
                       f"scp:{folder}/feats.scp", folder / "exp3.utt2label", run)  # fmt: skip
    last = json.loads((run / "train.jsonl").read_text().splitlines()[-1])
    figure = f"{last['chunks_per_second']:.0f} segments/s ({seconds:.0f} s with start-up)"
    say(f"train-resnet, batches of {batch}{', compiled' * (compile == 'true')}", figure, used)
    return run / "final.pt"


def transfer(folder: Path, model: Path, epochs: int) -> None:
    """Draws, heads and posteriors of all folds and experiments: the transfer rows of Table 3."""
    feats, draws = f"scp:{folder}/feats.scp", f"{folder}/draws"
    sets = [folder / f"{name}{end}" for name in PARTS for end in (".utt2label", ".utt2fold", "")]
    steps = {
        f"embed-segments --draws {epochs}": [
            ("embed-segments", "--draws", epochs, model, feats, f"ark,scp:{draws}.ark,{draws}.scp")
        ],
        f"transfer-head, {len(PARTS) * FOLDS} heads": [
            ("transfer-head", "--epochs", epochs, model, f"scp:{draws}.scp", *sets)
        ],
        f"predict-emotion, {len(PARTS) * FOLDS} times a fold": [
            ("predict-emotion", "--utt2fold", folder / f"{name}.utt2fold", "--fold", fold,
             folder / name / str(fold) / "final.pt", feats, f"ark:{folder}/{name}/{fold}/scores.ark")
            for name in PARTS for fold in range(1, FOLDS + 1)
        ],
    }  # fmt: skip
    total = 0.0
    for what, calls in steps.items():
        with utilisation() as used:
            seconds = sum(call(*words) for words in calls)
        say(what, f"{seconds:.0f} s", used)
        total += seconds
    say("Table 3's rows of transfer, from features", f"{total:.0f} s", [])


def main(segments: int = 0, channels: int = 0, epochs: int = 0):
    gpu = torch.cuda.is_available()
    segments, channels, epochs = (
        segments or (5531 if gpu else 40),
        channels or (32 if gpu else 8),
        epochs or (20 if gpu else 2),
    )
    where = torch.cuda.get_device_name() if gpu else "no GPU"
    print(f"{segments} segments, {channels} channels, {epochs} epochs; {where}, {machine()}\n")
    print("| | | the GPU was busy |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder, segments)
        size = ["--channels", channels]
        model = train(folder, size, 32, "false")
        if gpu:
            train(folder, size, 32, "true")
            train(folder, size, 256, "false")
            train(folder, size, 256, "true")
        transfer(folder, model, epochs)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
