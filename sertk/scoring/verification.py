"""Speaker verification results of a trial list and a table of embeddings: EER, detection costs, Cllr, with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table
from sertk.scoring.backend import Backend, ScoredTrials, check_model, noted, read_cohort
from sertk.scoring.corpus import Corpus
from sertk.scoring.intervals import FEW
from sertk.scoring.leakguard import CLEAN, LEAKING, TRANSDUCTIVE, UNCHECKED, Guard
from sertk.scoring.leaveout import LeftOut
from sertk.scoring.options import P_TARGETS, CalibrationOptions, NormOptions
from sertk.scoring.speaker import act_dcf, cllr, eer, min_cllr, min_dcf
from sertk.scoring.trialcalibration import calibrate
from sertk.scoring.trials import mean_vector, read_trials, trial_speakers

# Figures in bits as they are in the line.
_BITS = {"minCllr": "min_cllr", "Cllr": "cllr"}


def score(
    trials_path: Path,
    embeddings: Rspecifier,
    mean: Rspecifier | None = None,
    utt2spk: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    max_skip: float = 0.05,
    p_targets: Sequence[float] = P_TARGETS,
    norm: NormOptions | None = None,
    calibration: CalibrationOptions | None = None,
) -> tuple[dict, ScoredTrials]:
    """Score speaker trials: all of score-trials.

    Args:
        trials_path: trial list.
        embeddings: rspecifier of embeddings (dim,).
        mean: rspecifier of vectors whose mean is subtracted.
        utt2spk: speakers of the utterances.
        stamps: words for the result line.
        i_know: stamp leaks LEAKY instead of raising.
        max_skip: highest fraction of trials without embeddings.
        p_targets: prior probabilities of a target, for the detection costs.
        norm: normalisation by a cohort.
        calibration: calibration on other trials.

    Returns:
        results as plain JSON (docs/results.md), and the scored trials.

    Raises:
        SertkError: bad input, a leak without `i_know`, or more than `max_skip` of the trials without embeddings.
    """
    norm, calibration = norm or NormOptions(), calibration or CalibrationOptions()
    guard = Guard(i_know)
    guard.stamp(*stamps)
    listed = read_trials(trials_path)
    speakers = trial_speakers(trials_path, listed.names, utt2spk)
    corpus = Corpus(listed.names, {"speaker": speakers} if speakers else {}, ("speaker",), trials=True)
    manifest = read_manifest(embeddings)
    guard.check(str(embeddings), manifest and manifest.settings, listed.names, corpus)
    offset, centred_on = None, set()
    if mean is not None:
        check_model(mean, embeddings)
        offset = mean_vector(noted(filled(read_table(mean, kind="vector")), centred_on), str(mean))
        guard.stamp(*[TRANSDUCTIVE] * (not centred_on.isdisjoint(listed.names)))
    cohort = norm.cohort and read_cohort(norm, embeddings, offset, guard, corpus)
    backend = Backend(offset, cohort, norm, max_skip)
    scored = backend.score(listed, speakers, embeddings)
    fitted = None
    if calibration.calibration_trials:
        scored, fitted = calibrate(scored, trials_path, backend, calibration, utt2spk, guard, corpus)
    return _results(scored, p_targets, fitted) | {
        "mean": None if mean is None else str(mean),
        "norm": None if cohort is None else _norm_words(norm, len(cohort)),
        "calibration": fitted,
        "source": str(embeddings),
        "stamps": guard.stamps,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
        "guard": guard.state,
    }, scored


def _norm_words(norm: NormOptions, size: int) -> dict:
    """The normalisation as plain JSON."""
    return {"cohort": str(norm.cohort), "size": size, "top_n": min(norm.top_n, size), "side": norm.norm_side}


def _results(scored: ScoredTrials, p_targets: Sequence[float], fitted: Mapping | None) -> dict:
    """Figures of scored trials, with intervals, and counts."""
    targets, nontargets = scored.of_kinds()
    total, number = len(scored.listed.target), len(scored.trials.target)
    return {
        "eer": eer(targets, nontargets),
        "interval": _intervals(scored, p_targets, fitted) if scored.speakers else None,
        "min_dcf": {str(p): min_dcf(targets, nontargets, p) for p in p_targets},
        "act_dcf": {str(p): act_dcf(targets, nontargets, p) for p in p_targets} if fitted else None,
        "min_cllr": min_cllr(targets, nontargets),
        "cllr": cllr(targets, nontargets) if fitted else None,
        "trials": number,
        "targets": len(targets),
        "nontargets": len(nontargets),
        "left_out": total - number,
        "duplicates": scored.listed.duplicates,
        "missing": [name for name, known in zip(scored.listed.names, scored.embeddings.present) if not known],
    }


def _intervals(scored: ScoredTrials, p_targets: Sequence[float], fitted: Mapping | None) -> dict | None:
    """95 % intervals by speakers; None if leaving a speaker out leaves nothing to compare."""
    left_out = LeftOut(scored.scores, scored.trials.target, *scored.speaker_indices())
    if not left_out.possible:
        return None
    costs = left_out.min_dcfs(p_targets)
    return {
        "eer": list(left_out.eers().rate_interval()),
        "min_dcf": {str(p): list(cost.rate_interval()) for p, cost in zip(p_targets, costs)},
        "cllr": list(left_out.cllrs().positive_interval()) if fitted else None,
        "speakers": len(left_out.speakers),
    }


def _interval_words(results: Mapping) -> str:
    """The intervals of EER, first minDCF and Cllr, in words."""
    ends = results["interval"]
    if ends is None:
        return "no interval: speakers unknown or too few"
    low, high = (f"{100 * end:.2f}" for end in ends["eer"])
    p, cost = next(iter(ends["min_dcf"].items()))
    words = f"95 % of the EER {low}-{high} minDCF({p}) {cost[0]:.4f}-{cost[1]:.4f}"
    if ends["cllr"]:
        words += f" Cllr {ends['cllr'][0]:.4f}-{ends['cllr'][1]:.4f}"
    rough = f" (rough: fewer than {FEW} units)" if ends["speakers"] < FEW else ""
    return f"{words} by {ends['speakers']} speakers{rough}"


def _scoring_words(results: Mapping) -> list[str]:
    """How scores were computed."""
    words = ["cosine"] + ["mean subtracted"] * bool(results["mean"])
    if norm := results["norm"]:
        side = "" if norm["side"] == "both" else f" of the {norm['side']} side"
        words.append(f"AS-Norm by the top {norm['top_n']} of {norm['size']}{side}")
    if fitted := results["calibration"]:
        quality = "".join(f" and {name}" for name in fitted["quality"])
        trained = " of training speakers" if fitted["training_speakers"] else ""
        words.append(f"calibrated on score{quality} of {fitted['trials']} other trials{trained}")
    return words


def as_line(results: Mapping) -> str:
    """`%EER 3.13 minDCF(0.01) 0.3264 minDCF(0.05) 0.2041 minCllr 0.1173 [ 37720 trials, 18860 target, … ] STAMPS`."""
    costs = [f"minDCF({p}) {value:.4f}" for p, value in results["min_dcf"].items()]
    costs += [f"actDCF({p}) {value:.4f}" for p, value in (results["act_dcf"] or {}).items()]
    costs += [f"{name} {results[key]:.4f}" for name, key in _BITS.items() if results[key] is not None]
    inside = [f"{results['trials']} trials", f"{results['targets']} target", *_scoring_words(results)]
    labels = (("left_out", "left out"), ("duplicates", "repeated"))
    inside += [f"{results[what]} {words}" for what, words in labels if results[what]]
    inside.append(_interval_words(results))
    inside += [{CLEAN: "no leak", LEAKING: "leaks", UNCHECKED: "leaks unchecked"}[results["guard"]]]
    return " ".join([f"%EER {100 * results['eer']:.2f}", *costs, f"[ {', '.join(inside)} ]", *results["stamps"]])
