"""Results of earlier calls of score-loso and score-trials, checked against the scores and models that there are now."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.kaldi.manifest import load_manifest
from sertk.scoring.posteriors import check_folds, guesses_of, is_by, read_runs
from sertk.scoring.results import check_current
from sertk.scoring.speaker import eer
from sertk.scoring.testset import Test
from sertk.scoring.trials import read_trials
from sertk.scoring.trialscores import read_scores

LOSO, TRIALS = "score-loso --json", "score-trials --json"
# Scores are stored with nine digits.
_EER_TOLERANCE = 1e-6


@contextmanager
def as_written(path: Path, writer: str = LOSO) -> Iterator[None]:
    """Context manager in which an entry that is missing in results, or of another type, is a SertkError that names the file."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise SertkError(f"{path}: not what {writer} writes: {error!r}") from None


def read_results(path: Path, needed: Sequence[str], writer: str = LOSO) -> dict[str, Any]:
    """Read results.json.

    Args:
        path: the file.
        needed: names of entries that must be in it.
        writer: what writes such a file, for the message.

    Raises:
        SertkError: it is missing, or not what `writer` writes.
    """
    if not path.exists():
        raise SertkError(f"{path}: is missing (an earlier stage makes it)")
    results = read_json(path)
    with as_written(path, writer):
        for name in needed:
            results[name]
    return results


def current_results(
    path: Path, test: Test, needed: Sequence[str], scores: Path | None = None, any_folds: bool = False
) -> dict[str, Any]:
    """Read what score-loso --json wrote, and check that it is of the labels, folds, scores and models that there are now.

    Args:
        path: results.json.
        test: the labels and folds.
        needed: names of entries that must be in it.
        scores: folder of the system's scores; default: that of `path`.
        any_folds: the scores may be by models of other folds than those of `test`.

    Raises:
        SertkError: it is not, or as `read_results`, `check_folds` and `read_runs`: a model was trained again after its scores.
    """
    results = read_results(path, needed)
    runs = read_runs(str(scores or path.parent), test.keys, test.labels)
    for scored in runs if test.utt2fold and not any_folds else ():
        check_folds(scored, test.utt2fold)
    with as_written(path):
        check_current(results, path, test.truth, guesses_of(runs), test.labels)
    return results


def current_trials(path: Path, trials: Path, scores: Path, model: Path) -> dict[str, Any]:
    """Read what score-trials --json wrote, and check that it is of the trials, scores and model that there are now.

    Args:
        path: the results.
        trials: trial list.
        scores: score file, as score-trials --scores writes it.
        model: the network of the embeddings.

    Raises:
        SertkError: it is not, or as `read_results`, `read_trials` and `read_scores`.
    """
    results = read_results(path, ("eer", "trials"), TRIALS)
    listed = read_trials(trials)
    values, _ = read_scores(scores, listed)
    known = np.isfinite(values)
    now = eer(values[known & listed.target], values[known & ~listed.target])
    if results["trials"] != known.sum() or abs(results["eer"] - now) > _EER_TOLERANCE:
        raise SertkError(f"{path}: does not match the current scores and trials: run score-trials again")
    manifest = load_manifest(scores)
    if manifest and not is_by(model, scores, manifest.settings):
        raise SertkError(
            f"{scores}: not by {model}, which was trained again since (run embed-segments and score-trials)"
        )
    return results
