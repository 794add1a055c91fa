"""Paired comparison of systems on the same test set, by speakers."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.scoring.emotion import confusion, unweighted_accuracy, weighted_accuracy
from sertk.scoring.groups import UNGROUPED, unit_words
from sertk.scoring.leakguard import Guard
from sertk.scoring.paired import ALPHA, PRIMARY, Comparison, compare, holm
from sertk.scoring.posteriors import Scored, guesses_of
from sertk.scoring.testset import headline, known_clusters, read_system, read_test, ungrouped


def compare_systems(
    utt2label: Path,
    sources: Sequence[str],
    labels: Path | None = None,
    clusters: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    seed: int = 0,
) -> dict:
    """Compare the first system with each of the others on pooled figures: all of compare-scores.

    Args:
        utt2label: label of each segment; a utt2fold beside it must agree with the folds of all systems.
        sources: rspecifiers or experiment folders, two or more.
        labels: class names; default: labels.txt beside `utt2label`.
        clusters: map of the clusters to permute; default: speakers.
        stamps: words for the headline.
        i_know: stamp leaks LEAKY instead of raising.
        seed: random seed of the permutations.

    Returns:
        plain JSON (docs/results.md); p-values raw and corrected by Holm's method (`holm`), and again by sessions
        (`sensitivity`).

    Raises:
        SertkError: bad input, different folds, epochs selected on the test set, or a leak without `i_know`.
    """
    beside = Path(utt2label).parent / "utt2fold"
    test = read_test(utt2label, beside if beside.exists() else None, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    systems = [read_system(test, source, guard) for source in sources]
    for scored in (scored for runs in systems for scored in runs):
        if scored.chosen_on_test:
            guard.leak(f"{scored.source}: its epochs were selected on the test set (oracle)")
    _one_protocol([scored for runs in systems for scored in runs])
    known = known_clusters(test, [] if clusters is None else [clusters])
    if ungrouped(known):
        guard.stamp(UNGROUPED)
    drawn = clusters.name if clusters else next(iter(known), "segment")
    number = len(test.labels)
    guesses = [guesses_of(runs) for runs in systems]

    def compare_by(values: Sequence[str], fold: np.ndarray | None) -> list[Comparison]:
        return [compare(test.truth, guesses[0], other, values, number, fold, seed=seed) for other in guesses[1:]]

    comparisons = compare_by(known[drawn], test.fold) if known else compare_by(test.keys, None)
    sensitivity = {
        name: compare_by(values, test.fold) for name, values in known.items() if name == "utt2session" != drawn
    }
    tables = []
    for source, guess in zip(sources, guesses):
        counts = sum(confusion(test.truth, one, number) for one in guess)
        figures = {"wa": weighted_accuracy(counts), "ua": unweighted_accuracy(counts)}
        tables.append({"source": str(source), "runs": len(guess), **figures})
    return {
        **headline(test, guard),
        "segments": len(test.keys),
        "drawn": drawn,
        "primary": PRIMARY,
        "alpha": ALPHA,
        "systems": tables,
        "comparisons": _corrected(comparisons),
        "sensitivity": {name: _corrected(comparisons) for name, comparisons in sensitivity.items()},
        "notes": comparison_notes(comparisons, drawn),
    }


def _corrected(comparisons: Sequence[Comparison]) -> list[dict]:
    """Comparisons as plain JSON, with Holm-adjusted p and minimum detectable difference."""
    rows, tests = (
        [{**asdict(comparison), "least_p": comparison.least_p} for comparison in comparisons],
        len(comparisons),
    )
    for name in ("wa", "ua"):
        adjusted = holm([getattr(c, name).p for c in comparisons])
        for comparison, row, p in zip(comparisons, rows, adjusted):
            row.setdefault("holm", {})[name] = p
            possible = comparison.possible(tests)
            row[name].pop("freedom")
            row[name].pop("independent")
            row[name]["detectable"] = getattr(comparison, name).detectable(tests) if possible else None
    return rows


def comparison_notes(comparisons: Sequence[Comparison], drawn: str) -> list[str]:
    """Notes below a table of comparisons, one sentence each.

    Args:
        comparisons: all comparisons of the table.
        drawn: name of the map whose clusters were permuted.
    """
    first, tests = comparisons[0], len(comparisons)
    units = unit_words(drawn, first.clusters, first.units)
    notes = [
        f"{PRIMARY.upper()} at p < {ALPHA} decides; p is the larger of a permutation of {first.clusters}"
        f" {unit_words(drawn, first.clusters, first.clusters).split(' ', 1)[1]} and Student's t by {units}",
        "detectable: the smallest true difference that this design detects with 80 % power",
    ]
    if not first.possible(tests):
        least = min(1.0, first.least_p * tests)
        notes.append(
            f"with {units} no {'corrected ' * (tests > 1)}p below {least:.3g} is possible: no difference is detectable"
        )
    if any(c.ua.p >= ALPHA and not c.ua.interval[0] <= 0 <= c.ua.interval[1] for c in comparisons):
        notes.append(
            f"where an interval excludes 0 but p is {ALPHA} or more, p decides: the difference is not significant"
        )
    if any(min(c.runs) == 1 for c in comparisons):
        notes.append("one training run of a system: the intervals do not cover variation between seeds")
    return notes


def _one_protocol(systems: Sequence[Scored]) -> None:
    """Check by the manifests that all systems held out the same folds.

    Raises:
        SertkError: two systems were scored with different folds.
    """
    held_out = [scored.folds for scored in systems]  # computed at every access
    for other, of_other in zip(systems[1:], held_out[1:]):
        # Fold numbers may differ: folds are equal if the same segments are held out together.
        partner: dict[tuple[int, int], int] = {}
        for key in held_out[0].keys() & of_other.keys():
            for side, (one, two) in enumerate(((held_out[0], of_other), (of_other, held_out[0]))):
                if partner.setdefault((side, one[key]), two[key]) != two[key]:
                    raise SertkError(f"{systems[0].source} and {other.source} were scored with different folds ({key})")
