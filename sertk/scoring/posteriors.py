"""Reading posteriors for scoring: every test segment once, with the expected labels and fold."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.script import read_script
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.scoring.trainingrecords import ORACLE, chain

# Predictions of a fold's training segments, beside its scores; each training fold's by a model without it.
INNER_SCORES = "inner.ark"
# Posteriors are stored as float32, and rounded in text tables.
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class Scored:
    """Posteriors of one training run, with the manifests of their archives.

    Args:
        source: rspecifier or experiment folder.
        keys: segments.
        posteriors: (segments, classes) float64, in the order of `keys`.
        archives: archive of each segment.
        settings: archive -> settings of its manifest, None without a manifest.
    """

    source: str
    keys: list[str]
    posteriors: np.ndarray
    archives: list[str]
    settings: dict[str, dict | None]

    @property
    def guess(self) -> np.ndarray:
        """Most probable class of each segment, the first one in a tie, (segments,)."""
        return self.posteriors.argmax(axis=1)

    @property
    def select(self) -> str | None:
        """Model selection rule (last, dev-session, oracle); None if no manifest records it."""
        rules = sorted({str(record["select"]) for record in self._records.values() if "select" in record})
        return ", ".join(rules) or None

    @property
    def chosen_on_test(self) -> bool:
        """True if an epoch of a model, or of one it was initialised from, was selected on the test fold (oracle)."""
        networks = (network for trained_on in self._records.values() for network in chain(trained_on))
        return any(network.get("select") == ORACLE for network in networks)

    @property
    def _records(self) -> dict[str, dict]:
        """Archive -> training record of its model, {} if there is none."""
        records = {name: (settings or {}).get("trained_on") for name, settings in self.settings.items()}
        return {name: record if isinstance(record, dict) else {} for name, record in records.items()}

    @property
    def folds(self) -> dict[str, int]:
        """Fold whose model scored each segment, for archives whose manifest records it."""
        fold_of = {name: str(record.get("fold", "")) for name, record in self._records.items()}
        return {key: int(fold_of[name]) for key, name in zip(self.keys, self.archives) if fold_of[name].isdecimal()}


def guesses_of(runs: Sequence[Scored]) -> np.ndarray:
    """Most probable classes of each training run, (runs, segments)."""
    return np.stack([scored.guess for scored in runs])


def select_of(runs: Sequence[Scored]) -> str | None:
    """Model selection rules of all training runs; None if no manifest records them."""
    rules = sorted({rule for scored in runs if scored.select for rule in scored.select.split(", ")})
    return ", ".join(rules) or None


def truth_of(utt2label: Mapping[str, str], labels: Sequence[str], where: str | Path) -> np.ndarray:
    """Class indices of a utt2label.

    Args:
        utt2label: label of each segment.
        labels: class names.
        where: file name for error messages.

    Raises:
        SertkError: a label is not among `labels`.

    Shape:
        - Output: (segments,)
    """
    number = {label: index for index, label in enumerate(labels)}
    for utt, label in utt2label.items():
        if label not in number:
            raise SertkError(f"{where}: {utt}: label '{label}' is not one of {' '.join(labels)}")
    return np.array([number[label] for label in utt2label.values()])


def read_posteriors(source: str | Path, keys: Sequence[str], labels: Sequence[str]) -> Scored:
    """Read the posteriors of exactly `keys`.

    Args:
        source: rspecifier, or an experiment folder with scores.ark or one per fold (1/scores.ark, 2/scores.ark, …).
        keys: segments.
        labels: class names.

    Raises:
        SertkError: a segment is missing, unknown or scored twice, a vector has another dimension or is not a distribution,
            a manifest names other labels, or the model beside an archive has been trained again since.
    """
    index_of = {key: index for index, key in enumerate(keys)}
    posteriors = np.full((len(keys), len(labels)), np.nan)
    archives: list[str] = [""] * len(keys)
    settings: dict[str, dict | None] = {}
    for table in _tables(source):
        archive_of = _archives(table)
        for key, vector in read_table(table, kind="vector"):
            name = archive_of[key] if isinstance(archive_of, dict) else archive_of
            if name not in settings:
                settings[name] = _settings(name, labels)
            if key not in index_of:
                raise SertkError(f"{name}: {key} is scored but not in the test set")
            index = index_of[key]
            if archives[index]:
                remedy = ": move away what is of earlier folds" if Path(str(source)).is_dir() else ""
                raise SertkError(f"{name}: {key} is scored twice (before: {archives[index]}){remedy}")
            posteriors[index], archives[index] = _checked(name, key, vector, labels), name
    missing = [key for key, name in zip(keys, archives) if not name]
    if missing:
        more = f" ({len(missing)} segments are not)" if len(missing) > 1 else ""
        raise SertkError(f"{source}: {missing[0]} is in the test set but not scored{more}")
    return Scored(str(source), list(keys), posteriors, archives, settings)


def read_runs(source: str, keys: Sequence[str], labels: Sequence[str]) -> list[Scored]:
    """Read the training runs of one system: the `seed*` subfolders of a folder, or `source` as a single run.

    Args:
        source: rspecifier or experiment folder.
        keys: segments.
        labels: class names.

    Raises:
        SertkError: as `read_posteriors`; the folder has scores of its own beside those of runs; two runs have equal scores.
    """
    folder = Path(str(source))
    folders = [path for path in folder.glob("seed*") if path.is_dir() and _archives_in(path)] if folder.is_dir() else []
    if not folders:
        return [read_posteriors(source, keys, labels)]
    if own := _archives_in(folder):
        raise SertkError(
            f"{folder}: has scores of its own ({own[0].relative_to(folder)}) and of runs ({min(folders).name})"
        )
    runs = [read_posteriors(str(path), keys, labels) for path in sorted(folders)]
    for n, one in enumerate(runs):
        for other in runs[:n]:
            if np.array_equal(one.posteriors, other.posteriors):
                raise SertkError(
                    f"{other.source} and {one.source} hold the same scores: these are not two training runs"
                )
    return runs


def check_folds(scored: Scored, utt2fold: Mapping[str, int]) -> None:
    """Check that every segment was scored by the model that held it out.

    Fold numbers may differ: folds are equal if the same segments are held out together.

    Args:
        scored: posteriors with manifests.
        utt2fold: fold of each segment.

    Raises:
        SertkError: by its manifest, a segment was scored by the model of another fold.
    """
    pairs = {(fold, utt2fold[key]) for key, fold in scored.folds.items()}
    if len(pairs) == len({here for here, _ in pairs}) == len({there for _, there in pairs}):
        return
    for key, fold in scored.folds.items():
        if fold != utt2fold[key]:
            name = scored.archives[scored.keys.index(key)]
            raise SertkError(
                f"{name}: {key} was scored by fold {fold}'s model, utt2fold has it in {utt2fold[key]}"
                " (train and predict again in these folds)"
            )


def _tables(source: str | Path) -> Iterator[str]:
    """Rspecifiers of the score tables of `source`."""
    folder = Path(str(source))
    if not folder.is_dir():
        if not str(source).partition(":")[1]:
            raise SertkError(f"{source}: neither a folder nor a rspecifier (ark:FILE, scp:FILE)")
        yield str(source)
        return
    archives = _archives_in(folder)
    if not archives:
        raise SertkError(f"{folder}: neither scores.ark nor 1/scores.ark, 2/scores.ark, … in this folder")
    yield from (f"ark:{path}" for path in archives)


def _archives_in(folder: Path) -> list[Path]:
    """Score archives of an experiment folder."""
    # Only numbered folders are folds: there are others (folds, log, another system).
    archives = sorted(path for path in folder.glob("*/scores.ark") if path.parent.name.isdigit())
    return archives or sorted(folder.glob("scores.ark"))


def _archives(table: str) -> str | dict[str, str]:
    """The archive of a table, or of each key of a script; manifests are beside archives.

    A script read from a pipe cannot be read twice, so the archives of its entries are unknown.
    """
    spec = parse_rspecifier(table)
    if not spec.script or spec.rxfilename.kind != "file":
        return spec.filename
    return {entry.key: entry.rxfilename.path or entry.name for entry in read_script(spec)}


def _settings(archive: str, labels: Sequence[str]) -> dict | None:
    """Settings of an archive's manifest, None without one. Raises SertkError for other labels, and scores of an earlier model."""
    manifest = read_manifest(f"ark:{archive}")
    if manifest is None:
        return None
    named = manifest.settings.get("labels", list(labels))
    if list(named) != list(labels):
        raise SertkError(f"{archive}: its posteriors are of {' '.join(map(str, named))}, expected {' '.join(labels)}")
    path = Path(archive)
    model = (path.resolve() if path.is_symlink() else path).with_name("final.pt")
    if not is_by(model, archive, manifest.settings):
        raise SertkError(f"{archive}: not by {model}, which was trained again since (predict-emotion writes it)")
    return manifest.settings


def is_by(model: Path, scores: str | Path, settings: Mapping) -> bool:
    """False if a model was trained again after the scores that it computed; scores of another model are newer than it.

    Args:
        model: the model, such as the final.pt beside the scores, which may be of an average of its epochs.
        scores: their file.
        settings: of their manifest.
    """
    computed_by = settings.get("model")
    return not (computed_by and _is_newer(model, scores) and _digest(model) not in (None, computed_by))


def _is_newer(model: Path, scores: str | Path) -> bool:
    try:
        return model.stat().st_mtime_ns > Path(scores).stat().st_mtime_ns
    except OSError:
        return False


def _digest(model: Path) -> str | None:
    """The digest of a model file (the last one in it), read without torch; None if there is no such file."""
    try:
        with zipfile.ZipFile(model) as file:
            pickled = file.read(next(name for name in file.namelist() if name.endswith("data.pkl")))
        return re.findall(rb"[0-9a-f]{64}", pickled)[-1].decode()
    except (OSError, zipfile.BadZipFile, LookupError, StopIteration):
        return None


def _checked(name: str, key: str, vector: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """`vector`, if it is a distribution over `labels`. Raises SertkError."""
    if vector.shape != (len(labels),):
        raise SertkError(f"{name}: {key}: {vector.size} posteriors for {len(labels)} labels ({' '.join(labels)})")
    if not np.isfinite(vector).all():
        raise SertkError(f"{name}: {key}: a posterior is NaN or infinite")
    total = float(vector.sum(dtype=np.float64))
    if vector.min() < 0 or abs(total - 1) > _SUM_TOLERANCE:
        raise SertkError(f"{name}: {key}: not probabilities (lowest {vector.min():g}, sum {total:g})")
    return vector
