"""Training draws: a frozen trunk's outputs for every epoch's chunks of every segment, as a table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sertk import __version__
from sertk.data.chunks import ChunkRule
from sertk.data.masks import parse_policy
from sertk.data.store import load_store
from sertk.errors import SertkError
from sertk.jobs.embed import open_model
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, warn_of_skipped
from sertk.models.resnet import NetworkSpec
from sertk.runs.fingerprint import data_marks, machine_marks
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16
from sertk.training.trunk_pass import WINDOW, DrawPlan, draw_vectors


def embed_draws(model_path: Path, feats: Rspecifier, num_epochs: int, at: str, *, chunk_frames, augment, padding,
                mask_scope, precision, seed, device, num_threads, begun=None, skip=warn_of_skipped) -> "TrunkPass":  # fmt: skip
    """A pass that gives a matrix of training draws, (epochs * versions, dim) float32, for every segment.

    Args:
        begun: what the partial table that is resumed was begun with (resumable.begun_with).
        skip: called with (key, reason) for each segment that is empty.

    Raises:
        SertkError: where the features are not what the model was trained on.
    """
    device, threads = choose_device(device), prepare_cpu(num_threads)
    model = open_model(model_path, feats)
    spec = model.network.spec
    if spec.frames and at != "map":
        chunk_frames = (spec.frames,)
    store = load_store(feats, skip=skip)
    if store.bins != spec.bins:
        raise SertkError(f"{feats}: {store.bins} bins, {model_path} takes {spec.bins}")
    policies = tuple(parse_policy(name) for name in augment)
    plan = DrawPlan(ChunkRule(seed, policies, padding, mask_scope), num_epochs, chunk_frames)
    settings = {
        "model": model.digest, "at": at, "draws": num_epochs, "augment": list(augment), "seed": seed,
        "chunk_frames": list(chunk_frames), "padding": padding, "mask_scope": mask_scope,
    }  # fmt: skip
    manifest = read_manifest(feats)
    everything = dict.fromkeys(store.keys, "")
    identity = {
        "sertk": __version__,
        **data_marks("data", everything, store, manifest.sha256 if manifest else ""),
        **machine_marks(device, threads),
    }
    settings["precision"] = choose_precision(precision, device, _begun_precision(begun or {}, settings, identity))
    warn_of_emulated_bf16(settings["precision"], device)
    run = partial(draw_vectors, model.network, store, plan, at, device, settings["precision"])
    return TrunkPass(store.keys, run, plan.rows, width(spec, at, chunk_frames), WINDOW[device.type], settings, identity)


def _begun_precision(begun: dict, settings: dict, identity: dict) -> str | None:
    """The precision of a partial table that was begun with these settings and this identity; None for any other."""
    before = begun.get("settings", {})
    same = all(before.get(name) == value for name, value in settings.items())
    same = same and all(begun.get(name) == value for name, value in identity.items())
    return before.get("precision") if same else None


@dataclass(frozen=True)
class TrunkPass:
    """A pass of a frozen trunk over the draws of all segments.

    Args:
        keys: of the segments.
        run: function of (first, stop), see draw_vectors, that gives (key, (rows, dim) float32) from segment `first` on.
        rows: draws of a segment.
        dim: numbers of a draw.
        window: segments that are passed together: where a pass can be gone on with.
        settings: for the manifest.
        identity: what else the numbers are a function of.
    """

    keys: list[str]
    run: Callable[..., Iterator[tuple[str, np.ndarray]]]
    rows: int
    dim: int
    window: int
    settings: dict
    identity: dict

    def size(self, compress: str) -> str:
        """What the draws will take on disk, for people."""
        gigabytes = len(self.keys) * self.rows * self.dim * (2 if compress == "cm2" else 4) / 1e9
        return f"{len(self.keys)} segments, {self.rows} draws of {self.dim} numbers each: {gigabytes:.3g} GB"


def width(spec: NetworkSpec, at: str, chunk_frames: tuple[int, ...]) -> int:
    """Numbers of a draw at this place of the network."""
    if at == "embedding":
        return spec.embedding_dim
    return replace(spec, pooling="none", frames=chunk_frames[0]).pooled_dim if at == "map" else spec.pooled_dim
