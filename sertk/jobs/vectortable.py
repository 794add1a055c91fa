"""A table of vectors of any origin that heads are trained on, without a network of ours."""

from dataclasses import dataclass, field

import numpy as np

from sertk.data.moments import FoldMoments
from sertk.data.store import Store, load_store, store_of
from sertk.errors import SertkError
from sertk.kaldi.origins import check_space, space, training_record
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead
from sertk.training.labelling import Labelling
from sertk.training.settings import HeadSettings

# transfer-head's MODEL where there is none.
NO_MODEL = "none"


@dataclass(frozen=True)
class VectorTable:
    """A table of vectors, or of matrices whose rows are draws or layers.

    Args:
        source: the table.
        store: a matrix of draws for each segment; of one row, if the table has vectors or layers.
        settings: of the manifest, {} without one.
        sha256: of the table, from the manifest; "" if unknown.
        layers: layers that a row consists of, 0 without --layer-weights.
        trained_on: training record of what computed the vectors; {} if unknown, None if nothing was trained.
    """

    source: Rspecifier
    store: Store
    settings: dict
    sha256: str
    layers: int = 0
    trained_on: dict | None = field(default_factory=dict)
    map_frames = 0  # vectors are no maps that a head could pool

    @property
    def versions(self) -> int:
        """Rows of a segment in an epoch: with draws of embed-segments a row for each version, else one, in turn."""
        return 1 if self.layers else len(self.settings.get("augment", ("none",)))

    def stores(self) -> list[tuple[Store, Rspecifier]]:
        """The stores that a segment must be in, each with its table."""
        return [(self.store, self.source)]

    @property
    def frontend(self) -> dict:
        """What a model records of the vectors that it takes."""
        return space(self.settings)

    def head_spec(self, num_labels: int, settings: HeadSettings) -> HeadSpec:
        """The head of `num_labels` outputs on these vectors."""
        dim = 256 if settings.embedding_dim is None else settings.embedding_dim
        return HeadSpec(self.store.bins // max(self.layers, 1), num_labels, dim, layers=self.layers)

    def check(self, settings: HeadSettings, store: Store) -> None:
        """Check that the rows may be used in turn; there are never too few.

        Raises:
            SertkError: the rows are layers.
        """
        if self.settings.get("layers") and not self.layers and store.num_frames.max() > 1:
            raise SertkError(
                f"{self.source}: the rows are an encoder's layers (its manifest says): --layer-weights true"
            )

    def fingerprint(self) -> dict:
        """What a head depends on beside the vectors, for its card: a rerun must have the same."""
        return {"init": NO_MODEL, "vectors": self.frontend}

    def moments(self, store: Store, labelling: Labelling) -> FoldMoments:
        """Moments of the folds of some segments, for the heads' standardisation."""
        return FoldMoments(store, labelling.fold_of.__getitem__)

    def whole(self, source: Rspecifier | None, keys: list[str]) -> dict[str, np.ndarray]:
        """Read the vectors of whole segments.

        Args:
            source: another table of such vectors; None: this table, all rows.
            keys: of the segments.

        Returns:
            (rows, dim) float32 of each; a posterior is the mean over the rows.

        Raises:
            SertkError: a segment has none, or one of another size.
        """
        if source is None:
            place = {key: index for index, key in enumerate(self.store.keys)}
            return {key: self.store[place[key]].rows(0, int(self.store.num_frames[place[key]])) for key in keys}
        manifest = read_manifest(source)
        check_space(self.frontend, manifest.settings if manifest else {}, str(source), str(self.source))
        head = VectorHead(self.head_spec(1, HeadSettings(embedding_dim=0)))
        rows, wanted = {}, set(keys)
        for key, value in read_table(source, kind="numbers"):
            if key in wanted:
                try:
                    rows[key] = head.rows(value)
                except SertkError as error:
                    raise SertkError(f"{source}: {key}: {error}") from None
        check_complete(rows, keys, source)
        return rows

    def network(self, spec: HeadSpec, head: VectorHead) -> VectorHead:
        """What a model file keeps: the head alone, on the CPU."""
        network = VectorHead(spec)
        network.load_state_dict(head.state_dict())
        return network.eval()


def check_complete(vectors: dict[str, np.ndarray], keys: list[str], source: Rspecifier) -> None:
    """Raise SertkError if a segment has no vector."""
    missing = [key for key in keys if key not in vectors]
    if missing:
        raise SertkError(f"{source}: {len(missing)} of {len(keys)} segments are not in it, the first is {missing[0]}")


def open_vectors(source: Rspecifier, layer_weights: bool, trained_on: str | None = None) -> VectorTable:
    """Open a table of vectors or matrices.

    Args:
        source: the table; large matrices of draws stay on disk, if it is a script.
        layer_weights: rows of a matrix are layers.
        trained_on: what computed the vectors was trained on, in words, or "nothing"; None: as the manifest says.

    Raises:
        SertkError: a value has another size than the first.
    """
    manifest = read_manifest(source)
    settings, sha256 = (manifest.settings, manifest.sha256) if manifest else ({}, "")
    record = training_record({"trained_on": trained_on} if trained_on else settings)
    if source.script and not layer_weights and _first(source).ndim == 2:
        return VectorTable(source, load_store(source), settings, sha256, 0, record)
    keys, rows, layers = [], [], 0
    for key, value in filled(read_table(source, kind="numbers")):
        if layer_weights:
            if value.ndim != 2 or (keys and len(value) != layers):
                expected = f", {keys[0]} has {layers}" if keys else ""
                raise SertkError(f"{source}: {key}: {len(np.atleast_2d(value))} layers{expected} (--layer-weights)")
            layers, value = len(value), value.reshape(1, -1)
        value = np.atleast_2d(value)
        if rows and value.shape[1] != rows[0].shape[1]:
            raise SertkError(f"{source}: {key}: {value.shape[1]} numbers, {keys[0]} has {rows[0].shape[1]}")
        keys.append(key)
        rows.append(value)
    if not keys:
        raise SertkError(f"{source}: all its vectors are empty")
    return VectorTable(source, store_of(keys, rows), settings, sha256, layers, record)


def _first(source: Rspecifier) -> np.ndarray:
    """The first value of a stored table; a vector of nothing for a pipe, which is read once only."""
    if source.rxfilename.kind != "file":
        return np.zeros(0)
    return next(read_table(source, kind="numbers"))[1]
