"""Paired comparison of systems on the same speaker trials, by speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.options import MAX_SKIP
from sertk.scoring.columns import aligned
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard
from sertk.scoring.leaveout import LeftOut, Replicates, difference
from sertk.scoring.options import P_TARGETS
from sertk.scoring.paired import ALPHA, holm
from sertk.scoring.text import detectable_text, guard_lines, p_value
from sertk.scoring.trials import Trials, read_trials, speaker_indices, trial_speakers
from sertk.scoring.trialscores import read_scores

PRIMARY = "EER"


@dataclass(frozen=True)
class TrialSystem:
    """A system's scores on the trials that all systems have scored.

    Args:
        source: its score file.
        scores: (trials,).
        target: (trials,) bool.
        figures: name -> figure with its values without one speaker at a time.
    """

    source: str
    scores: np.ndarray
    target: np.ndarray
    figures: Mapping[str, Replicates]


def compare_trials(
    trials_path: Path,
    sources: Sequence[Path],
    utt2spk: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    max_skip: float = MAX_SKIP,
) -> tuple[dict, list[TrialSystem]]:
    """Compare the first system with each of the others: compare-scores on a trial list.

    Args:
        trials_path: trial list.
        sources: score files, as score-trials --scores writes them, two or more.
        utt2spk: speakers of the utterances; default as in score-trials.
        stamps: words for the headline.
        i_know: stamp leaks LEAKY instead of raising.
        max_skip: highest fraction of trials that a system has not scored.

    Returns:
        plain JSON (docs/results.md), and the systems.

    Raises:
        SertkError: bad input, unknown or too few speakers, or a leak without `i_know`.
    """
    listed = read_trials(trials_path)
    speakers = trial_speakers(trials_path, listed.names, utt2spk)
    if not speakers:
        raise SertkError(f"{trials_path}: the comparison is by speakers: name their utt2spk with --clusters")
    corpus, guard = Corpus(listed.names, {"speaker": speakers}, ("speaker",), trials=True), Guard(i_know)
    guard.stamp(*stamps)
    columns, calibrated = [], True
    for source in sources:
        scores, settings = read_scores(source, listed)
        for leak in (settings or {}).get("leaks") or ():
            guard.leak(f"{source}: {leak}")
        guard.stamp(*((settings or {}).get("stamps") or ()))
        guard.check(str(source), settings, listed.names, corpus)
        calibrated = calibrated and bool((settings or {}).get("calibration"))
        columns.append(scores)
    kept = np.isfinite(columns).all(axis=0)
    if (~kept).sum() > max_skip * len(kept):
        names = ", ".join(str(s) for s, scores in zip(sources, columns) if np.isnan(scores).any())
        raise SertkError(f"{names}: {(~kept).sum()} of {len(kept)} trials have no score")
    trials = listed.of(kept)
    systems = [
        _system(str(source), trials, scores[kept], speakers, calibrated) for source, scores in zip(sources, columns)
    ]
    results = {
        "trials": len(trials.target),
        "targets": int(trials.target.sum()),
        "left_out": int((~kept).sum()),
        "speakers": len(systems[0].figures[PRIMARY].left),
        "primary": PRIMARY,
        "alpha": ALPHA,
        "systems": [{"source": s.source} | {name: f.value for name, f in s.figures.items()} for s in systems],
        "comparisons": _comparisons(systems),
        "stamps": guard.stamps,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
        "guard": guard.state,
    }
    return results, systems


def _system(
    source: str, trials: Trials, scores: np.ndarray, speakers: Mapping[str, str], calibrated: bool
) -> TrialSystem:
    """Figures of a system's scores (trials,)."""
    left_out = LeftOut(scores, trials.target, *speaker_indices(trials, speakers))
    if not left_out.possible:
        raise SertkError(f"{source}: too few speakers: without one, no targets or no nontargets are left")
    figures = {PRIMARY: left_out.eers()}
    figures |= {f"minDCF({p})": cost for p, cost in zip(P_TARGETS, left_out.min_dcfs(P_TARGETS))}
    if calibrated:
        figures["Cllr"] = left_out.cllrs()
    return TrialSystem(source, scores, trials.target, figures)


def _comparisons(systems: Sequence[TrialSystem]) -> list[dict]:
    """Differences of the first system and each of the others, as plain JSON, with p corrected by Holm's method."""
    first, *others = systems
    rows = [
        {name: difference(figure, other.figures[name]) for name, figure in first.figures.items()} for other in others
    ]
    adjusted = {name: holm([row[name].p for row in rows]) for name in first.figures}
    return [
        {
            name: {
                key: value
                for key, value in asdict(found).items()
                if key in ("value", "interval", "p", "error", "freedom")
            }
            | {"holm": adjusted[name][index], "detectable": found.detectable(len(rows))}
            for name, found in row.items()
        }
        for index, row in enumerate(rows)
    ]


def trial_comparison_text(results: Mapping) -> str:
    """Text of a comparison; EER in per cent, minDCF and Cllr times 100.

    Args:
        results: of `compare_trials`.
    """
    comparisons, several = results["comparisons"], len(results["comparisons"]) > 1
    inside = [f"{results['trials']} trials", f"{results['targets']} target", f"by {results['speakers']} speakers"]
    inside += [f"{results['left_out']} left out"] * bool(results["left_out"])
    lines = [" ".join([f"EER and detection costs [ {', '.join(inside)} ]", *results["stamps"]]), *guard_lines(results)]
    figures = list(comparisons[0])
    names = ["A", *(f"B{n}" if several else "B" for n in range(1, len(comparisons) + 1))]
    rows = [["system", *(f"100 {name}" if name != PRIMARY else "EER %" for name in figures)]]
    rows += [
        [f"{name} {system['source']}", *(f"{100 * system[figure]:.2f}" for figure in figures)]
        for name, system in zip(names, results["systems"])
    ]
    lines += ["", *aligned(rows), ""]
    rows = [["difference", "times 100", "95 % interval", "p", *["p (Holm)"] * several, "detectable"]]
    for name, comparison in zip(names[1:], comparisons):
        for figure, found in comparison.items():
            low, high = (f"{100 * end:+.2f}" for end in found["interval"])
            row = [f"A-{name} {figure}", f"{100 * found['value']:+.2f}", f"{low} to {high}", p_value(found["p"])]
            rows.append([*row, *[p_value(found["holm"])] * several, detectable_text(found["detectable"])])
    return "\n".join([*lines, *aligned(rows), *_verdicts(results, names)]) + "\n"


def _verdicts(results: Mapping, names: Sequence[str]) -> list[str]:
    """Whether the EER decides for a system, one line for each comparison."""
    lines = []
    for name, comparison in zip(names[1:], results["comparisons"]):
        found = comparison[PRIMARY]
        if found["holm"] < ALPHA:
            verdict = f"A is {'better' if found['value'] < 0 else 'worse'} than {name}"
        else:
            verdict = f"A is not shown to be better or worse than {name}"
        lines.append(f"{verdict} ({PRIMARY}, p {p_value(found['holm'])})")
    return lines
