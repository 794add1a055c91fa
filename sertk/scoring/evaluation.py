"""Scoring of experiment folders: read, check, guard against leaks, evaluate, compare."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.scoring.agreement import agreement_scores
from sertk.scoring.emotion import confusion, unweighted_accuracy, weighted_accuracy
from sertk.scoring.folds import MAPS, keeps_apart, read_labels, read_maps, read_scheme, read_utt2fold
from sertk.scoring.groups import UNGROUPED, column, known_groups, unit_words, votes_of
from sertk.scoring.paired import ALPHA, PRIMARY, Comparison, compare, holm
from sertk.scoring.posteriors import Scored, check_folds, guesses_of, read_runs, select_of, truth_of
from sertk.scoring.protocol import DEPENDENT, UNCHECKED, UNKNOWN_SCHEME, Corpus, Guard, held_apart
from sertk.scoring.results import evaluate


@dataclass(frozen=True)
class Test:
    """Test set of an experiment.

    Args:
        keys: segments.
        labels: class names, in the order of the posteriors.
        truth: (segments,) class indices.
        utt2fold: fold of each segment; {} if unknown.
        scheme: scheme.json; {} if there is none.
        maps: "speaker", "session", "recording" -> the map beside the folds or the labels.
    """

    keys: list[str]
    labels: tuple[str, ...]
    truth: np.ndarray
    utt2fold: dict[str, int]
    scheme: dict
    maps: dict[str, dict[str, str]]

    @cached_property
    def speaker_independent(self) -> bool | None:
        """True if no speaker is in two folds, by utt2spk, else by scheme.json; None if neither tells."""
        known = self.utt2fold and "speaker" in self.maps
        apart = keeps_apart(self.utt2fold, self.maps["speaker"], self.maps.get("recording")) if known else None
        promised = self.scheme.get("speaker_independent")
        return promised if apart is None else apart and promised is not False

    @cached_property
    def corpus(self) -> Corpus:
        """The test set as the leak guard sees it."""
        apart = held_apart(self.scheme) or ("speaker",)
        return Corpus(self.keys, self.maps, apart if self.speaker_independent is not False else ())

    @property
    def title(self) -> list[str]:
        """Scheme, speaker independence and part, for the headline."""
        by_hand = "folds of unknown scheme" if self.speaker_independent is None else "folds made by hand"
        words = [self.scheme.get("scheme", by_hand)]
        words += ["speaker-independent"] * bool(self.speaker_independent)  # otherwise it is stamped
        part = self.scheme.get("part", "all")
        return words + ([f"{part} part"] if part != "all" else [])

    @property
    def stamps(self) -> list[str]:
        """Stamps of every figure on this test set."""
        words = list(self.scheme.get("stamps", ()))
        if self.speaker_independent is None:
            words.append(UNKNOWN_SCHEME)
        return words + [DEPENDENT] * (self.speaker_independent is False)


def read_test(utt2label_path: Path, utt2fold_path: Path | None, labels_path: Path | None) -> Test:
    """Read and check a test set.

    Args:
        utt2label_path: label of each segment.
        utt2fold_path: fold of each segment, with scheme.json and maps beside it; None if unknown.
        labels_path: class names; default: labels.txt beside `utt2label_path`.

    Raises:
        SertkError: the two maps list different segments, or a label is not in labels.txt.
    """
    utt2label = read_list(utt2label_path)
    utt2fold, scheme, maps = {}, {}, read_maps(utt2label_path)
    if utt2fold_path is not None:
        utt2fold, scheme = read_utt2fold(utt2fold_path), read_scheme(utt2fold_path)
        maps |= read_maps(utt2fold_path)
        for path, other in ((utt2fold_path, utt2label_path), (utt2label_path, utt2fold_path)):
            here, there = (utt2fold, utt2label) if path == utt2fold_path else (utt2label, utt2fold)
            lacking = [key for key in there if key not in here]
            if lacking:
                raise SertkError(f"{path}: {lacking[0]} is missing ({len(lacking)} of {other}'s segments are)")
    labels = read_labels(labels_path or Path(utt2label_path).parent / "labels.txt")
    return Test(list(utt2label), labels, truth_of(utt2label, labels, utt2label_path), utt2fold, scheme, maps)


def read_system(test: Test, source: str, guard: Guard) -> list[Scored]:
    """Read the posteriors of every training run of a system, and check folds and leaks.

    Args:
        test: the test set.
        source: rspecifier or experiment folder.
        guard: collects leaks and stamps.

    Raises:
        SertkError: as `read_runs`, `check_folds` and `Guard.check`.
    """
    runs = read_runs(source, test.keys, test.labels)
    for scored in runs:
        if test.utt2fold:
            check_folds(scored, test.utt2fold)
        keys_of: dict[str, list[str]] = {}
        for key, name in zip(scored.keys, scored.archives):
            keys_of.setdefault(name, []).append(key)
        for name, keys in keys_of.items():
            guard.check(name, scored.settings[name], keys, test.corpus)
    return runs


def known_clusters(test: Test, named: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Clusters for intervals and tests, primary clusters first.

    By default speakers, and sessions as a sensitivity analysis, from the maps that make-folds writes beside the folds, if
    they cover all segments and have two clusters or more.

    Args:
        test: the test set.
        named: further maps (utt2X files).

    Returns:
        name of the map -> cluster of each segment.
    """
    clusters = {path.name: column(path, test.keys, least=2) for path in named}
    for what, name in MAPS.items():
        values = [test.maps.get(what, {}).get(key) for key in test.keys]
        if name not in clusters and None not in values and len(set(values)) > 1:
            clusters[name] = values
    # Dialogs last: those of one speaker are correlated.
    order = {"utt2spk": 0, "utt2session": 1, "utt2dialog": 3}
    return dict(sorted(clusters.items(), key=lambda item: order.get(item[0], 2)))


def ungrouped(clusters: Mapping[str, Sequence[str]]) -> bool:
    """True if no map is coarser than dialogs, so that segments are treated as independent."""
    return not any(name != "utt2dialog" for name in clusters)


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
        np.array([test.utt2fold[key] for key in test.keys]),
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
    head = {**_head(test, guard), "select": select}
    head["title"] += [f"epoch by {select}"] * (select not in (None, "last"))
    return {**head, "source": str(source), "scripts": test.scheme.get("scripts", {}), **results}


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
    fold = np.array([test.utt2fold[key] for key in test.keys]) if test.utt2fold else None

    def compare_by(values: Sequence[str], fold: np.ndarray | None) -> list[Comparison]:
        return [compare(test.truth, guesses[0], other, values, number, fold, seed=seed) for other in guesses[1:]]

    comparisons = compare_by(known[drawn], fold) if known else compare_by(test.keys, None)
    sensitivity = {name: compare_by(values, fold) for name, values in known.items() if name == "utt2session" != drawn}
    tables = []
    for source, guess in zip(sources, guesses):
        counts = sum(confusion(test.truth, one, number) for one in guess)
        figures = {"wa": weighted_accuracy(counts), "ua": unweighted_accuracy(counts)}
        tables.append({"source": str(source), "runs": len(guess), **figures})
    return {
        **_head(test, guard),
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


def _head(test: Test, guard: Guard) -> dict:
    """Title, stamps and leak state, as plain JSON."""
    return {
        "title": test.title + [guard.caveat] * (guard.state == UNCHECKED),
        "stamps": guard.stamps,
        "scheme": test.scheme.get("scheme"),
        "speaker_independent": test.speaker_independent,
        "guard": guard.state,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
    }


def _one_protocol(systems: Sequence[Scored]) -> None:
    """Check by the manifests that all systems held out the same folds.

    Raises:
        SertkError: two systems were scored with different folds.
    """
    first = systems[0]
    for other in systems[1:]:
        # Fold numbers may differ: folds are equal if the same segments are held out together.
        partner: dict[tuple[int, int], int] = {}
        for key in first.folds.keys() & other.folds.keys():
            for side, (one, two) in enumerate(((first, other), (other, first))):
                if partner.setdefault((side, one.folds[key]), two.folds[key]) != two.folds[key]:
                    raise SertkError(f"{first.source} and {other.source} were scored with different folds ({key})")
