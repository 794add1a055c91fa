"""Speakers and persons: utt2spk, and one person behind the names of perturbed copies."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sertk.datadir.copies import original
from sertk.datadir.lists import read_list


def read_speakers(path: str | os.PathLike) -> dict[str, str]:
    """Read the speaker of each segment from a utt2spk file.

    Returns:
        {} if there is no such file, or if every segment is its own speaker: Kaldi's users write unknown speakers so.

    Raises:
        SertkError: as read_list.
    """
    if not Path(path).is_file():
        return {}
    utt2spk = read_list(path)
    known = len(utt2spk) == 1 or any(utt != speaker for utt, speaker in utt2spk.items())
    return utt2spk if known else {}


def recordings(utts: Iterable[str], utt2uniq: Mapping[str, str] | None = None) -> dict[str, str]:
    """The original recording of each segment: that of a perturbed copy follows from its name or from Kaldi's utt2uniq."""
    utt2uniq = utt2uniq or {}
    return {utt: original(utt2uniq.get(utt, utt)) for utt in utts}


def people(utt2spk: Mapping[str, str], utt2uniq: Mapping[str, str] | None = None) -> dict[str, str]:
    """The person of each segment, whatever the speakers of perturbed copies are called.

    Example:
        >>> people({"a": "anna", "sp0.9-a": "sp0.9-anna", "z": "other"}, {"z": "a"})
        {'a': 'anna', 'sp0.9-a': 'anna', 'z': 'anna'}
    """
    return {
        utt: original(utt2spk.get(recording, utt2spk[utt])) for utt, recording in recordings(utt2spk, utt2uniq).items()
    }
