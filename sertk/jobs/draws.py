"""Training draws: a frozen trunk's outputs for every epoch's chunks of every segment, as a table."""

from collections.abc import Callable, Iterator, Set
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
from sertk.jobs.options import DrawOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, warn_of_skipped
from sertk.models.spec import NetworkSpec, places, stages_dim
from sertk.runs.fingerprint import data_fingerprint, machine_fingerprint
from sertk.runs.state import ROUNDING
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16
from sertk.training.trunk_pass import WINDOW, DrawPlan, draw_vectors

# Draws of another machine are the same up to rounding; other code computes them again.
DRAW_ROUNDING = ROUNDING - {"code"}


@dataclass(frozen=True)
class TrunkPass:
    """A pass of a frozen trunk over the draws of all segments.

    Args:
        keys: of the segments.
        run: function of (first, stop_requested), see draw_vectors, that yields (key, (rows, dim) float32) from segment
            `first` on.
        rows: draws of a segment.
        dim: numbers of a draw.
        window: segments that are passed together; a pass can be resumed after a multiple of it.
        settings: for the manifest.
        identity: fingerprints of data, code and machine, compared on resume.
    """

    keys: list[str]
    run: Callable[..., Iterator[tuple[str, np.ndarray]]]
    rows: int
    dim: int
    window: int
    settings: dict
    identity: dict

    def size(self, compress: str) -> str:
        """Describe the size of the draws on disk, for the log."""
        gigabytes = len(self.keys) * self.rows * self.dim * (2 if compress == "cm2" else 4) / 1e9
        return f"{len(self.keys)} segments, {self.rows} draws of {self.dim} numbers each: {gigabytes:.3g} GB"


def prepare_trunk_pass(
    model_path: Path,
    feats: Rspecifier,
    options: DrawOptions,
    partial_table: dict | None = None,
    finished_table: dict | None = None,
    skip: Callable[[str, str], None] = warn_of_skipped,
) -> TrunkPass:
    """Read a model and features, and prepare the pass that computes the training draws.

    Args:
        model_path: the model whose trunk is used.
        feats: normalised features.
        options: which draws, and how to compute.
        partial_table: identity and settings of the partial table that is resumed (resumable.begun_with).
        finished_table: of the finished table, which is kept if it is current (resumable.finished_with).
        skip: called with (key, reason) for each segment that is empty.

    Raises:
        SertkError: the features do not fit the model.
    """
    device, threads = choose_device(options.device), prepare_cpu(options.num_threads)
    model = open_model(model_path, feats)
    spec, at = model.network.spec, options.at
    if spec.level_input:
        raise SertkError(
            f"{model_path}: its head takes the level of whole segments (--aux): draw from the model it was made of"
        )
    # Without pooling, a head takes chunks of one length only.
    chunk_frames = (spec.frames,) if spec.frames and at != "map" else options.chunk_frames
    store = load_store(feats, skip=skip)
    if store.bins != spec.bins:
        raise SertkError(f"{feats}: {store.bins} bins, {model_path} takes {spec.bins}")
    policies = tuple(parse_policy(name) for name in options.augment)
    mean = model.network.trunk.mean_input()
    rule = ChunkRule(options.seed, policies, options.padding, options.mask_scope, mean)
    plan = DrawPlan(rule, options.num_epochs, chunk_frames)
    settings = {
        "model": model.digest,
        "at": at,
        "draws": options.num_epochs,
        "augment": list(options.augment),
        "seed": options.seed,
        "chunk_frames": list(chunk_frames),
        "padding": options.padding,
        "mask_scope": options.mask_scope,
        "frontend": model.frontend,
        "trained_on": model.card.get("trained_on", {}),
    }
    manifest = read_manifest(feats)
    no_labels = dict.fromkeys(store.keys, "")
    identity = {
        "sertk": __version__,
        **data_fingerprint("data", no_labels, store, manifest.sha256 if manifest else ""),
        **machine_fingerprint(device, threads),
    }
    earlier = _precision(finished_table, settings, identity, DRAW_ROUNDING)
    earlier = earlier or _precision(partial_table, settings, identity)
    settings["precision"] = choose_precision(options.precision, device, earlier)
    warn_of_emulated_bf16(settings["precision"], device)
    run = partial(draw_vectors, model.network, store, plan, at, device, settings["precision"])
    return TrunkPass(
        store.keys, run, plan.rows, draw_dim(spec, at, chunk_frames), WINDOW[device.type], settings, identity
    )


def _precision(table: dict | None, settings: dict, identity: dict, ignored: Set[str] = frozenset()) -> str | None:
    """The precision of an earlier table with these settings and this identity; None for any other."""
    before = (table or {}).get("settings", {})
    same = all(before.get(name) == value for name, value in settings.items())
    same = same and all(table.get(name) == value for name, value in identity.items() if name not in ignored)
    return before.get("precision") if same else None


def draw_dim(spec: NetworkSpec, at: str, chunk_frames: tuple[int, ...]) -> int:
    """Dimension of a draw taken at "map", "pool", "embedding" or stages."""
    if numbers := places(at):
        return stages_dim(spec, numbers)
    if at == "embedding":
        return spec.embedding_dim or spec.pooled_dim
    return replace(spec, pooling="none", frames=chunk_frames[0]).pooled_dim if at == "map" else spec.pooled_dim
