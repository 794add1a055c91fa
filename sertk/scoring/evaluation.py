"""From the files of one or more experiments to their results: read, check, guard, evaluate, compare."""

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
    """What systems are scored on: segments, their class numbers (segments,) and, where it is known, their folds."""

    keys: list[str]
    labels: tuple[str, ...]
    truth: np.ndarray
    utt2fold: dict[str, int]
    scheme: dict
    maps: dict[str, dict[str, str]]  # "speaker", "session" -> the map beside the folds or the labels

    @cached_property
    def speaker_independent(self) -> bool | None:
        """Whether every person is in one fold only, by utt2spk; without one as the scheme says, None where none does."""
        known = self.utt2fold and "speaker" in self.maps
        apart = keeps_apart(self.utt2fold, self.maps["speaker"], self.maps.get("recording")) if known else None
        promised = self.scheme.get("speaker_independent")
        return promised if apart is None else apart and promised is not False

    @cached_property
    def corpus(self) -> Corpus:
        """What the leak guard knows of the test."""
        apart = held_apart(self.scheme) or ("speaker",)
        return Corpus(self.keys, self.maps, apart if self.speaker_independent is not False else ())

    @property
    def title(self) -> list[str]:
        """Words for a headline."""
        by_hand = "folds of unknown scheme" if self.speaker_independent is None else "folds made by hand"
        words = [self.scheme.get("scheme", by_hand)]
        words += ["speaker-independent"] * bool(self.speaker_independent)  # the others are stamps
        part = self.scheme.get("part", "all")
        return words + ([f"{part} part"] if part != "all" else [])

    @property
    def stamps(self) -> list[str]:
        """What every figure of this test carries."""
        words = list(self.scheme.get("stamps", ()))
        if self.speaker_independent is None:
            words.append(UNKNOWN_SCHEME)
        return words + [DEPENDENT] * (self.speaker_independent is False)


def read_test(utt2label_path: Path, utt2fold_path: Path | None, labels_path: Path | None) -> Test:
    """Read and check a utt2label, the labels.txt beside it (or `labels_path`), a utt2fold and the scheme beside it.

    Raises SertkError where the two maps have not the same segments, and for a label that is not listed.
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
    """The posteriors of each training run of a system, checked against the folds and against what its models were
    trained on."""
    runs = read_runs(source, test.keys, test.labels)
    for scored in runs:
        if test.utt2fold:
            check_folds(scored, test.utt2fold)
        tested: dict[str, list[str]] = {}
        for key, name in zip(scored.keys, scored.archives):
            tested.setdefault(name, []).append(key)
        for name, keys in tested.items():
            guard.check(name, scored.settings[name], keys, test.corpus)
    return runs


def known_clusters(test: Test, named: Sequence[Path] = ()) -> dict[str, list[str]]:
    """The maps' names -> each segment's cluster in them, the one that figures are claimed for first.

    The speakers, and the sessions as a sensitivity analysis, of the maps that make-folds leaves beside the folds; and
    those of `named` maps. Maps with fewer than two clusters, or without all segments, are no default.
    """
    found = {path.name: column(path, test.keys, least=2) for path in named}
    for what, name in MAPS.items():
        values = [test.maps.get(what, {}).get(key) for key in test.keys]
        if name not in found and None not in values and len(set(values)) > 1:
            found[name] = values
    # Dialogs last: of one speaker there are many, which resemble each other.
    order = {"utt2spk": 0, "utt2session": 1, "utt2dialog": 3}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], 2)))


def ungrouped(clusters: Mapping[str, Sequence[str]]) -> bool:
    """Whether nothing coarser than dialogs is known, so that segments are taken as independent."""
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
    """What `results.evaluate` finds, with the headline's `title` and `stamps`, the scheme, how the epochs were chosen
    (`select`), leaks and what could not be checked. Arguments as score-loso's."""
    test = read_test(utt2label, utt2fold, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    runs = read_system(test, source, guard)
    posteriors = np.stack([scored.posteriors for scored in runs])
    label_map = test.scheme.get("label_map")
    groups = known_groups(data, test.keys, label_map) if data else {}
    drawn = known_clusters(test, clusters)
    if ungrouped(drawn):
        guard.stamp(UNGROUPED)
    found = evaluate(
        test.truth,
        posteriors,
        np.array([test.utt2fold[key] for key in test.keys]),
        test.labels,
        drawn,
        groups | {path.name: column(path, test.keys) for path in by},
        method,
        seed,
    )
    if len(runs) > 1:
        found["runs"]["names"] = [Path(scored.source).name for scored in runs]
    if data and (votes := votes_of(data, test.keys)):
        found["agreement"] = agreement_scores(test.truth, posteriors.mean(axis=0), votes, test.labels, label_map)
    select = select_of(runs)
    head = {**_head(test, guard), "select": select}
    head["title"] += [f"epoch by {select}"] * (select not in (None, "last"))
    return {**head, "source": str(source), "scripts": test.scheme.get("scripts", {}), **found}


def compare_systems(
    utt2label: Path,
    sources: Sequence[str],
    labels: Path | None = None,
    clusters: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    seed: int = 0,
) -> dict:
    """Plain JSON: the first system against each of the others, on the pooled figures. Arguments as compare-scores's.

    The utt2fold beside UTT2LABEL, where there is one, is what all systems must have been scored by. p-values come
    as they are and with Holm's correction over the comparisons (`holm`); `sensitivity` has the same by sessions.
    """
    beside = Path(utt2label).parent / "utt2fold"
    test = read_test(utt2label, beside if beside.exists() else None, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    systems = [read_system(test, source, guard) for source in sources]
    for scored in (scored for runs in systems for scored in runs):
        if scored.chosen_on_test:
            guard.leak(f"{scored.source}: its epochs were chosen on the test itself (oracle)")
    _one_protocol([scored for runs in systems for scored in runs])
    known = known_clusters(test, [] if clusters is None else [clusters])
    if ungrouped(known):
        guard.stamp(UNGROUPED)
    drawn = clusters.name if clusters else next(iter(known), "segment")
    number = len(test.labels)
    guesses = [guesses_of(runs) for runs in systems]
    fold = np.array([test.utt2fold[key] for key in test.keys]) if test.utt2fold else None

    def by(values, fold) -> list[Comparison]:
        return [compare(test.truth, guesses[0], other, values, number, fold, seed=seed) for other in guesses[1:]]

    found = by(known[drawn], fold) if known else by(test.keys, None)
    others = {name: by(values, fold) for name, values in known.items() if name == "utt2session" != drawn}
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
        "comparisons": _corrected(found),
        "sensitivity": {name: _corrected(comparisons) for name, comparisons in others.items()},
        "notes": comparison_notes(found, drawn),
    }


def _corrected(found: Sequence[Comparison]) -> list[dict]:
    """Comparisons as plain JSON, with Holm's p and the smallest difference that could have been shown."""
    comparisons = [{**asdict(comparison), "least_p": comparison.least_p} for comparison in found]
    for name in ("wa", "ua"):
        adjusted = holm([getattr(c, name).p for c in found])
        for comparison, plain, p in zip(found, comparisons, adjusted):
            plain.setdefault("holm", {})[name] = p
            possible = comparison.possible(len(found))
            plain[name].pop("freedom")
            plain[name].pop("independent")
            plain[name]["detectable"] = getattr(comparison, name).detectable(len(found)) if possible else None
    return comparisons


def comparison_notes(found: Sequence[Comparison], drawn: str) -> list[str]:
    """What must be known to read the p-values of `found`, a sentence each."""
    first, tests = found[0], len(found)
    units = unit_words(drawn, first.clusters, first.units)
    notes = [
        f"{PRIMARY.upper()} at p < {ALPHA} decides; p is the larger of a permutation of {first.clusters}"
        f" {unit_words(drawn, first.clusters, first.clusters).split(' ', 1)[1]} and Student's t by {units}",
        "could be shown: the smallest difference that this design shows in four of five cases",
    ]
    if not first.possible(tests):
        least = min(1.0, first.least_p * tests)
        notes.append(
            f"with {units} no {'corrected ' * (tests > 1)}p below {least:.3g} can come out: nothing can be shown"
        )
    if any(c.ua.p >= ALPHA and not c.ua.interval[0] <= 0 <= c.ua.interval[1] for c in found):
        notes.append(f"an interval without 0 beside a p of {ALPHA} or more shows no difference: p decides")
    if any(min(c.runs) == 1 for c in found):
        notes.append("one training run of a system: what another seed would give is not in these intervals")
    return notes


def _head(test: Test, guard: Guard) -> dict:
    return {
        "title": test.title + ["leaks unchecked"] * (guard.state == UNCHECKED),
        "stamps": guard.stamps,
        "scheme": test.scheme.get("scheme"),
        "speaker_independent": test.speaker_independent,
        "guard": guard.state,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
    }


def _one_protocol(systems: Sequence[Scored]):
    """SertkError where two systems' manifests say that different folds were held out."""
    first = systems[0]
    for other in systems[1:]:
        # Folds may be numbered otherwise: what counts is which segments were held out together.
        partner: dict[tuple[int, int], int] = {}
        for key in first.folds.keys() & other.folds.keys():
            for side, (one, two) in enumerate(((first, other), (other, first))):
                if partner.setdefault((side, one.folds[key]), two.folds[key]) != two.folds[key]:
                    raise SertkError(f"{first.source} and {other.source} were scored by different folds ({key})")
