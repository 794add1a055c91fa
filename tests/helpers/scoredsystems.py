"""Folds, scores and results of systems, small and worked by hand."""

import json
from pathlib import Path

import numpy as np

from sertk.kaldi.tables import table_writer

KEYS = [f"s{n}-{label}" for n in range(8) for label in ("a", "b")]
# Every segment right.
RIGHT = np.tile([0, 1], 8)


def write_test(folder: Path):
    """The folds of 16 segments: eight speakers in four folds, each with a segment of both labels."""
    folder.mkdir(parents=True)
    (folder / "labels.txt").write_text("a\nb\n")
    for name, of in (("utt2label", lambda key: key[-1]), ("utt2fold", lambda key: int(key[1]) // 2 + 1),
                     ("utt2spk", lambda key: key[:2])):  # fmt: skip
        (folder / name).write_text("".join(f"{key} {of(key)}\n" for key in KEYS))


def write_scores(folder: Path, guess: np.ndarray = RIGHT):
    """FOLDER/scores.ark: 0.9 for the guessed label."""
    folder.mkdir(parents=True, exist_ok=True)
    with table_writer(f"ark:{folder}/scores.ark", kind="vector") as write:
        for key, one in zip(KEYS, guess):
            write(key, np.eye(2, dtype=np.float32)[one] * 0.8 + 0.1)


def write_results(path: Path, guess: np.ndarray = RIGHT, wa: float | None = None, ua: float | None = None, stamps=()):
    """What score-loso --json writes of the guesses; wa and ua stand for other figures."""
    right = float(np.mean(guess == RIGHT))
    figures = {"wa": right if wa is None else wa, "ua": right if ua is None else ua}
    ends = {name: [value - 0.1, value + 0.1] for name, value in figures.items()}
    results = {
        "labels": ["a", "b"],
        "confusion": {"counts": [[int(np.sum(guess[truth::2] == label)) for label in (0, 1)] for truth in (0, 1)]},
        "mean": figures,
        "pooled": figures,
        "stamps": list(stamps),
        "runs": {"number": 1},
        "unit": "utt2spk",
        "intervals": {"utt2spk": {"clusters": 8, "units": 4, **ends}},
    }
    path.write_text(json.dumps(results))


def write_system(folder: Path, guess: np.ndarray = RIGHT, **figures):
    """A system's scores and results."""
    write_scores(folder, guess)
    write_results(folder / "results.json", guess, **figures)
