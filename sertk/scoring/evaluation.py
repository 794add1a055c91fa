"""From the files of an experiment to its results: read, check, guard, evaluate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.lists import read_list
from sertk.scoring.folds import read_labels, read_scheme, read_utt2fold
from sertk.scoring.posteriors import Scored, check_folds, read_posteriors, truth_of
from sertk.scoring.protocol import DEPENDENT, Guard, fold_members
from sertk.scoring.results import evaluate


def score_folder(
    utt2label_path: Path,
    utt2fold_path: Path,
    source: str,
    labels_path: Path | None = None,
    clusters: Sequence[Path] = (),
    by: Sequence[Path] = (),
    stamps: Sequence[str] = (),
    i_know: bool = False,
    seed: int = 0,
) -> dict:
    """What `results.evaluate` finds, with the headline's `title` and `stamps`, the scheme, leaks and what could not
    be checked. Arguments as score-loso's."""
    utt2label, utt2fold, scheme = read_list(utt2label_path), read_utt2fold(utt2fold_path), read_scheme(utt2fold_path)
    _same_keys(utt2label_path, utt2label, utt2fold_path, utt2fold)
    labels = labels_of(utt2label_path, labels_path)
    truth = truth_of(utt2label, labels, utt2label_path)
    keys = list(utt2label)
    scored = read_posteriors(source, keys, labels)
    check_folds(scored, utt2fold)
    guard = Guard(i_know)
    guard.stamp(*stamps, *scheme.get("stamps", ()))
    if scheme and not scheme["speaker_independent"]:
        guard.stamp(DEPENDENT)
    _guard_folds(guard, scored, utt2fold, scheme)
    found = evaluate(
        truth,
        scored.posteriors,
        np.array([utt2fold[key] for key in keys]),
        labels,
        {path.name: column(path, keys, least=2) for path in clusters},
        {path.name: column(path, keys) for path in by},
        seed,
    )
    title = [scheme["scheme"] if scheme else "folds of unknown scheme"]
    if scheme:
        title += ["speaker-independent"] * scheme["speaker_independent"]  # the other is a stamp
        if scheme.get("part", "all") != "all":
            title.append(f"{scheme['part']} part")
    title += ["leaks unchecked"] * bool(guard.unknown)
    return {
        "title": title,
        "stamps": guard.stamps,
        "scheme": scheme.get("scheme"),
        "speaker_independent": scheme.get("speaker_independent"),
        "source": scored.source,
        "leaks": guard.leaks,
        "unchecked": guard.unknown,
        **found,
    }


def labels_of(utt2label_path: Path, labels_path: Path | None) -> tuple[str, ...]:
    """The labels of `labels_path`, or of the labels.txt beside a utt2label."""
    return read_labels(labels_path or Path(utt2label_path).parent / "labels.txt")


def column(path: Path, keys: Sequence[str], least: int = 1) -> list[str]:
    """Each key's value in a map; SertkError for a key that it lacks, and for fewer than `least` different values."""
    values = read_list(path)
    for key in keys:
        if key not in values:
            raise SertkError(f"{path}: {key} is in the test and not in this map")
    found = [values[key] for key in keys]
    if len(set(found)) < least:
        raise SertkError(f"{path}: {least} different values or more are wanted, there is only '{found[0]}'")
    return found


def _guard_folds(guard: Guard, scored: Scored, utt2fold: Mapping[str, int], scheme: Mapping):
    parts: dict[tuple[str, int], list[str]] = {}
    for key, name in zip(scored.keys, scored.archives):
        parts.setdefault((name, utt2fold[key]), []).append(key)
    for (name, fold), keys in parts.items():
        guard.check(name, scored.settings[name], fold_members(scheme, fold, keys))


def _same_keys(path_a, a: Mapping, path_b, b: Mapping):
    for (one, ones), (other, others) in (((path_a, a), (path_b, b)), ((path_b, b), (path_a, a))):
        lacking = [key for key in ones if key not in others]
        if lacking:
            raise SertkError(f"{other}: {lacking[0]} is missing ({len(lacking)} of {one}'s segments are)")
