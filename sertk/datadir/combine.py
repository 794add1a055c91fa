"""Merge data folders into one.

Source: Kaldi, egs/wsj/s5/utils/combine_data.sh.
"""

from collections.abc import Sequence
from pathlib import Path

from sertk.datadir.folder import FRAME_SHIFT, STAMPS, DataDir, level
from sertk.datadir.overwrite import Folder, check_distinct, publish_folders
from sertk.datadir.perturb_steps import number
from sertk.datadir.perturbations import speed_of
from sertk.datadir.publish import restore_files
from sertk.errors import SertkError


def combine(folders: Sequence[Folder], out: Folder) -> tuple[DataDir, list[str]]:
    """Merge folders into `out`.

    A list that not all folders have is left out, except segments and utt2uniq, which can be derived, and utt2perturb.

    Returns:
        the written data folder, and a line for each list that was left out or moved away.

    Raises:
        SertkError: an utterance is in two folders, or a recording or speaker has two different lines.
    """
    for folder in folders:
        restore_files(folder)
    parts = [DataDir.load(folder) for folder in folders]
    check_distinct(out, folders)
    if any(part.segmented for part in parts):
        for part in parts:
            _add_segments(part)
    if any("utt2uniq" in part.lists for part in parts):
        for part in parts:
            part.lists.setdefault("utt2uniq", {utterance: utterance for utterance in part.utterances})
    if any("utt2perturb" in part.lists for part in parts):
        for part in parts:
            part.lists.setdefault("utt2perturb", {})
    common = set.intersection(*(set(part.lists) for part in parts))
    left_out = set().union(*(part.lists for part in parts)) - common
    lists: dict[str, dict[str, str]] = {}
    for name in sorted(common):
        lists[name] = merged = {}
        for part in parts:
            for key, value in part.lists[name].items():
                if key in merged and (merged[key] != value or level(name, part.segmented) == "utterance"):
                    raise SertkError(f"{part.folder}/{name}: key {key} is in another of the folders too")
                merged[key] = value
    combined = DataDir(Path(out), lists)
    for name in sorted(set().union(*(part.others for part in parts))):
        if all(name in part.others for part in parts):
            lines = dict.fromkeys(line for part in parts for line in part.others[name])
            combined.others[name] = list(lines) if name == "stm" else sorted(lines, key=lambda line: line[0])
        elif any(part.keep(part.utterances).others.get(name) for part in parts):
            left_out.add(name)
    combined.files = _combined_files(parts)
    combined = combined.keep(combined.utterances)
    warnings = [f"{name}: left out, since not every folder has it" for name in sorted(left_out)]
    return combined, warnings + publish_folders(Path(out), {".": combined})


def _combined_files(parts: list[DataDir]) -> dict[str, bytes]:
    """The stamps of any of several folders, with the lines of all, and the frame shift that they share."""
    files = {}
    for name in STAMPS:
        notes = [line for part in parts if name in part.files for line in part.files[name].splitlines()]
        if any(name in part.files for part in parts):
            files[name] = b"".join(line + b"\n" for line in dict.fromkeys(notes))
    shifts = {
        part.files[FRAME_SHIFT]: part for part in parts if FRAME_SHIFT in part.files and "feats.scp" in part.lists
    }
    if len(shifts) > 1:
        names = " and ".join(str(part.folder) for part in shifts.values())
        raise SertkError(f"{names} have different frame shifts (frame_shift): their features do not go together")
    for shift in shifts:
        files[FRAME_SHIFT] = shift
    return files


def _add_segments(part: DataDir) -> None:
    """Give a folder of whole recordings a segments list, made from utt2dur.

    Raises:
        SertkError: it has no utt2dur.
    """
    if part.segmented:
        return
    durations = part.lists.get("utt2dur")
    if durations is None:
        raise SertkError(
            f"{part.folder}: has no segments, which another folder has; utt2dur would be needed to make them"
        )
    perturbed = part.lists.get("utt2perturb", {})

    def recorded(utterance: str, seconds: str) -> str:
        """The duration before the speed changes: segments are cut first."""
        speed = speed_of(perturbed.get(utterance, ""))
        return seconds if speed == 1 else number(float(seconds) * speed)

    part.lists["segments"] = {key: f"{key} 0 {recorded(key, seconds)}" for key, seconds in durations.items()}
