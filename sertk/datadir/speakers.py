"""Who speaks: utt2spk, where it says more than that nobody knows; and one person under the names of perturbed copies."""

from collections.abc import Mapping
from pathlib import Path

from sertk.datadir.copies import original
from sertk.datadir.lists import read_list


def read_speakers(path) -> dict[str, str]:
    """The speaker of each segment; {} without the file, and where every segment is its own speaker.

    The latter is how Kaldi's users say that the speakers are not known.
    Raises SertkError as read_list does.
    """
    if not Path(path).is_file():
        return {}
    utt2spk = read_list(path)
    known = len(utt2spk) == 1 or any(utt != speaker for utt, speaker in utt2spk.items())
    return utt2spk if known else {}


def recordings(utts, utt2uniq: Mapping[str, str] | None = None) -> dict[str, str]:
    """The recording of each segment: what a perturbed copy is of, by its name or by Kaldi's utt2uniq."""
    utt2uniq = utt2uniq or {}
    return {utt: original(utt2uniq.get(utt, utt)) for utt in utts}


def people(utt2spk: Mapping[str, str], utt2uniq: Mapping[str, str] | None = None) -> dict[str, str]:
    """The person of each segment, whatever the speakers of perturbed copies are called.

    >>> people({"a": "anna", "sp0.9-a": "sp0.9-anna", "z": "other"}, {"z": "a"})
    {'a': 'anna', 'sp0.9-a': 'anna', 'z': 'anna'}
    """
    return {
        utt: original(utt2spk.get(recording, utt2spk[utt])) for utt, recording in recordings(utt2spk, utt2uniq).items()
    }
