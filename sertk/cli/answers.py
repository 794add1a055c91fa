"""How classify-audio prints its answers: a table, JSON Lines, CSV, or labels for Audacity and Praat."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import click

from sertk.scoring.columns import cells, left, right

FORMATS = ("table", "jsonl", "csv", "audacity", "textgrid")
# One file of these describes one recording.
OF_ONE_RECORDING = ("audacity", "textgrid")
NO_SPEECH, UNSURE = "no speech", "unsure"


@dataclass(frozen=True)
class Answer:
    """The emotion of a recording or of a part of it.

    Args:
        file: the recording's name.
        start: seconds.
        end: seconds.
        emotion: a label, "no speech" or "unsure".
        probabilities: of every label, {} without speech.
    """

    file: str
    start: float
    end: float
    emotion: str
    probabilities: dict[str, float]


def printer(form: str, labels: list[str], files: list[str], windowed: bool) -> "Printer":
    """What prints answers in the format `form`; files: their names, for the width of a column."""
    match form:
        case "table":
            return _Table(labels, files, windowed)
        case "jsonl":
            return _JsonLines(windowed)
        case "csv":
            return _Csv(labels)
        case "audacity":
            return _Intervals(_audacity)
        case "textgrid":
            return _Intervals(_textgrid)
    raise ValueError(form)


class Printer(ABC):
    """Prints answers as they come; `end` prints what needs all of them."""

    @abstractmethod
    def __call__(self, answer: Answer) -> None:
        """Print an answer."""

    def end(self) -> None:  # noqa: B027  (most have nothing left to print)
        """Print what is left, after the last answer."""


class _Table(Printer):
    """Lines with aligned columns: file, time, emotion, the probability of every label in per cent."""

    def __init__(self, labels: list[str], files: list[str], windowed: bool) -> None:
        self.labels, self.windowed = labels, windowed
        self.width = max(cells(click.format_filename(path)) for path in [*files, "file"])
        self.column = max(7, *(cells(label) + 1 for label in labels))
        self.emotion = max(len(NO_SPEECH), self.column)
        names = "".join(right(label, self.column) for label in labels)
        times = "   start     end  " if windowed else ""
        click.echo(f"{left('file', self.width)}  {times}{left('emotion', self.emotion)}{names}")

    def __call__(self, answer: Answer) -> None:
        """Print a line."""
        values = [answer.probabilities.get(label) for label in self.labels]
        shown = "".join(right("-" if p is None else f"{100 * p:.1f} %", self.column) for p in values)
        times = f"{answer.start:8.2f}{answer.end:8.2f}  " if self.windowed else ""
        file = left(click.format_filename(answer.file), self.width)
        click.echo(f"{file}  {times}{left(answer.emotion, self.emotion)}{shown}")


class _JsonLines(Printer):
    def __init__(self, windowed: bool) -> None:
        self.windowed = windowed

    def __call__(self, answer: Answer) -> None:
        """Print an object."""
        rounded = {label: round(p, 6) for label, p in answer.probabilities.items()} or None
        times = {"start": round(answer.start, 3), "end": round(answer.end, 3)} if self.windowed else {}
        # A name that is not UTF-8 comes through as JSON's escapes.
        readable = click.format_filename(answer.file) == answer.file
        record = {"file": answer.file, **times, "emotion": answer.emotion, "probabilities": rounded}
        click.echo(json.dumps(record, ensure_ascii=not readable))


class _Csv(Printer):
    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self._row(["file", "start", "end", "emotion", *labels])

    def __call__(self, answer: Answer) -> None:
        """Print a row; without speech its probabilities are empty."""
        values = [answer.probabilities.get(label) for label in self.labels]
        self._row([click.format_filename(answer.file), f"{answer.start:.3f}", f"{answer.end:.3f}", answer.emotion,
                   *("" if p is None else f"{p:.6f}" for p in values)])  # fmt: skip

    def _row(self, fields: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(fields)
        click.echo(text.getvalue())


class _Intervals(Printer):
    def __init__(self, form: Callable[[list[tuple[float, float, str]]], str]) -> None:
        self.form, self.answers = form, []

    def __call__(self, answer: Answer) -> None:
        """Keep the answer."""
        self.answers.append(answer)

    def end(self) -> None:
        """Print the intervals of all answers."""
        if self.answers:
            click.echo(self.form(intervals(self.answers)), nl=False)


def intervals(answers: list[Answer]) -> list[tuple[float, float, str]]:
    """Intervals of one emotion that follow each other without a gap: (start, end, emotion).

    Windows overlap; each answers for the time that is nearest to its middle.

    Example:
        >>> intervals([Answer("a", 0, 3, "sad", {}), Answer("a", 1, 4, "sad", {}), Answer("a", 2, 5, "hap", {})])
        [(0, 3.0, 'sad'), (3.0, 5, 'hap')]
    """
    middles = [(answer.start + answer.end) / 2 for answer in answers]
    between = [(a + b) / 2 for a, b in pairwise(middles)]
    edges = [answers[0].start, *between, answers[-1].end]
    merged: list[tuple[float, float, str]] = []
    for start, end, answer in zip(edges, edges[1:], answers):
        if merged and merged[-1][2] == answer.emotion:
            start = merged.pop()[0]
        merged.append((start, end, answer.emotion))
    return merged


def _audacity(found: list[tuple[float, float, str]]) -> str:
    return "".join(f"{start:.6f}\t{end:.6f}\t{emotion}\n" for start, end, emotion in found)


def _textgrid(found: list[tuple[float, float, str]]) -> str:
    """Praat's long text format, one tier of intervals."""
    bounds = f"xmin = {found[0][0]:.6f}\n{{}}xmax = {found[-1][1]:.6f}\n"
    lines = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n',
        bounds.format(""),
        "tiers? <exists>\nsize = 1\nitem []:\n    item [1]:\n",
        '        class = "IntervalTier"\n        name = "emotion"\n        ',
        bounds.format("        "),
        f"        intervals: size = {len(found)}\n",
    ]
    for number, (start, end, emotion) in enumerate(found, 1):
        quoted = emotion.replace('"', '""')
        lines.append(f"        intervals [{number}]:\n            xmin = {start:.6f}\n            xmax = {end:.6f}\n")
        lines.append(f'            text = "{quoted}"\n')
    return "".join(lines)
