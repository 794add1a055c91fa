"""Score files of trials, `utt1 utt2 score`, as Kaldi's scoring scripts write them, with a manifest beside."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sertk.atomic import atomic_file
from sertk.datadir.lists import read_lines, split_words
from sertk.errors import SertkError
from sertk.kaldi.manifest import Manifest, load_manifest, manifest_path
from sertk.scoring.backend import ScoredTrials
from sertk.scoring.trials import Trials

# Results of score-trials that a score file's manifest has, besides the settings of the embeddings.
KEPT = ("mean", "norm", "calibration", "stamps", "leaks")


def write_scores(path: Path, scored: ScoredTrials, results: Mapping[str, Any]) -> None:
    """Write the score of each trial, in the order of the list, and the manifest.

    Args:
        path: the file; a stream (/dev/stdout) gets no manifest.
        scored: the trials.
        results: of score-trials; their leaks and stamps go along with the scores.

    Raises:
        SertkError: it cannot be written.
    """
    trials = scored.trials
    text = "".join(
        f"{trials.names[first]} {trials.names[second]} {score:.9g}\n"
        for first, second, score in zip(trials.first.tolist(), trials.second.tolist(), scored.scores.tolist())
    ).encode()
    with atomic_file(path) as file:
        file.write(text)
    if path.is_file():
        settings = {**(scored.settings or {}), **{name: results[name] for name in KEPT}}
        digest = hashlib.sha256(text).hexdigest()
        manifest = Manifest(len(scored.scores), len(scored.scores), 0, digest, settings=settings, size=len(text))
        with atomic_file(manifest_path(path), "w") as file:
            file.write(manifest.text())


def read_scores(path: Path, trials: Trials) -> tuple[np.ndarray, dict[str, Any] | None]:
    """Read the scores of a trial list from a file in any order; other trials in it are ignored.

    Args:
        path: the file; a fourth column, as wespeaker writes, is ignored.
        trials: the trials.

    Returns:
        (trials,) scores, NaN where there is none, and the settings in the manifest, None without one.

    Raises:
        SertkError: the file cannot be read, a line is not a score, or none of the trials is in it.
    """
    number = {name: index for index, name in enumerate(trials.names)}
    score_of: dict[tuple[int, int], float] = {}
    for line_number, line in read_lines(path):
        words = split_words(line)
        try:
            score = float(words[2]) if len(words) in (3, 4) else np.nan
        except ValueError:
            score = np.nan
        if not np.isfinite(score):
            raise SertkError(f"{path}:{line_number}: '{line[:80]}' is not a score (utt1 utt2 score)")
        if words[0] in number and words[1] in number:
            score_of[number[words[0]], number[words[1]]] = score
    pairs = zip(trials.first.tolist(), trials.second.tolist())
    scores = np.array([score_of.get(pair, np.nan) for pair in pairs])
    if np.isnan(scores).all():
        raise SertkError(f"{path}: has no score of any of the trials")
    manifest = load_manifest(path)
    return scores, manifest and manifest.settings
