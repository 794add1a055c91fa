"""The table of draws that heads are trained on: reading it, and checking that it fits the model."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sertk.data.moments import FoldMoments
from sertk.data.store import Store, load_store, store_of
from sertk.errors import SertkError
from sertk.jobs.removed import Removed, read_removed
from sertk.jobs.vectortable import check_complete
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import Model, load_model
from sertk.models.resnet import Head, ResNet
from sertk.models.spec import NetworkSpec
from sertk.training.head import with_head
from sertk.training.labelling import Labelling
from sertk.training.settings import HeadSettings


@dataclass(frozen=True)
class DrawTable:
    """A table of training draws, and the model whose trunk computed them.

    Args:
        model: the model.
        model_path: its file, for messages.
        source: the table.
        store: the draws of all segments, read from disk as they are needed.
        settings: how the draws were computed, from the manifest; {} if unknown (a pipe has no manifest).
        sha256: of the table, from the manifest; "" if unknown.
        removed: what normalisation removed from each segment (--aux), which the rows of the store then end with; None: the
            head does not take it.
        drawn: with `removed` the draws alone, of all segments.
        pooling: of draws of maps: "none" or "attentive", trained with the head.
    """

    model: Model
    model_path: Path
    source: Rspecifier
    store: Store
    settings: dict
    sha256: str
    removed: Removed | None = None
    drawn: Store | None = None
    pooling: str = "none"

    @property
    def map_frames(self) -> int:
        """Frames of the chunks whose maps the head pools; 0 where it takes the draws as they are."""
        return self.settings["chunk_frames"][0] if self.pooling != "none" else 0

    def stores(self) -> list[tuple[Store, Rspecifier]]:
        """The stores that a segment must be in, each with its table; the last one is `store`."""
        if not self.removed:
            return [(self.store, self.source)]
        return [(self.drawn, self.source), (self.store, self.removed.source)]

    @property
    def versions(self) -> int:
        """Draws of a segment in an epoch."""
        return len(self.settings.get("augment", ("none", "conservative", "aggressive")))

    @property
    def frontend(self) -> dict:
        """Front end of the features that the resulting model takes: with --aux it normalises them itself."""
        return self.model.frontend | ({"cmvn": "none"} if self.removed else {})

    @property
    def trained_on(self) -> dict:
        """Training record of the model, {} if unknown."""
        return self.model.card.get("trained_on", {})

    def head_spec(self, num_labels: int, settings: HeadSettings) -> NetworkSpec:
        """The network that results from a head of `num_labels` outputs on these draws."""
        spec = head_spec(self.model, self.settings, num_labels, settings.embedding_dim, self.pooling)
        if self.removed and (spec.frames or self.map_frames):
            raise SertkError(f"{self.source}: --aux is for draws of pooled vectors (embed-segments --draws, at pool)")
        return replace(spec, level_input=self.removed is not None)

    def fingerprint(self) -> dict:
        """What a head depends on beside the draws, for its card: a rerun must have the same."""
        aux = {"aux": self.removed.digest} if self.removed else {}
        return {"init": self.model.digest, "draws": _drawn(self.settings), **aux}

    def moments(self, store: Store, labelling: Labelling) -> FoldMoments | None:
        """Of what normalisation removed; heads on a trunk do not standardise its output (Padi et al. 2021)."""
        if not self.removed:
            return None
        rows = [self.removed.vectors[key][None] for key in store.keys]
        return FoldMoments(store_of(store.keys, rows), labelling.fold_of.__getitem__)

    def network(self, spec: NetworkSpec, head: Head) -> ResNet:
        """The whole network, trunk and head."""
        return with_head(self.model.network, spec, head)

    def check(self, settings: HeadSettings, store: Store) -> None:
        """Check that the draws were computed by the model and suffice for the settings' epochs.

        Args:
            settings: of the training.
            store: the draws of the segments that are trained on.

        Raises:
            SertkError: naming what does not fit.
        """
        if self.settings.get("model", self.model.digest) != self.model.digest:
            raise SertkError(f"{self.source}: these draws were made by another model than {self.model_path}")
        spec = self.head_spec(len(self.model.labels), settings)
        frames = self.map_frames
        dim = (replace(spec, pooling="none", frames=frames) if frames else spec).pooled_dim
        if self.settings.get("at", "pool") not in ("pool", "map") or store.bins != dim:
            raise SertkError(
                f"{self.source}: rows of {store.bins} numbers, the pooling of {self.model_path} gives {dim}"
                " (embed-segments --draws N)"
            )
        rows = settings.epochs * settings.versions
        short = np.flatnonzero(store.num_frames < rows)
        if len(short):
            raise SertkError(
                f"{self.source}: {store.keys[short[0]]} has {store.num_frames[short[0]]} rows, {settings.epochs} epochs of"
                f" {settings.versions} versions take {rows} (embed-segments --draws {settings.epochs})"
            )

    def whole(self, source: Rspecifier, keys: list[str]) -> dict[str, np.ndarray]:
        """Read pooled vectors of whole segments, the input of the head in prediction.

        Args:
            source: vectors from embed-segments --at pool.
            keys: of the segments to read.

        Returns:
            (1, dim) float32 of each.

        Raises:
            SertkError: they were computed by another model or at another place, or a segment has none.
        """
        spec = self.head_spec(len(self.model.labels), HeadSettings())
        if self.map_frames or (spec.frames and not self.model.network.spec.frames):
            raise SertkError(
                f"{source}: this head takes maps, not vectors of whole segments: --select last, without --grid and --inner-scores"
            )
        manifest = read_manifest(source)
        settings = manifest.settings if manifest else {}
        if settings.get("model", self.model.digest) != self.model.digest:
            raise SertkError(f"{source}: these vectors were made by another model than {self.model_path}")
        vectors, wanted, dim = {}, set(keys), spec.pooled_dim - spec.removed_dim
        for key, vector in read_table(source, kind="vector"):
            if key in wanted:
                if len(vector) != dim or settings.get("at", "pool") != "pool":
                    raise SertkError(
                        f"{source}: {key}: {len(vector)} numbers, the pooling of {self.model_path} gives {dim}"
                        " (embed-segments --at pool)"
                    )
                vectors[key] = (np.concatenate([vector, self.removed.vectors[key]]) if self.removed else vector)[None]
        check_complete(vectors, keys, source)
        return vectors


def open_draws(model_path: Path, source: Rspecifier, aux: Rspecifier | None = None, pooling: str = "none") -> DrawTable:
    """Read a model and open a table of its draws.

    Args:
        model_path: the model.
        source: its draws.
        aux: what normalisation removed from its features (cmvn-segment --stats); segments without it are left out.
        pooling: of draws of maps.

    Raises:
        SertkError: as `read_removed`; a pooling is given and the draws are not maps.
    """
    model, manifest = load_model(model_path), read_manifest(source)
    settings, sha256 = (manifest.settings, manifest.sha256) if manifest else ({}, "")
    if pooling != "none" and settings.get("at") != "map":
        unknown = "" if manifest else ", from a file with its manifest, which a pipe does not pass on"
        raise SertkError(
            f"{source}: --pooling {pooling} is for draws of maps (embed-segments --draws N --at map){unknown}"
        )
    # Nothing is kept in memory here: the draws of all epochs can be larger than any memory.
    store = load_store(source, resident_bytes=0)
    if aux:
        removed = read_removed(aux, model, model_path)
        return DrawTable(model, model_path, source, removed.beside(store), settings, sha256, removed, store)
    return DrawTable(model, model_path, source, store, settings, sha256, pooling=pooling)


def head_spec(
    model: Model, draw_settings: dict, num_labels: int, embedding_dim: int | None = None, pooling: str = "none"
) -> NetworkSpec:
    """The network that results from a new head on a model's draws.

    Args:
        model: the model whose trunk computed the draws.
        draw_settings: of the draws.
        num_labels: outputs of the head.
        embedding_dim: of the head; None: as the model's.
        pooling: on draws of maps (embed-segments --at map): the network has none, or that of the head.
    """
    pooled = {}
    if draw_settings.get("at") == "map":
        frames = draw_settings["chunk_frames"][0] if pooling == "none" else 0
        pooled = {"pooling": pooling, "frames": frames}
    size = {} if embedding_dim is None else {"embedding_dim": embedding_dim}
    return model.network.spec.with_new_head(num_labels, **pooled, **size)


def _drawn(settings: dict) -> dict:
    """How draws were cut and masked, from their settings."""
    return {name: value for name, value in settings.items() if name not in ("trained_on", "frontend")}
