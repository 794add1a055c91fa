"""A model's outputs on tables of features: embeddings, pooled vectors, posteriors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table, warn_of_skipped
from sertk.models.inference import on_segments
from sertk.models.modelfile import Model, check_frontend, check_outputs, load_model
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16

Results = tuple[Iterator[tuple[str, np.ndarray]], int | None, dict]


def embed(model_path: Path, feats: Rspecifier, at: str, precision="auto", device=None, num_threads=None,
          wanted=None, skip=warn_of_skipped) -> Results:  # fmt: skip
    """A vector for every segment (for which wanted(key) is true).

    Args:
        skip: called with (key, reason) for each of them that is empty.

    Returns:
        (key, (dim,) float32) one after the other, their number where it is known, settings for the manifest.

    Raises:
        SertkError: where the features are not what the model was trained on.
    """
    device, _ = choose_device(device), prepare_cpu(num_threads)
    precision = choose_precision(precision, device)
    model = open_model(model_path, feats)
    if at == "posterior":
        check_outputs(model, model_path)
    segments = ((key, matrix) for key, matrix in read_table(feats, skip=skip) if wanted is None or wanted(key))
    chosen = checked(filled(segments, skip), model.network.spec.bins, model_path, feats)
    warn_of_emulated_bf16(precision, device)
    results = on_segments(model.network, chosen, at, device, precision)
    manifest = read_manifest(feats)
    settings = {
        "model": model.digest,
        "at": at,
        "precision": precision,
        "frontend": model.frontend,
        "trained_on": model.card.get("trained_on", {}),
    }
    if at == "posterior":
        settings["labels"] = model.labels
    return results, manifest.keys if manifest and wanted is None else None, settings


def open_model(path: Path, feats: Rspecifier) -> Model:
    """The model at `path`, refused where the manifest of `feats` says that they were made with other settings."""
    model, manifest = load_model(path), read_manifest(feats)
    if manifest:
        check_frontend(model, manifest.settings, path, str(feats))
    return model


def checked(segments, bins: int, model_path, where) -> Iterator[tuple[str, np.ndarray]]:
    """`segments`, each of frames of `bins` numbers.

    Raises:
        SertkError: naming the first that has not.
    """
    for key, feats in segments:
        if feats.shape[1] != bins:
            raise SertkError(f"{where}: {key}: {feats.shape[0]} × {feats.shape[1]}, {model_path} takes {bins} bins")
        yield key, feats
