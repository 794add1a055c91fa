"""What normalisation removes from the features of a model: the mean and deviation of every bin of each segment."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.data.store import Store
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import Model, check_frontend


@dataclass(frozen=True)
class Removed:
    """Vectors of cmvn-segment --stats.

    Args:
        source: their table.
        vectors: (2 * bins,) float32 of each segment.
        digest: sha256 of the table, "" if unknown.
    """

    source: Rspecifier
    vectors: dict[str, np.ndarray]
    digest: str

    def beside(self, store: Store) -> Store:
        """A store of the segments that have a vector, which is put at the end of each of their rows."""
        kept = store.only(self.vectors.__contains__)
        dim = len(next(iter(self.vectors.values())))

        def rows(index: int, start: int, stop: int, out: np.ndarray | None) -> np.ndarray:
            joined = np.empty((stop - start, store.bins + dim), np.float32) if out is None else out
            joined[:, : store.bins] = kept[index].rows(start, stop)
            joined[:, store.bins :] = self.vectors[kept.keys[index]]
            return joined

        return Store(kept.keys, kept.num_frames, store.bins + dim, rows, kept.on_disk)


def read_removed(source: Rspecifier, model: Model, model_path: Path) -> Removed:
    """Read the vectors of cmvn-segment --stats that belong to a model's features.

    Args:
        source: the table.
        model: the model, which was trained on features whose segments are normalised.
        model_path: for messages.

    Raises:
        SertkError: the model's features are not normalised segment by segment, or the vectors are of other features.
    """
    if (cmvn := model.frontend.get("cmvn")) != "segment":
        raise SertkError(
            f"{model_path}: --aux is what cmvn-segment removes from its features, but they have cmvn={cmvn or 'unknown'}"
        )
    manifest, dim = read_manifest(source), 2 * model.network.spec.bins
    settings = manifest.settings if manifest else {}
    if manifest and settings.get("statistics") != "mean, deviation":
        raise SertkError(f"{source}: not vectors of cmvn-segment --stats (its manifest says)")
    described = {name: value for name, value in settings.items() if name not in ("statistics", "trained_on")}
    check_frontend(model, described and described | {"cmvn": "segment"}, model_path, str(source))
    vectors = {}
    for key, vector in read_table(source, kind="vector"):
        if len(vector) != dim:
            raise SertkError(
                f"{source}: {key}: {len(vector)} numbers, mean and deviation of {model_path}'s bins are {dim}"
            )
        vectors[key] = vector
    if not vectors:
        raise SertkError(f"{source}: is empty")
    return Removed(source, vectors, manifest.sha256 if manifest else "")
