"""Who speaks: utt2spk, where it says more than that nobody knows."""

from pathlib import Path

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
