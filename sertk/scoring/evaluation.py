"""Score one system: read, check, guard against leaks, evaluate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sertk.scoring.agreement import agreement_scores
from sertk.scoring.groups import UNGROUPED, column, known_groups, votes_of
from sertk.scoring.leakguard import Guard
from sertk.scoring.posteriors import select_of
from sertk.scoring.results import evaluate
from sertk.scoring.testset import headline, known_clusters, read_system, read_test, ungrouped


def score_folder(
    utt2label: Path,
    utt2fold: Path,
    source: str,
    labels: Path | None = None,
    clusters: Sequence[Path] = (),
    by: Sequence[Path] = (),
    data: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    method: str = "jackknife",
    seed: int = 0,
) -> dict:
    """Score one system: all of score-loso.

    Args:
        utt2label: label of each segment.
        utt2fold: fold of each segment.
        source: rspecifier or experiment folder.
        labels: class names; default: labels.txt beside `utt2label`.
        clusters: further maps for intervals.
        by: maps for breakdowns.
        data: data folder for breakdowns and rater votes.
        stamps: words for the headline.
        i_know: stamp leaks LEAKY instead of raising.
        method: "jackknife" or "bootstrap".
        seed: random seed of the bootstrap.

    Returns:
        the results of `evaluate`, with title, stamps, scheme, model selection (`select`), leaks and unchecked items
        (docs/results.md).

    Raises:
        SertkError: bad input, or a leak without `i_know`.
    """
    test = read_test(utt2label, utt2fold, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    runs = read_system(test, source, guard)
    posteriors = np.stack([scored.posteriors for scored in runs])
    label_map = test.scheme.get("label_map")
    groups = known_groups(data, test.keys, label_map) if data else {}
    cluster_maps = known_clusters(test, clusters)
    if ungrouped(cluster_maps):
        guard.stamp(UNGROUPED)
    results = evaluate(
        test.truth,
        posteriors,
        test.fold,
        test.labels,
        cluster_maps,
        groups | {path.name: column(path, test.keys) for path in by},
        method,
        seed,
    )
    if len(runs) > 1:
        results["runs"]["names"] = [Path(scored.source).name for scored in runs]
    if data and (votes := votes_of(data, test.keys)):
        results["agreement"] = agreement_scores(test.truth, posteriors.mean(axis=0), votes, test.labels, label_map)
    select = select_of(runs)
    head = {**headline(test, guard), "select": select}
    head["title"] += [f"epoch by {select}"] * (select not in (None, "last"))
    return {**head, "source": str(source), "scripts": test.scheme.get("scripts", {}), **results}
