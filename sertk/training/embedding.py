"""A model's outputs on tables of features: embeddings, training draws, posteriors."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sertk.data.chunks import ChunkRule
from sertk.data.masks import parse_policy
from sertk.data.store import load_store
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.compute import default_precision
from sertk.models.inference import on_segments
from sertk.models.modelfile import Model, load_model
from sertk.runtime import choose_device, set_threads
from sertk.training.draws import DrawPlan, draw_vectors
from sertk.training.job import check_frontend

log = logging.getLogger("sertk")

Results = tuple[Iterator[tuple[str, np.ndarray]], int | None, dict]


def embed(model_path: Path, feats: Rspecifier, at: str, precision=None, device=None, num_threads=None,
          wanted=None) -> Results:  # fmt: skip
    """A vector for every segment (for which wanted(key) is true).

    Returns:
        (key, (dim,) float32) one after the other, their number where it is known, settings for the manifest.

    Raises:
        SertkError: where the features are not what the model was trained on.
    """
    device, _ = choose_device(device), set_threads(num_threads)
    model = open_model(model_path, feats)
    segments = checked(read_table(feats), model.network.spec.bins, model_path, feats)
    chosen = ((key, matrix) for key, matrix in segments if wanted is None or wanted(key))
    results = on_segments(model.network, chosen, at, device, precision or default_precision(device))
    manifest = read_manifest(feats)
    settings = {
        "model": model.digest,
        "at": at,
        "frontend": model.frontend,
        "trained_on": model.card.get("trained_on", {}),
    }
    if at == "posterior":
        settings["labels"] = model.labels
    return results, manifest.keys if manifest and wanted is None else None, settings


def embed_draws(model_path: Path, feats: Rspecifier, num_epochs: int, at: str, *, chunk_frames, augment, padding,
                mask_scope, precision, seed, device, num_threads) -> Results:  # fmt: skip
    """A matrix of training draws for every segment (see sertk.training.draws).

    Returns:
        (key, (epochs * versions, dim) float32) one after the other, their number, settings for the manifest.

    Raises:
        SertkError: where the features are not what the model was trained on.
    """
    device, _ = choose_device(device), set_threads(num_threads)
    model = open_model(model_path, feats)
    spec = model.network.spec
    if spec.frames and at != "map":
        chunk_frames = (spec.frames,)
    store = load_store(feats)
    if store.bins != spec.bins:
        raise SertkError(f"{feats}: {store.bins} bins, {model_path} takes {spec.bins}")
    policies = tuple(parse_policy(name) for name in augment)
    plan = DrawPlan(ChunkRule(seed, policies, padding, mask_scope), num_epochs, chunk_frames)
    precision = precision or default_precision(device)
    log.info("%d segments, %d draws each", len(store), plan.rows)
    settings = {
        "model": model.digest, "at": at, "draws": num_epochs, "augment": list(augment), "seed": seed,
        "chunk_frames": list(chunk_frames), "padding": padding, "mask_scope": mask_scope, "precision": precision,
    }  # fmt: skip
    return draw_vectors(model.network, store, plan, at, device, precision), len(store), settings


def open_model(path: Path, feats: Rspecifier) -> Model:
    """The model at `path`, refused where the manifest of `feats` says that they were made with other settings."""
    model, manifest = load_model(path), read_manifest(feats)
    if manifest:
        check_frontend(model, manifest.settings, path, str(feats))
    return model


def checked(segments, bins: int, model_path, where) -> Iterator[tuple[str, np.ndarray]]:
    """`segments`, each with at least a frame of `bins` numbers.

    Raises:
        SertkError: naming the first that has not.
    """
    for key, feats in segments:
        if feats.shape[1] != bins or not len(feats):
            raise SertkError(f"{where}: {key}: {feats.shape[0]} × {feats.shape[1]}, {model_path} takes {bins} bins")
        yield key, feats
