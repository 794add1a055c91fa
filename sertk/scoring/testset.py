"""Test set of an experiment: labels, folds and maps that must fit together, and a system's posteriors on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.scoring.corpus import Corpus, held_apart
from sertk.scoring.foldfiles import MAPS, read_labels, read_maps, read_scheme, read_utt2fold
from sertk.scoring.folds import keeps_apart
from sertk.scoring.groups import column
from sertk.scoring.leakguard import DEPENDENT, UNCHECKED, UNKNOWN_SCHEME, Guard
from sertk.scoring.posteriors import Scored, check_folds, read_runs, truth_of


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
    def fold(self) -> np.ndarray | None:
        """Fold of each segment, in the order of `keys`; None if unknown. Shape: (segments,)."""
        return np.array([self.utt2fold[key] for key in self.keys]) if self.utt2fold else None

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


def headline(test: Test, guard: Guard) -> dict:
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
