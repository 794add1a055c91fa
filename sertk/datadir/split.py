"""Divide a data folder into parts of whole speakers, or of utterances.

Source: Kaldi, egs/wsj/s5/utils/split_data.sh.
"""

from pathlib import Path

from sertk.datadir.folder import DataDir
from sertk.datadir.overwrite import Folder, publish_folders
from sertk.datadir.publish import restore_files
from sertk.errors import SertkError


def split(folder: Folder, number: int, per_utt: bool = False) -> tuple[Path, list[str]]:
    """Divide a folder into `splitN/1` … `splitN/N` below it, each part a run of the sorted order.

    Args:
        folder: the data folder.
        number: N.
        per_utt: divide by utterances (`splitNutt/…`), not by speakers.

    Returns:
        the folder of the parts, and a line for each list of an earlier split that was moved away.

    Raises:
        SertkError: there are fewer speakers (utterances) than parts.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    groups: dict[str, list[str]] = {}
    for utterance in data.utterances:
        groups.setdefault(utterance if per_utt else data.speaker_of[utterance], []).append(utterance)
    if len(groups) < number:
        unit = "utterances" if per_utt else "speakers"
        raise SertkError(f"{folder}: {len(groups)} {unit} cannot be split into {number} parts")
    parts, rest, left = {}, list(groups.values()), len(data.speaker_of)
    for part in range(number):
        utterances, share = rest.pop(0), left / (number - part)
        # Add a group if that comes nearer to the even share, and enough groups remain for the other parts.
        while len(rest) >= number - part and abs(len(utterances) + len(rest[0]) - share) <= abs(
            len(utterances) - share
        ):
            utterances = utterances + rest.pop(0)
        if part == number - 1:
            utterances = utterances + [utterance for group in rest for utterance in group]
        left -= len(utterances)
        parts[str(part + 1)] = data.keep(utterances)
    place = Path(folder) / f"split{number}{'utt' if per_utt else ''}"
    return place, publish_folders(place, parts, keep_fitting=False)
