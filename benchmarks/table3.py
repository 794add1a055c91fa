"""The paper's Table 3 from features on one machine, by the binaries, on noise of IEMOCAP's lengths.

Runs nothing by itself: it is the part table3 of gpu.py. Wall seconds of whole processes with start-up; GPU utilisation
is that of nvidia-smi, sampled five times a second.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

import numpy as np

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import table_writer

BIN = Path(__file__).resolve().parent.parent / "bin"
BINS, FOLDS, LABELS = 128, 5, ("ang", "hap", "neu", "sad")
PAPER_EPOCHS = 20
PARTS = {"exp1": 0.81, "exp2": 0.89, "exp3": 1.0}  # fraction of the segments in an experiment


def write_features(folder: Path, segments: int) -> None:
    """Write CM2 features with lengths like IEMOCAP's: 4.3 s on average, two in five below 3 s."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(345), 0.66, segments), 60, 3400).astype(int)
    keys = [f"utt{index:05d}" for index in range(segments)]
    with table_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp", compress="cm2") as write:
        for key, length in zip(keys, lengths.tolist()):
            write(key, rng.standard_normal((length, BINS), np.float32))
    for name, part in (PARTS | {"few": 0.1}).items():
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


def transfer(folder: Path, model: Path, epochs: int, device: str, row: Callable) -> None:
    """Draws, heads and posteriors of all folds and experiments: the transfer rows of Table 3."""
    feats, draws = f"scp:{folder}/feats.scp", f"{folder}/draws"
    sets = [folder / f"{name}{end}" for name in PARTS for end in (".utt2label", ".utt2fold", "")]
    on = ("--device", device)
    steps = {
        f"embed-segments --draws {epochs}": [
            ("embed-segments", *on, "--draws", epochs, model, feats, f"ark,scp:{draws}.ark,{draws}.scp")
        ],
        f"transfer-head, {len(PARTS) * FOLDS} heads, {epochs} epochs": [
            ("transfer-head", *on, "--epochs", epochs, model, f"scp:{draws}.scp", *sets)
        ],
        f"predict-emotion --fold all, {len(PARTS)} experiments": [
            ("predict-emotion", *on, "--utt2fold", folder / f"{name}.utt2fold", "--fold", "all",
             folder / name / "FOLD/final.pt", feats, f"ark:{folder}/{name}/FOLD/scores.ark")
            for name in PARTS
        ],
    }  # fmt: skip
    taken = []
    for what, calls in steps.items():
        with utilisation() as used:
            taken.append(sum(call(*words) for words in calls))
        row(what, s=round(taken[-1], 1), **busy(used))
    row("Table 3's rows of transfer, from features", s=round(sum(taken), 1))
    if epochs != PAPER_EPOCHS:
        whole = (taken[0] + taken[1]) * PAPER_EPOCHS / epochs + taken[2]
        row(
            f"the same with {PAPER_EPOCHS} epochs, at most (derived: draws and heads grow with the epochs)",
            s=round(whole),
        )


def busy(used: list[float]) -> dict:
    return {"percent_busy": round(used[0])} if used else {}


def run(row: Callable, segments: int, channels: int, epochs: int, device: str) -> None:
    """Print the rows of Table 3's transfer with row(what, figures); the network is trained on some segments before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder, segments)
        with utilisation() as used:
            seconds = call("train-resnet", "--device", device, "--channels", channels, "--epochs", 1,
                           f"scp:{folder}/feats.scp", folder / "few.utt2label", folder / "resnet")  # fmt: skip
        last = json.loads((folder / "resnet/train.jsonl").read_text().splitlines()[-1])
        row(
            "train-resnet, one epoch of a tenth of the segments",
            segments_per_s=round(last["chunks_per_second"]),
            s=round(seconds, 1),
            **busy(used),
        )
        transfer(folder, folder / "resnet/final.pt", epochs, device, row)
