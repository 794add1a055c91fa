"""Calibration of trial scores on other trials, with qualities read from embeddings, cohort and utt2dur."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.scoring.backend import Backend, ScoredTrials, check_model, keep_apart, trained_on
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard
from sertk.scoring.llr import features_of, fit_calibration
from sertk.scoring.options import QUALITIES, CalibrationOptions
from sertk.scoring.trials import read_trials, trial_speakers


def calibrate(
    scored: ScoredTrials,
    trials_path: Path,
    backend: Backend,
    options: CalibrationOptions,
    utt2spk: Path | None,
    guard: Guard,
    corpus: Corpus,
) -> tuple[ScoredTrials, dict]:
    """Calibrate scores on other trials.

    Args:
        scored: trials to calibrate.
        trials_path: their list; its data folder has their utt2dur.
        backend: scores the other trials.
        options: the other trials, and qualities.
        utt2spk: speakers, used for the other trials if it has them all.
        guard: refuses shared speakers.
        corpus: the corpus of `scored`.

    Returns:
        trials with log-likelihood ratios as scores, and the calibration as plain JSON.

    Raises:
        SertkError: bad input, or the two lists share utterances or speakers, without the guard's `i_know`.
    """
    path, source = options.calibration_trials, options.calibration_embeddings or scored.source
    check_model(source, scored.source)
    listed = read_trials(path)
    known = utt2spk if utt2spk and read_list(utt2spk).keys() >= set(listed.names) else None
    speakers = trial_speakers(path, listed.names, known)
    people = {speakers[name] for name in listed.names if name in speakers}
    keep_apart(guard, f"{path}: the calibration", listed.names, people, corpus)
    other = backend.score(listed, speakers, source)
    if not people or not corpus.people:
        guard.doubt(
            str(path), "the speakers of the calibration trials, or of the trials, are unknown: some may be in both"
        )
    features = [_features(side, options, beside) for side, beside in ((other, path), (scored, trials_path))]
    fit = fit_calibration(features[0], other.trials.target)
    names = ["score", *(f"{end} {quality}" for quality in options.quality for end in ("lower", "higher"))]
    return replace(scored, scores=fit(features[1])), {
        "trials": len(other.scores),
        "targets": int(other.trials.target.sum()),
        "source": str(path),
        "speakers": len(people) or None,
        "training_speakers": len(people & trained_on(other.settings)),
        "quality": list(options.quality),
        "offset": fit.offset,
        "weights": dict(zip(names, fit.weights.tolist())),
    }


def _features(scored: ScoredTrials, options: CalibrationOptions, beside: Path) -> np.ndarray:
    """Features for the calibration, (trials, features)."""
    qualities = []
    for quality in options.quality:
        if quality == "duration":
            qualities.append(_log_seconds(options.utt2dur or beside.with_name("utt2dur"), scored))
        elif quality == "magnitude":
            qualities.append(np.log(np.where(scored.embeddings.present, scored.embeddings.lengths, 1)))
        elif quality == "cohort" and scored.cohort:
            qualities.append(scored.cohort.mean)
        else:
            reason = "needs --cohort" if quality == "cohort" else f"is none of {', '.join(QUALITIES)}"
            raise SertkError(f"--quality {quality} {reason}")
    return features_of(scored.scores, scored.trials.first, scored.trials.second, qualities)


def _log_seconds(path: Path, scored: ScoredTrials) -> np.ndarray:
    """Logarithm of each utterance's length in seconds, (names,)."""
    if not path.exists():
        raise SertkError(f"{path}: is missing; --quality duration needs it, or --utt2dur (make-fbank --write-utt2dur)")
    seconds = read_list(path)
    values = []
    for name, present in zip(scored.listed.names, scored.embeddings.present):
        try:
            values.append(float(seconds[name]) if present else 1.0)
        except KeyError:
            raise SertkError(f"{path}: {name} is in the trials and not in this map") from None
        except ValueError:
            values.append(0.0)
        if not 0 < values[-1] < np.inf:
            raise SertkError(f"{path}: {name}: '{seconds[name]}' is not a number of seconds")
    return np.log(values)
