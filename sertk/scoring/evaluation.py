"""From the files of one or more experiments to their results: read, check, guard, evaluate, compare."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.scoring.agreement import agreement_scores
from sertk.scoring.emotion import confusion, unweighted_accuracy, weighted_accuracy
from sertk.scoring.folds import keeps_apart, read_labels, read_maps, read_scheme, read_utt2fold
from sertk.scoring.groups import column, known_groups, votes_of
from sertk.scoring.paired import compare, holm
from sertk.scoring.posteriors import Scored, check_folds, read_posteriors, truth_of
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


def read_system(test: Test, source: str, guard: Guard) -> Scored:
    """A system's posteriors of the test, held against the folds and against what its models were trained on."""
    scored = read_posteriors(source, test.keys, test.labels)
    if test.utt2fold:
        check_folds(scored, test.utt2fold)
    tested: dict[str, list[str]] = {}
    for key, name in zip(scored.keys, scored.archives):
        tested.setdefault(name, []).append(key)
    for name, keys in tested.items():
        guard.check(name, scored.settings[name], keys, test.corpus)
    return scored


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
    seed: int = 0,
) -> dict:
    """What `results.evaluate` finds, with the headline's `title` and `stamps`, the scheme, how the epochs were chosen
    (`select`), leaks and what could not be checked. Arguments as score-loso's."""
    test = read_test(utt2label, utt2fold, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    scored = read_system(test, source, guard)
    label_map = test.scheme.get("label_map")
    groups = known_groups(data, test.keys, label_map) if data else {}
    found = evaluate(
        test.truth,
        scored.posteriors,
        np.array([test.utt2fold[key] for key in test.keys]),
        test.labels,
        {path.name: column(path, test.keys, least=2) for path in clusters},
        groups | {path.name: column(path, test.keys) for path in by},
        seed,
    )
    if data and (votes := votes_of(data, test.keys)):
        found["agreement"] = agreement_scores(test.truth, scored.posteriors, votes, test.labels, label_map)
    head = {**_head(test, guard), "select": scored.select}
    head["title"] += [f"epoch by {scored.select}"] * (scored.select not in (None, "last"))
    return {**head, "source": scored.source, "scripts": test.scheme.get("scripts", {}), **found}


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
    as they are and with Holm's correction over the comparisons (`holm`), each of the three tests for itself.
    """
    beside = Path(utt2label).parent / "utt2fold"
    test = read_test(utt2label, beside if beside.exists() else None, labels)
    guard = Guard(i_know)
    guard.stamp(*stamps, *test.stamps)
    systems = [read_system(test, source, guard) for source in sources]
    for scored in systems:
        if scored.chosen_on_test:
            guard.leak(f"{scored.source}: its epochs were chosen on the test itself (oracle)")
    _one_protocol(systems)
    drawn = test.keys if clusters is None else column(clusters, test.keys, least=2)
    number = len(test.labels)
    found = [compare(test.truth, systems[0].guess, other.guess, drawn, number, seed=seed) for other in systems[1:]]
    tables = []
    for scored in systems:
        counts = confusion(test.truth, scored.guess, number)
        tables.append({"source": scored.source, "wa": weighted_accuracy(counts), "ua": unweighted_accuracy(counts)})
    comparisons = [asdict(comparison) for comparison in found]
    for name, p_values in (
        ("mcnemar", [c.mcnemar_p for c in found]),
        ("wa", [c.wa.p for c in found]),
        ("ua", [c.ua.p for c in found]),
    ):
        for comparison, adjusted in zip(comparisons, holm(p_values)):
            comparison.setdefault("holm", {})[name] = adjusted
    return {
        **_head(test, guard),
        "segments": len(test.keys),
        "drawn": "segment" if clusters is None else clusters.name,
        "systems": tables,
        "comparisons": comparisons,
    }


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
