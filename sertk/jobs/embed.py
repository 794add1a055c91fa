"""Outputs of a model on a table of features: embeddings, pooled vectors, posteriors."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table, warn_of_skipped
from sertk.models.inference import on_segments
from sertk.models.modelfile import Model, check_frontend, check_outputs, load_model
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16

Segments = Iterator[tuple[str, np.ndarray]]


def embed(
    model_path: Path,
    feats: Rspecifier,
    at: str,
    precision: str = "auto",
    device: str | None = None,
    num_threads: int | None = None,
    wanted: Callable[[str], bool] | None = None,
    skip: Callable[[str, str], None] = warn_of_skipped,
) -> tuple[Segments, int | None, dict]:
    """Compute a vector for every segment.

    Args:
        model_path: the model.
        feats: normalised features.
        at: "posterior", "logit", "embedding" or "pool".
        precision: "auto", "float32" or "bf16".
        device: "cpu", "cuda" or "cuda:N"; None: the GPU if there is one.
        num_threads: CPU threads; None: see runtime.prepare_cpu.
        wanted: function of a key that is True for the segments to compute; None: all.
        skip: called with (key, reason) for each segment that is empty.

    Returns:
        (key, (dim,) float32) of each segment, computed as they are iterated; the number of segments, None if unknown; and
        settings for the manifest.

    Raises:
        SertkError: the features do not fit the model.
    """
    torch_device, _ = choose_device(device), prepare_cpu(num_threads)
    precision = choose_precision(precision, torch_device)
    model = open_model(model_path, feats)
    if at == "posterior":
        check_outputs(model, model_path)
    segments = ((key, matrix) for key, matrix in read_table(feats, skip=skip) if wanted is None or wanted(key))
    fitting = check_bins(filled(segments, skip), model.network.spec.bins, model_path, feats)
    warn_of_emulated_bf16(precision, torch_device)
    vectors = on_segments(model.network, fitting, at, torch_device, precision)
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
    return vectors, manifest.keys if manifest and wanted is None else None, settings


def open_model(path: Path, feats: Rspecifier) -> Model:
    """Read a model and check that the features were made with its front-end settings.

    Raises:
        SertkError: the manifest of `feats` records other settings.
    """
    model, manifest = load_model(path), read_manifest(feats)
    if manifest:
        check_frontend(model, manifest.settings, path, str(feats))
    return model


def check_bins(segments: Iterable[tuple[str, np.ndarray]], bins: int, model_path: Path, feats: Rspecifier) -> Segments:
    """Pass segments on, each checked to have the number of bins that the model takes.

    Args:
        segments: (key, (frames, bins)).
        bins: of the model.
        model_path: for the message.
        feats: for the message.

    Raises:
        SertkError: naming the first segment with another number of bins.
    """
    for key, matrix in segments:
        if matrix.shape[1] != bins:
            raise SertkError(f"{feats}: {key}: {matrix.shape[0]} × {matrix.shape[1]}, {model_path} takes {bins} bins")
        yield key, matrix
