"""Folds: which segments are held out together, and with what labels.

Three schemes. `loso` holds one session out at a time and `speaker` one speaker; both keep every speaker on
one side (speaker-independent). `stratified` deals the segments of each class over N folds, whoever spoke them:
speaker-dependent, and so stamped wherever it is scored (the paper's ablation, Fig. 4).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.atomic import atomic_file
from sertk.datadir.copies import original
from sertk.datadir.lists import read_lines, read_list, write_list
from sertk.datadir.speakers import people, read_speakers, recordings
from sertk.errors import SertkError

# What the folds of a scheme are made of, and whether its speakers are all on one side.
SCHEMES = {"loso": "session", "speaker": "speaker", "stratified": None}
SPEAKER_INDEPENDENT = {"loso": True, "speaker": True, "stratified": False}


@dataclass(frozen=True)
class Folds:
    """A division of labelled segments into folds 1..n.

    `labels` in the order of a posterior's entries; `held_out` the sessions or speakers of each fold (none where
    the scheme knows none).
    """

    scheme: str
    labels: tuple[str, ...]
    utt2label: dict[str, str]
    utt2fold: dict[str, int]
    held_out: dict[int, list[str]]

    @property
    def num_folds(self) -> int:
        return max(self.utt2fold.values())

    def counts(self) -> dict[int, dict[str, int]]:
        """Segments of each label in each fold, zeros included."""
        seen = Counter((fold, self.utt2label[utt]) for utt, fold in self.utt2fold.items())
        return {fold: {label: seen[fold, label] for label in self.labels} for fold in range(1, self.num_folds + 1)}

    def settings(self) -> dict:
        """What scheme.json keeps of this: plain JSON."""
        return {
            "scheme": self.scheme,
            "speaker_independent": SPEAKER_INDEPENDENT[self.scheme],
            "labels": list(self.labels),
            "held_out": {str(fold): groups for fold, groups in self.held_out.items()},
            "counts": {str(fold): counts for fold, counts in self.counts().items()},
        }


def map_labels(
    utt2label: Mapping[str, str], label_map: Mapping[str, str] | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The segments whose label is in `label_map`, relabelled, and the labels in the order of their first appearance
    in the map (without a map: all segments, labels sorted).

    >>> map_labels({"a": "exc", "b": "neu", "c": "xxx"}, {"exc": "hap", "hap": "hap", "neu": "neu"})
    ({'a': 'hap', 'b': 'neu'}, ('hap', 'neu'))
    """
    if label_map is None:
        return dict(utt2label), tuple(sorted(set(utt2label.values())))
    kept = {utt: label_map[label] for utt, label in utt2label.items() if label in label_map}
    return kept, tuple(dict.fromkeys(label_map.values()))


def divide(
    scheme: str,
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    maps: Mapping[str, Mapping[str, str]],
    num_folds: int | None = None,
    seed: int = 0,
) -> Folds:
    """Folds by any scheme; maps: "session", "speaker", "recording" (utt2uniq) to the data folder's, where it has them.

    A person under the names of perturbed copies (sp0.9-SPK) is one speaker, copies of one recording are in one fold.
    num_folds: 5 unless told for `stratified`; for the others only compared with what the sessions or speakers make.
    """
    if scheme == "stratified":
        return stratified_folds(utt2label, labels, num_folds or 5, seed, maps.get("recording"))
    what = SCHEMES[scheme]
    if what not in maps:
        raise SertkError(f"scheme {scheme} needs each segment's {what}, and the data folder does not say it")
    persons = people(maps["speaker"], maps.get("recording")) if "speaker" in maps else None
    groups = persons if what == "speaker" else {utt: original(group) for utt, group in maps[what].items()}
    folds = grouped_folds(scheme, utt2label, labels, groups, persons)
    if num_folds not in (None, folds.num_folds):
        raise SertkError(f"{folds.num_folds} {what}s make as many folds, not {num_folds}")
    return folds


def grouped_folds(
    scheme: str,
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    utt2group: Mapping[str, str],
    utt2spk: Mapping[str, str] | None = None,
) -> Folds:
    """One fold for each session (`loso`) or speaker (`speaker`), numbered in the groups' sorted order.

    With `utt2spk`, a speaker who is in two folds is an error. So is a class that a fold's training part lacks.
    """
    what = SCHEMES[scheme]
    for utt in utt2label:
        if utt not in utt2group:
            raise SertkError(f"{utt}: has a label and no {what}")
    groups = sorted({utt2group[utt] for utt in utt2label}, key=lambda group: group.encode())
    if len(groups) < 2:
        raise SertkError(f"scheme {scheme} needs two {what}s or more, there is {groups[0] if groups else 'none'}")
    number = {group: index for index, group in enumerate(groups, 1)}
    utt2fold = {utt: number[utt2group[utt]] for utt in utt2label}
    if utt2spk is not None:
        _check_speakers(utt2fold, utt2spk, what, groups)
    return _checked(Folds(scheme, tuple(labels), dict(utt2label), utt2fold, {number[g]: [g] for g in groups}))


def stratified_folds(
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    num_folds: int,
    seed: int,
    utt2uniq: Mapping[str, str] | None = None,
) -> Folds:
    """Each class dealt over `num_folds` folds in a random order that is a function of (seed, segment) alone.

    A class's count differs by one at most between folds, and so does the folds' size; perturbed copies follow their
    recording.
    """
    if num_folds < 2:
        raise SertkError(f"a stratified division needs two folds or more, not {num_folds}")
    recording_of = recordings(utt2label, utt2uniq)
    copies: dict[str, list[str]] = {}
    for utt, recording in recording_of.items():
        copies.setdefault(recording, []).append(utt)
    if len(copies) < num_folds:
        raise SertkError(f"{len(copies)} segments cannot be divided into {num_folds} folds")
    # sha256 and not `random`: the same folds from every version of Python.
    order = sorted(copies, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    utt2fold, dealt = {}, 0
    for label in labels:
        for recording in order:
            if utt2label[copies[recording][0]] == label:
                utt2fold.update(dict.fromkeys(copies[recording], dealt % num_folds + 1))
                dealt += 1
    return _checked(Folds("stratified", tuple(labels), dict(utt2label), utt2fold, {}))


def _checked(folds: Folds) -> Folds:
    totals = Counter(folds.utt2label.values())
    for label in folds.labels:
        if not totals[label]:
            raise SertkError(f"no segment has the label '{label}'")
    for fold, counts in folds.counts().items():
        for label in folds.labels:
            if counts[label] == totals[label]:
                raise SertkError(
                    f"fold {fold} holds all {totals[label]} segments of '{label}': none would be left to train on"
                )
    return folds


def _check_speakers(utt2fold, utt2spk, what, groups):
    home: dict[str, int] = {}
    for utt, fold in utt2fold.items():
        if utt not in utt2spk:
            raise SertkError(f"{utt}: has a label and no speaker in utt2spk")
        other = home.setdefault(utt2spk[utt], fold)
        if other != fold:
            raise SertkError(
                f"speaker {utt2spk[utt]} is in {what}s {groups[other - 1]} and {groups[fold - 1]} ({utt}): "
                "the folds would not be speaker-independent"
            )


def keeps_apart(
    utt2fold: Mapping[str, int], utt2spk: Mapping[str, str], utt2uniq: Mapping[str, str] | None = None
) -> bool | None:
    """Whether every person is in one fold, whatever their perturbed copies are called; None where one is not known.

    >>> keeps_apart({"a": 1, "b": 2}, {"a": "anna", "b": "sp0.9-anna"})
    False
    """
    home: dict[str, int] = {}
    if any(utt not in utt2spk for utt in utt2fold):
        return None
    person = people(utt2spk, utt2uniq)
    return all(home.setdefault(person[utt], fold) == fold for utt, fold in utt2fold.items())


# Maps that are left beside a utt2fold, for the leak guard: of all segments, those without a fold too.
MAPS = {"speaker": "utt2spk", "session": "utt2session", "recording": "utt2uniq"}


def write_folds(folder, folds: Folds, maps: Mapping[str, Mapping[str, str]], settings: dict):
    """Write utt2label, utt2fold, labels.txt, the `maps` ("speaker", "session", "recording") of all segments that there are, and,
    last, scheme.json with the folds' own settings and `settings`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_list(folder / "utt2label", folds.utt2label)
    write_list(folder / "utt2fold", folds.utt2fold)
    for what, name in MAPS.items():
        if what in maps:
            write_list(folder / name, maps[what])
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier division
    with atomic_file(folder / "labels.txt", "w") as file:
        file.writelines(f"{label}\n" for label in folds.labels)
    with atomic_file(folder / "scheme.json", "w") as file:
        json.dump(folds.settings() | settings, file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_labels(path) -> tuple[str, ...]:
    """The labels of a labels.txt, one a line, in the order of a posterior's entries."""
    labels: dict[str, None] = {}
    for number, line in read_lines(path):
        if not line or len(line.split()) != 1:
            raise SertkError(f"{path}:{number}: one label a line is wanted: '{line[:80]}'")
        if line in labels:
            raise SertkError(f"{path}:{number}: label {line} comes twice")
        labels[line] = None
    if len(labels) < 2:
        raise SertkError(f"{path}: two labels or more are wanted, there are {len(labels)}")
    return tuple(labels)


def read_utt2fold(path) -> dict[str, int]:
    """The fold of each segment, from 1."""
    folds = {}
    for number, (utt, fold) in enumerate(read_list(path).items(), 1):
        if not (fold.isascii() and fold.isdigit() and int(fold) > 0):
            raise SertkError(f"{path}:{number}: {utt}: '{fold}' is no fold (1, 2, …)")
        folds[utt] = int(fold)
    return folds


def read_maps(utt2fold_path) -> dict[str, dict[str, str]]:
    """The maps of all segments beside a utt2fold, those that are there and say something."""
    paths = {what: Path(utt2fold_path).parent / name for what, name in MAPS.items()}
    maps = {what: read_list(path) for what, path in paths.items() if what != "speaker" and path.exists()}
    speakers = read_speakers(paths["speaker"])
    return maps | ({"speaker": speakers} if speakers else {})


def read_scheme(utt2fold_path) -> dict:
    """The scheme.json beside a utt2fold; {} where there is none."""
    path = Path(utt2fold_path).parent / "scheme.json"
    try:
        scheme = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SertkError(f"{path}: cannot be read: {error}") from None
    if not isinstance(scheme, dict) or scheme.get("scheme") not in SCHEMES:
        raise SertkError(f"{path}: names no scheme that is known ({', '.join(SCHEMES)})")
    return scheme
