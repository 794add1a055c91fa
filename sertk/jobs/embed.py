"""Outputs of a model on a table of features: embeddings, pooled vectors, posteriors."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.origins import check_space, transductive
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table, warn_of_skipped
from sertk.models.inference import on_segments
from sertk.models.modelfile import Model, check_frontend, check_outputs, load_model
from sertk.models.vectorhead import VectorHead, on_vectors
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
        model_path: the model; for posteriors also a head on vectors.
        feats: normalised features, or vectors for a head on vectors.
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
    model, manifest = open_model(model_path, feats, heads=at == "posterior"), read_manifest(feats)
    if at == "posterior":
        check_outputs(model, model_path)
    on_a_head = isinstance(model.network, VectorHead)
    entries = read_table(feats, kind="numbers" if on_a_head else "matrix", skip=skip)
    segments = filled(((key, value) for key, value in entries if wanted is None or wanted(key)), skip)
    if on_a_head:
        precision = "float32"
        vectors = on_vectors(model.network, arranged(segments, model.network, model_path, feats), torch_device)
    else:
        fitting = check_bins(segments, model.network.spec.bins, model_path, feats)
        warn_of_emulated_bf16(precision, torch_device)
        vectors = on_segments(model.network, fitting, at, torch_device, precision)
    settings = {
        "model": model.digest,
        "at": at,
        "precision": precision,
        "frontend": model.frontend,
        "trained_on": model.card.get("trained_on", {}),
    }
    given = manifest.settings if manifest else {}
    if transductive(model.frontend) or transductive(given):
        settings["frontend"] = {**model.frontend, "transductive": True}
    if "enrolled" in given:
        settings["enrolled"] = given["enrolled"]
    if at == "posterior":
        settings["labels"] = model.labels
    return vectors, manifest.keys if manifest and wanted is None else None, settings


def open_model(path: Path, feats: Rspecifier, heads: bool = False) -> Model:
    """Read a model and check that the features (or vectors) were made with its settings.

    Args:
        path: of the model.
        feats: what it is to take.
        heads: it may be a head on vectors.

    Raises:
        SertkError: the manifest of `feats` records other settings.
    """
    model, manifest = load_model(path, heads), read_manifest(feats)
    if manifest and isinstance(model.network, VectorHead):
        check_space(model.frontend, manifest.settings, str(feats), str(path))
    elif manifest:
        check_frontend(model, manifest.settings, path, str(feats))
    return model


def arranged(
    segments: Iterable[tuple[str, np.ndarray]], head: VectorHead, model_path: Path, vectors: Rspecifier
) -> Segments:
    """Pass vectors and matrices on as the rows that a head takes (see VectorHead.rows).

    Raises:
        SertkError: naming the first segment of another size.
    """
    for key, value in segments:
        try:
            yield key, head.rows(value)
        except SertkError as error:
            raise SertkError(f"{vectors}: {key}: {error} ({model_path})") from None


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
