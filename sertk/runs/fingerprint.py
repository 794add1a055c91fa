"""What makes a run the run that it is, beside its settings: data, code, machine. A resumed run is compared by these."""

import hashlib
from pathlib import Path

import numpy as np
import torch

import sertk
from sertk.data.store import Store
from sertk.runtime import hardware

# Parts of the package that have a say in what a training computes.
SHAPING = ("data", "models", "training", "jobs")
# Segments whose first, middle and last row stand for all, in case that a table was changed beneath its manifest.
SAMPLE = 256


def data_marks(name: str, labels: dict[str, str], store: Store, sha256: str = "") -> dict[str, int | str]:
    """Marks of a data set, NAME.segments, NAME.labels and NAME.features: the one that differs says what was changed.

    Args:
        labels: of every segment of `store`, in its order.
        store: the features.
        sha256: of their table as its manifest has it, where there is one.
    """
    features = hashlib.sha256(sha256.encode())
    features.update(np.asarray(store.num_frames, dtype="<i8").tobytes())
    for index in np.unique(np.linspace(0, len(store) - 1, SAMPLE).astype(int)).tolist():
        segment = store[index]
        for row in sorted({0, segment.num_frames // 2, segment.num_frames - 1}):
            features.update(segment.rows(row, row + 1).astype("<f4").tobytes())
    said = "".join(f"{key} {label}\n" for key, label in labels.items())
    return {
        f"{name}.segments": len(labels),
        f"{name}.labels": hashlib.sha256(said.encode()).hexdigest()[:16],
        f"{name}.features": features.hexdigest()[:16],
    }


def order_mark(labels: list[str]) -> str:
    """The labels in the order of the network's outputs, or for many a digest of them."""
    text = " ".join(labels)
    return text if len(text) <= 60 else hashlib.sha256(text.encode()).hexdigest()[:16]


def machine_marks(device: torch.device, threads: int) -> dict[str, int | str]:
    """What decides on the last bits only: the same settings elsewhere learn the same, up to rounding."""
    return {"threads": threads, "hardware": hardware(device), "torch": str(torch.__version__), "code": code_digest()}


def code_digest() -> str:
    """Of the sources that shape a training: two checkouts may bear the same version."""
    root = Path(sertk.__file__).parent
    hasher = hashlib.sha256()
    for part in SHAPING:
        for path in sorted((root / part).glob("*.py")):
            hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()[:16]
