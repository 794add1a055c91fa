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
from pathlib import Path
from typing import Any

import numpy as np

from sertk.datadir.records import Record, column, plain, read_records
from sertk.errors import SertkError
from sertk.scoring.segmentnames import Names

FILE = ("id", "key", "utt", "utterance", "file", "path", "wav", "audio", "filename", "file_name")
LABEL = ("predicted", "prediction", "predictions", "pred", "y_pred", "emotion_pred", "label", "emotion")
OTHER_COLUMNS = "other columns"
# Of rounded numbers.
_TOLERANCE = 0.01


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
        others += " (a table that names files needs --data)" if others and not names.paths else ""
        raise SertkError(f"{', '.join(map(str, tables))}: no prediction for {missing[0]}{more}{others}")
    return result


def _segment_of(record: Record, file_names: Sequence[str], names: Names) -> str | None:
    if record.problem:
        raise SertkError(record.problem)
    name = str(column(record.values, file_names)).strip()  # spaces within it are part of it
    if not plain(name):
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
            scores = {label: _number(value, label) for label, value in wide.items()}
            # Unlike a list of the best labels, a row has all of them: what is left to 1 is of columns that are no classes.
            rest = 1 - (sum(scores.values()) or 1)
            return scores if self.logits or rest <= 0 else scores | {OTHER_COLUMNS: rest}
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
