"""Fingerprints of data, code and machine, compared on resume."""

import hashlib
from pathlib import Path

import numpy as np
import torch

import sertk
from sertk.data.store import Store
from sertk.runtime import hardware

# Packages whose code determines the result of a training.
HASHED_PACKAGES = ("data", "models", "training", "jobs")
# Segments whose first, middle and last row are hashed, in case a table was changed without its manifest.
SAMPLED_SEGMENTS = 256


def data_fingerprint(name: str, labels: dict[str, str], store: Store, sha256: str = "") -> dict[str, int | str]:
    """Fingerprints of a data set: NAME.segments, NAME.labels and NAME.features, so that a difference names its cause.

    Args:
        name: of the data set.
        labels: label of every segment of `store`, in its order.
        store: the features.
        sha256: of their table, from its manifest; "" without one.
    """
    features = hashlib.sha256(sha256.encode())
    features.update(np.asarray(store.num_frames, dtype="<i8").tobytes())
    for index in np.unique(np.linspace(0, len(store) - 1, SAMPLED_SEGMENTS).astype(int)).tolist():
        segment = store[index]
        for row in sorted({0, segment.num_frames // 2, segment.num_frames - 1}):
            features.update(segment.rows(row, row + 1).astype("<f4").tobytes())
    lines = "".join(f"{key} {label}\n" for key, label in labels.items())
    return {
        f"{name}.segments": len(labels),
        f"{name}.labels": hashlib.sha256(lines.encode()).hexdigest()[:16],
        f"{name}.features": features.hexdigest()[:16],
    }


def label_order_fingerprint(labels: list[str]) -> str:
    """The labels in the order of the network's outputs; a digest if there are many."""
    text = " ".join(labels)
    return text if len(text) <= 60 else hashlib.sha256(text.encode()).hexdigest()[:16]


def machine_fingerprint(device: torch.device, threads: int) -> dict[str, int | str]:
    """Fingerprints of machine and code: where these differ, results differ by rounding only."""
    return {"threads": threads, "hardware": hardware(device), "torch": str(torch.__version__), "code": code_digest()}


def code_digest() -> str:
    """Digest of the sources that determine a training: two checkouts may have the same version."""
    root = Path(sertk.__file__).parent
    hasher = hashlib.sha256()
    for package in HASHED_PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()[:16]
