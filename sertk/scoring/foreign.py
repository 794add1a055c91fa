"""Predictions of other toolkits as posteriors: which segment a row is about, and how probable it makes each class.

A row names a file (or utterance) and has, in this order of preference,

    a column per label with its probability                   nkululeko, scikit-learn's predict_proba, classify-audio's csv
    a list of {"label": …, "score": …}                        pipelines of Hugging Face's transformers
    "labels": […] and "scores": […]                           FunASR (emotion2vec)
    {"label": probability, …}                                 classify-audio's jsonl
    a label alone, or a label and a score in several rows     nkululeko, FunASR's and Hugging Face's results as a table
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from sertk.datadir.lists import read_lines, read_list
from sertk.datadir.records import Record, column, plain, read_records
from sertk.errors import SertkError

FILE = ("id", "key", "utt", "utterance", "file", "path", "wav", "audio", "filename", "file_name")
LABEL = ("predicted", "prediction", "predictions", "pred", "y_pred", "emotion_pred", "label", "emotion")
# Of rounded numbers.
_TOLERANCE = 0.01
# Seconds between a row's start and that of its segment.
_SAME_START = 0.02


@dataclass
class Posteriors:
    """What was read.

    Args:
        vectors: segment -> (classes,) probabilities of sum 1.
        others: number of rows about other segments.
        outside: number of segments of whose probability a part was of labels that are none of the classes.
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    others: int = 0
    outside: int = 0


class Names:
    """Names that rows may give a segment.

    Args:
        keys: the segments that are wanted.
        paths: segment -> path of its recording; {} if unknown.
        starts: segment -> its start in the recording in seconds, for recordings of several segments.
    """

    def __init__(
        self,
        keys: Sequence[str],
        paths: Mapping[str, str] | None = None,
        starts: Mapping[str, float] | None = None,
    ) -> None:
        self.keys, self.paths, self.starts = keys, paths or {}, starts or {}
        self._known = frozenset(keys) | self.paths.keys()
        self._by_stem: dict[str, list[str]] = {}
        for key, path in self.paths.items():
            self._by_stem.setdefault(PurePath(path).stem, []).append(key)

    def find(self, name: str, start: float | None = None) -> str | None:
        """The segment of a row, None if there is none of that name.

        A name is an utterance or a file: the one of the same name without suffix, with the most folders in common.

        Raises:
            SertkError: several segments have this name.

        Example:
            >>> names = Names(["a-1", "b-1"], {"a-1": "/x/a/1.wav", "b-1": "/x/b/1.wav"})
            >>> names.find("a-1"), names.find("y/b/1.flac"), names.find("2.wav")
            ('a-1', 'b-1', None)
        """
        if name in self._known:
            return name
        path = PurePath(name)
        # The whole name too: FunASR's keys are file names without suffix, and names may have dots.
        found = self._by_stem.get(path.stem) or self._by_stem.get(path.name) or []
        if len(found) > 1:
            common = {key: _folders_in_common(path, PurePath(self.paths[key])) for key in found}
            found = [key for key in found if common[key] == max(common.values())]
        if len(found) > 1 and start is not None:
            found = [key for key in found if abs(self.starts.get(key, 0) - start) <= _SAME_START]
        if len(found) > 1:
            raise SertkError(f"{name}: may be {found[0]} or {found[1]}: give utterances, or more of the path")
        return found[0] if found else None


def _folders_in_common(one: PurePath, other: PurePath) -> int:
    pairs = list(zip(reversed(one.parent.parts), reversed(other.parent.parts)))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))


def read_predictions(
    tables: Iterable[Path],
    names: Names,
    classes: Sequence[str],
    label_map: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    logits: bool = False,
) -> Posteriors:
    """Read the posteriors of segments from tables of predictions.

    Args:
        tables: CSV, TSV, JSON or JSON Lines.
        names: the segments that are wanted, all of which must be there.
        classes: class names, in the order of the posteriors.
        label_map: label of the tables -> class; probabilities of labels of one class are added. Labels that it does not
            have, and that are no classes, are left out, and the rest is scaled to sum 1.
        columns: "file" and "label" -> names of their columns.
        logits: the scores are logarithms of probabilities, but for a constant.

    Raises:
        SertkError: a segment has no row or two, a row has no usable prediction; the message names file and line.
    """
    classifier = _Classes(classes, label_map, logits)
    columns = columns or {}
    file_names, label_names = ((columns[n].lower(),) if n in columns else default for n, default in
                               (("file", FILE), ("label", LABEL)))  # fmt: skip
    result, wanted = Posteriors(), frozenset(names.keys)
    rows: dict[str, tuple[str, dict[str, float] | str]] = {}
    scored: dict[str, tuple[str, dict[str, float]]] = {}
    for record in (record for table in tables for record in read_records(table)):
        try:
            key = _segment_of(record, file_names, names)
            if key is None or key not in wanted:
                result.others += 1
                continue
            prediction = classifier.prediction(record.values, label_names)
            if isinstance(prediction, tuple):  # a label and a score: one of several rows
                if key in rows:
                    raise SertkError(f"{key} comes twice (also {rows[key][0]})")
                label, score = prediction
                where, found = scored.setdefault(key, (record.where, {}))
                if label in found:
                    raise SertkError(f"{key}: label '{label}' comes twice (also {where})")
                found[label] = score
            elif key in rows or key in scored:
                raise SertkError(f"{key} comes twice (also {(rows.get(key) or scored[key])[0]})")
            else:
                rows[key] = record.where, prediction
        except SertkError as error:
            raise SertkError(f"{record.where}: {error}") from None
    for key, (where, prediction) in (rows | scored).items():
        try:
            result.vectors[key], inside = classifier.posterior(prediction)
        except SertkError as error:
            raise SertkError(f"{where}: {key}: {error}") from None
        result.outside += inside < 1 - _TOLERANCE
    if missing := [key for key in names.keys if key not in result.vectors]:
        more = f" ({len(missing)} segments have none)" if len(missing) > 1 else ""
        others = f"; {result.others} rows are about others" if result.others else ""
        raise SertkError(f"{', '.join(map(str, tables))}: no prediction for {missing[0]}{more}{others}")
    return result


def _segment_of(record: Record, file_names: Sequence[str], names: Names) -> str | None:
    if record.problem:
        raise SertkError(record.problem)
    name = plain(column(record.values, file_names))
    if not name:
        raise SertkError(f"no column {' or '.join(file_names)} (--columns file=NAME names it)")
    start = plain(column(record.values, ("start",)))
    try:
        seconds = float(start) if start else None
    except ValueError:
        seconds = None
    return names.find(name, seconds)


class _Classes:
    """Turns the predictions of rows into posteriors."""

    def __init__(self, classes: Sequence[str], label_map: Mapping[str, str] | None, logits: bool) -> None:
        self.classes, self.logits = list(classes), logits
        self.class_of = {label: label for label in classes} | dict(label_map or {})
        if wrong := next((to for to in self.class_of.values() if to not in self.classes), None):
            raise SertkError(f"the label map has class '{wrong}', which is none of {' '.join(self.classes)}")

    def prediction(
        self, values: Mapping[str, Any], label_names: Sequence[str]
    ) -> dict[str, float] | str | tuple[str, float]:
        """The scores of labels in a row; or its label; or a label with its score, of a table with a row per label."""
        wide = {str(name): value for name, value in values.items() if str(name) in self.class_of}
        if len(wide) > 1:
            return {label: _number(value, label) for label, value in wide.items()}
        labels, scores = values.get("labels"), values.get("scores")
        if isinstance(labels, list) and isinstance(scores, list):
            if len(labels) != len(scores):
                raise SertkError(f"{len(labels)} labels and {len(scores)} scores")
            return self._scores(zip(labels, scores))
        for value in values.values():
            if (
                isinstance(value, list)
                and value
                and all(isinstance(v, dict) and {"label", "score"} <= v.keys() for v in value)
            ):
                return self._scores((v["label"], v["score"]) for v in value)
            if isinstance(value, dict) and value and all(type(v) in (int, float) for v in value.values()):
                return self._scores(value.items())
        label, score = plain(column(values, label_names)), plain(column(values, ("score",)))
        if not label:
            there = ", ".join(map(str, values))
            raise SertkError(f"no prediction: neither columns {' '.join(self.classes)} nor a label (it has {there})")
        return (label, _number(score, label)) if score else label

    def _scores(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        scores: dict[str, float] = {}
        for label, value in pairs:
            if str(label) in scores:
                raise SertkError(f"label '{label}' comes twice")
            scores[str(label)] = _number(value, str(label))
        return scores

    def posterior(self, prediction: Mapping[str, float] | str) -> tuple[np.ndarray, float]:
        """The probabilities of the classes, (classes,), and the part of all probability that was theirs.

        What the scores lack to 1 (Hugging Face gives the five best labels only) is shared by the classes without a score.
        """
        vector = np.zeros(len(self.classes))
        if isinstance(prediction, str):
            vector[self._index(prediction)] = 1.0
            return vector, 1.0
        if len(prediction) == 1 and not self.logits:
            self._index(next(iter(prediction)))  # a label and its score
        shares = _softmax(prediction) if self.logits else dict(prediction)
        total = sum(shares.values())
        if min(shares.values()) < 0 or total > 1 + _TOLERANCE:
            raise SertkError(
                f"not probabilities (lowest {min(shares.values()):g}, sum {total:g}); --logits true takes their softmax"
            )
        named = set()
        for label, share in shares.items():
            if label in self.class_of:
                vector[self._index(label)] += share
                named.add(self.class_of[label])
        unnamed = [n for n, name in enumerate(self.classes) if name not in named]
        if total < 1 - _TOLERANCE and unnamed and named:
            vector[unnamed] += (1 - total) / len(unnamed)
        inside = vector.sum()
        if not total > 0:
            raise SertkError("all probabilities are 0")
        if not inside > 0:
            raise SertkError(f"none of its labels ({', '.join(list(shares)[:5])}) is a class: --label-map maps them")
        return vector / inside, float(inside)

    def _index(self, label: str) -> int:
        if label not in self.class_of:
            known = " ".join(self.class_of)
            raise SertkError(f"label '{label}' is none of {known} (--label-map FILE has lines of 'LABEL CLASS')")
        return self.classes.index(self.class_of[label])


def _number(value: object, label: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SertkError(f"'{value}' of {label} is not a number") from None
    if not math.isfinite(number):
        raise SertkError(f"the score of {label} is NaN or infinite")
    return number


def _softmax(scores: Mapping[str, float]) -> dict[str, float]:
    highest = max(scores.values())
    powers = {label: math.exp(score - highest) for label, score in scores.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def read_names(keys: Sequence[str], data: Path | None) -> Names:
    """The names of segments, with those of their recordings if there is a data folder.

    Raises:
        SertkError: its wav.scp or segments cannot be read.
    """
    if data is None:
        return Names(keys)
    recordings = {key: _recording_path(value) for key, value in read_list(data / "wav.scp", None).items()}
    if not (data / "segments").exists():
        return Names(keys, recordings)
    segments = {key: value.split() for key, value in read_list(data / "segments", (4, 5)).items()}
    paths = {key: recordings[words[0]] for key, words in segments.items() if words[0] in recordings}
    return Names(keys, paths, {key: float(words[1]) for key, words in segments.items()})


def _recording_path(value: str) -> str:
    """The file that a line of wav.scp reads; of a pipe the last word with a suffix.

    >>> _recording_path("/a b/c.wav"), _recording_path("sph2pipe -f wav -p /a/c.sph |")
    ('/a b/c.wav', '/a/c.sph')
    """
    if not value.endswith("|"):
        return value
    return next((word for word in reversed(value.split()) if PurePath(word).suffix), value)


def read_lines_of(path: Path) -> dict[str, str]:
    """The first word of each line of a file, with the second one, or "" where there is none.

    Raises:
        SertkError: the file cannot be read or is empty.
    """
    words = [line.split() for _, line in read_lines(path) if line]
    if not words:
        raise SertkError(f"{path}: is empty")
    return {first: rest[0] if rest else "" for first, *rest in words}


def training_record(
    fold: str | None,
    utterances: Sequence[str] | None,
    speakers: Iterable[str] | None,
    declared: str | None,
    speaker_of: Mapping[str, str],
) -> dict | None:
    """The training record of another toolkit's model, as its user declares it, for the leak guard.

    Args:
        fold: the held-out fold.
        utterances: its training segments; None if they are not declared.
        speakers: its training speakers; None: those of its segments, if all are known.
        declared: its training data in words.
        speaker_of: speaker of each known segment.

    Returns:
        None if nothing is declared.
    """
    if utterances is None and speakers is None and not declared:
        return None
    record: dict[str, Any] = {"fold": fold, "target": "label"}
    if declared:
        record["declared"] = declared
    if utterances is not None:
        record |= {"keys": sorted(utterances), "segments": len(utterances)}
        if speakers is None and all(key in speaker_of for key in utterances):
            speakers = {speaker_of[key] for key in utterances}
    if speakers is not None:
        record["speakers"] = sorted(speakers)
    return record
