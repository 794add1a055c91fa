"""Posteriors read for scoring: every segment of the test exactly once, by the right labels, by the right fold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.script import read_script
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.scoring.protocol import ORACLE, chain

# Posteriors are float32, and text tables round them.
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class Scored:
    """Posteriors (segments, classes) float64 in the order of `keys`, and the settings of the archives they came from.

    settings: archive -> its manifest's settings (None without a manifest); archives: each segment's archive.
    """

    source: str
    keys: list[str]
    posteriors: np.ndarray
    archives: list[str]
    settings: dict[str, dict | None]

    @property
    def guess(self) -> np.ndarray:
        """The most probable class of each segment, the first of equals: (segments,)."""
        return self.posteriors.argmax(axis=1)

    @property
    def select(self) -> str | None:
        """How the models' epochs were chosen (last, dev-session, oracle), None where no manifest says it."""
        rules = sorted({str(record["select"]) for record in self._records.values() if "select" in record})
        return ", ".join(rules) or None

    @property
    def chosen_on_test(self) -> bool:
        """Whether an epoch of a model, or of one that it began from, was chosen by the fold that it is tested on."""
        return any(record.get("select") == ORACLE for found in self._records.values() for record in chain(found))

    @property
    def _records(self) -> dict[str, dict]:
        said = {name: (settings or {}).get("trained_on") for name, settings in self.settings.items()}
        return {name: record if isinstance(record, dict) else {} for name, record in said.items()}

    @property
    def folds(self) -> dict[str, int]:
        """The fold whose model scored each segment, where its manifest says it."""
        said = {name: str(record.get("fold", "")) for name, record in self._records.items()}
        return {key: int(said[name]) for key, name in zip(self.keys, self.archives) if said[name].isdecimal()}


def guesses_of(runs: Sequence[Scored]) -> np.ndarray:
    """The most probable classes of each training run, (runs, segments)."""
    return np.stack([scored.guess for scored in runs])


def select_of(runs: Sequence[Scored]) -> str | None:
    """How the epochs of all training runs were chosen, None where no manifest says it."""
    rules = sorted({rule for scored in runs if scored.select for rule in scored.select.split(", ")})
    return ", ".join(rules) or None


def truth_of(utt2label: Mapping[str, str], labels: Sequence[str], where) -> np.ndarray:
    """Class numbers of a utt2label, (segments,); SertkError for a label that is not among `labels`."""
    number = {label: index for index, label in enumerate(labels)}
    for utt, label in utt2label.items():
        if label not in number:
            raise SertkError(f"{where}: {utt}: label '{label}' is not one of {' '.join(labels)}")
    return np.array([number[label] for label in utt2label.values()])


def read_posteriors(source, keys: Sequence[str], labels: Sequence[str]) -> Scored:
    """The posteriors of exactly `keys`, in their order.

    source: a rspecifier, or an experiment's folder: its scores.ark, or those of its folds (1/scores.ark, 2/…).
    Raises SertkError, naming table and key, for one that is missing, too many or twice, for a wrong dimension, for
    what is no probability, and for a manifest that names other labels.
    """
    wanted = {key: index for index, key in enumerate(keys)}
    posteriors = np.full((len(keys), len(labels)), np.nan)
    archives: list[str] = [""] * len(keys)
    settings: dict[str, dict | None] = {}
    for table in _tables(source):
        archive_of = _archives(table)
        for key, vector in read_table(table, kind="vector"):
            name = archive_of[key] if isinstance(archive_of, dict) else archive_of
            if name not in settings:
                settings[name] = _settings(name, labels)
            if key not in wanted:
                raise SertkError(f"{name}: {key} is scored and is not in the test")
            index = wanted[key]
            if archives[index]:
                raise SertkError(f"{name}: {key} is scored twice (before: {archives[index]})")
            posteriors[index], archives[index] = _checked(name, key, vector, labels), name
    missing = [key for key, name in zip(keys, archives) if not name]
    if missing:
        more = f", nor are {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SertkError(f"{source}: {missing[0]} is in the test and not scored{more}")
    return Scored(str(source), list(keys), posteriors, archives, settings)


def read_runs(source: str, keys: Sequence[str], labels: Sequence[str]) -> list[Scored]:
    """The training runs of one system: a folder's `seed*` folders, or the one that `source` is.

    Raises:
        SertkError: as `read_posteriors`; for a folder with scores of its own beside those of runs; for two runs with the
            same scores, which are one run.
    """
    folder = Path(str(source))
    runs = (
        sorted(path for path in folder.glob("seed*") if path.is_dir() and _archives_in(path)) if folder.is_dir() else []
    )
    if not runs:
        return [read_posteriors(source, keys, labels)]
    if own := _archives_in(folder):
        raise SertkError(f"{folder}: has scores of its own ({own[0].relative_to(folder)}) and of runs ({runs[0].name})")
    found = [read_posteriors(str(path), keys, labels) for path in runs]
    for n, one in enumerate(found):
        for other in found[:n]:
            if np.array_equal(one.posteriors, other.posteriors):
                raise SertkError(
                    f"{other.source} and {one.source} hold the same scores: these are not two training runs"
                )
    return found


def check_folds(scored: Scored, utt2fold: Mapping[str, int]):
    """SertkError where a manifest says that another fold's model scored a segment than utt2fold holds out.

    Folds may be numbered otherwise: what counts is which segments were held out together.
    """
    pairs = {(fold, utt2fold[key]) for key, fold in scored.folds.items()}
    if len(pairs) == len({here for here, _ in pairs}) == len({there for _, there in pairs}):
        return
    for key, fold in scored.folds.items():
        if fold != utt2fold[key]:
            name = scored.archives[scored.keys.index(key)]
            raise SertkError(f"{name}: {key} was scored by fold {fold}'s model, utt2fold has it in {utt2fold[key]}")


def _tables(source) -> Iterator[str]:
    folder = Path(str(source))
    if not folder.is_dir():
        if not str(source).partition(":")[1]:
            raise SertkError(f"{source}: neither a folder nor a rspecifier (ark:FILE, scp:FILE)")
        yield str(source)
        return
    found = _archives_in(folder)
    if not found:
        raise SertkError(f"{folder}: neither scores.ark nor 1/scores.ark, 2/scores.ark, … in this folder")
    yield from (f"ark:{path}" for path in found)


def _archives_in(folder: Path) -> list[Path]:
    # Of folds only: an experiment's folder may have others in it (folds, log, another system).
    found = sorted(path for path in folder.glob("*/scores.ark") if path.parent.name.isdigit())
    return found or sorted(folder.glob("scores.ark"))


def _archives(table: str) -> str | dict[str, str]:
    """The archive of a table, or of each key of a script: manifests stand beside archives.

    A script out of a pipe is not read twice: where its entries came from is not known.
    """
    spec = parse_rspecifier(table)
    if not spec.script or spec.rxfilename.kind != "file":
        return spec.filename
    return {entry.key: entry.rxfilename.path or entry.name for entry in read_script(spec)}


def _settings(archive: str, labels: Sequence[str]) -> dict | None:
    manifest = read_manifest(f"ark:{archive}")
    if manifest is None:
        return None
    named = manifest.settings.get("labels", list(labels))
    if list(named) != list(labels):
        raise SertkError(f"{archive}: its posteriors are of {' '.join(map(str, named))}, wanted are {' '.join(labels)}")
    return manifest.settings


def _checked(name: str, key: str, vector: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    if vector.shape != (len(labels),):
        raise SertkError(f"{name}: {key}: {vector.size} posteriors for {len(labels)} labels ({' '.join(labels)})")
    if not np.isfinite(vector).all():
        raise SertkError(f"{name}: {key}: a posterior is not finite")
    total = float(vector.sum(dtype=np.float64))
    if vector.min() < 0 or abs(total - 1) > _SUM_TOLERANCE:
        raise SertkError(f"{name}: {key}: not probabilities (lowest {vector.min():g}, sum {total:g})")
    return vector
