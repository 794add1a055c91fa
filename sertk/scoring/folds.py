"""Cross-validation folds of labelled segments.

Four schemes: `loso` holds out one session at a time, `speaker` one speaker or one of N groups of speakers; both are
speaker-independent. `given` takes the corpus's own division (utt2split); it is speaker-independent if that is.
`stratified` divides the segments of each class over N folds regardless of speaker: its scores are stamped
SPEAKER-DEPENDENT (the paper's ablation, Fig. 4).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sertk.datadir.copies import original
from sertk.datadir.speakers import people, recordings
from sertk.errors import SertkError

log = logging.getLogger("sertk")

# The unit that a scheme holds out.
SCHEMES = {"loso": "session", "speaker": "speaker", "given": "split", "stratified": None}


@dataclass(frozen=True)
class Folds:
    """A division of labelled segments into folds 1 to n.

    Args:
        scheme: one of SCHEMES.
        labels: class names, in the order of the posteriors.
        utt2label: label of each segment.
        utt2fold: fold of each segment.
        held_out: sessions, speakers or splits of each fold; {} for "stratified".
        speaker_independent: True if no speaker is in two folds; None if unknown.
    """

    scheme: str
    labels: tuple[str, ...]
    utt2label: dict[str, str]
    utt2fold: dict[str, int]
    held_out: dict[int, list[str]]
    speaker_independent: bool | None = True

    @property
    def num_folds(self) -> int:
        """Number of folds."""
        return max(self.utt2fold.values())

    def counts(self) -> dict[int, dict[str, int]]:
        """Number of segments per fold and label, zeros included."""
        seen = Counter((fold, self.utt2label[utt]) for utt, fold in self.utt2fold.items())
        return {fold: {label: seen[fold, label] for label in self.labels} for fold in range(1, self.num_folds + 1)}

    def settings(self) -> dict:
        """The contents of scheme.json."""
        return {
            "scheme": self.scheme,
            "speaker_independent": self.speaker_independent,
            "labels": list(self.labels),
            "held_out": {str(fold): groups for fold, groups in self.held_out.items()},
            "counts": {str(fold): counts for fold, counts in self.counts().items()},
        }


def map_labels(
    utt2label: Mapping[str, str], label_map: Mapping[str, str] | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Relabel segments.

    Args:
        utt2label: label of each segment.
        label_map: label -> class; segments with other labels are dropped. None: keep all.

    Returns:
        utt2label with the new labels; class names in the order of first appearance in the map (without a map: sorted).

    Example:
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
    """Divide segments into folds by any scheme.

    Perturbed copies count as the speaker they are copies of (sp0.9-SPK is SPK), and stay in the fold of their recording.

    Args:
        scheme: one of SCHEMES.
        utt2label: label of each segment.
        labels: class names, in the order of the posteriors.
        maps: "session", "speaker", "split", "recording" (utt2uniq) -> the maps of the data folder, and "gender" -> that of
            each speaker, for groups of speakers.
        num_folds: for "stratified", default 5; for "speaker" the number of groups of speakers, default one fold per
            speaker; for the others the expected number, checked if given.
        seed: random seed of "stratified".

    Raises:
        SertkError: the scheme needs a map that is missing, or cannot divide these segments.
    """
    if scheme == "stratified":
        return stratified_folds(utt2label, labels, num_folds or 5, seed, maps.get("recording"))
    what = SCHEMES[scheme]
    if what not in maps:
        other = "" if scheme == "speaker" else " (--scheme speaker needs utt2spk only)"
        raise SertkError(f"scheme {scheme} needs {_file_of(what)}, which the data folder does not have{other}")
    persons = people(maps["speaker"], maps.get("recording")) if "speaker" in maps else None
    groups = persons if what == "speaker" else {utt: original(group) for utt, group in maps[what].items()}
    fold_of = None
    if scheme == "speaker" and num_folds and (labelled := len({groups.get(utt) for utt in utt2label})) > num_folds:
        _check_grouped(utt2label, groups, what)
        from sertk.scoring.balance import balanced_groups  # numpy, which no other scheme needs

        fold_of = balanced_groups(utt2label, labels, groups, maps.get("gender", {}), num_folds)
        log.info("%d speakers in %d groups", labelled, num_folds)
    folds = grouped_folds(scheme, utt2label, labels, groups, persons, fold_of)
    if num_folds not in (None, folds.num_folds):
        raise SertkError(f"{folds.num_folds} {what}s give {folds.num_folds} folds, not {num_folds}")
    return folds


def _file_of(what: str) -> str:
    """The list of a data folder that has the session, speaker or split of each segment."""
    return "utt2spk" if what == "speaker" else f"utt2{what}"


def grouped_folds(
    scheme: str,
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    utt2group: Mapping[str, str],
    utt2spk: Mapping[str, str] | None = None,
    fold_of: Mapping[str, int] | None = None,
) -> Folds:
    """Folds of whole groups.

    Args:
        scheme: "loso", "speaker" or "given".
        utt2label: label of each segment.
        labels: class names, in the order of the posteriors.
        utt2group: session, speaker or split of each segment.
        utt2spk: speaker of each segment, to check that no speaker is in two folds; under "given" they may be.
        fold_of: fold of each group, from 1; default: one fold per group, numbered in sorted order.

    Raises:
        SertkError: a segment has no group, there are fewer than two groups, a speaker is in two folds, or a fold holds all
            segments of a class.
    """
    what = SCHEMES[scheme]
    _check_grouped(utt2label, utt2group, what)
    groups = sorted({utt2group[utt] for utt in utt2label}, key=str.encode)
    if all(group.isdecimal() for group in groups):
        groups.sort(key=int)
    if len(groups) < 2:
        raise SertkError(f"scheme {scheme} needs two {what}s or more, there is {groups[0] if groups else 'none'}")
    fold_of = fold_of or {group: index for index, group in enumerate(groups, 1)}
    utt2fold = {utt: fold_of[utt2group[utt]] for utt in utt2label}
    held_out = {fold: [group for group in groups if fold_of[group] == fold] for fold in sorted(set(fold_of.values()))}
    apart = None if utt2spk is None else keeps_apart(utt2fold, utt2spk)
    if utt2spk is not None and (apart is None or scheme != "given"):
        _check_speakers(utt2fold, utt2spk, what, utt2group)
    independent = apart if scheme == "given" else True
    return _checked(Folds(scheme, tuple(labels), dict(utt2label), utt2fold, held_out, independent))


def _check_grouped(utt2label: Mapping[str, str], utt2group: Mapping[str, str], what: str) -> None:
    for utt in utt2label:
        if utt not in utt2group:
            raise SertkError(f"{utt}: has a label and no {what} in {_file_of(what)}")


def stratified_folds(
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    num_folds: int,
    seed: int,
    utt2uniq: Mapping[str, str] | None = None,
) -> Folds:
    """Folds stratified by class, regardless of speaker.

    Segments are divided in a random order that depends only on seed and segment name. The counts of a class differ by at most
    one between folds, and so do the fold sizes; perturbed copies stay with their recording.

    Args:
        utt2label: label of each segment.
        labels: class names, in the order of the posteriors.
        num_folds: number of folds, at least 2.
        seed: random seed.
        utt2uniq: recording of each perturbed copy.

    Raises:
        SertkError: too few segments or folds, or a fold holds all segments of a class.
    """
    if num_folds < 2:
        raise SertkError(f"a stratified division needs two folds or more, not {num_folds}")
    recording_of = recordings(utt2label, utt2uniq)
    copies: dict[str, list[str]] = {}
    for utt, recording in recording_of.items():
        copies.setdefault(recording, []).append(utt)
    if len(copies) < num_folds:
        raise SertkError(f"{len(copies)} segments cannot be divided into {num_folds} folds")
    # sha256 instead of `random`: the same folds with every version of Python.
    order = sorted(copies, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    utt2fold, dealt = {}, 0
    for label in labels:
        for recording in order:
            if utt2label[copies[recording][0]] == label:
                utt2fold.update(dict.fromkeys(copies[recording], dealt % num_folds + 1))
                dealt += 1
    return _checked(Folds("stratified", tuple(labels), dict(utt2label), utt2fold, {}, False))


def _checked(folds: Folds) -> Folds:
    """`folds`, if every class can be trained on in every fold. Raises SertkError."""
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


def _check_speakers(
    utt2fold: Mapping[str, int], utt2spk: Mapping[str, str], what: str, utt2group: Mapping[str, str]
) -> None:
    """Check that no speaker is in two folds. Raises SertkError."""
    home: dict[str, str] = {}
    for utt, fold in utt2fold.items():
        if utt not in utt2spk:
            raise SertkError(f"{utt}: has a label and no speaker in utt2spk")
        other = home.setdefault(utt2spk[utt], utt)
        if utt2fold[other] != fold:
            raise SertkError(
                f"speaker {utt2spk[utt]} is in {what}s {utt2group[other]} and {utt2group[utt]} ({utt}): "
                "the folds would not be speaker-independent"
            )


def keeps_apart(
    utt2fold: Mapping[str, int], utt2spk: Mapping[str, str], utt2uniq: Mapping[str, str] | None = None
) -> bool | None:
    """True if no speaker is in two folds, perturbed copies included; None if a speaker is unknown.

    >>> keeps_apart({"a": 1, "b": 2}, {"a": "anna", "b": "sp0.9-anna"})
    False
    """
    home: dict[str, int] = {}
    if any(utt not in utt2spk for utt in utt2fold):
        return None
    person = people(utt2spk, utt2uniq)
    return all(home.setdefault(person[utt], fold) == fold for utt, fold in utt2fold.items())
