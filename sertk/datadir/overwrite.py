"""Write data folders over existing ones.

Other files in the output folder (archives, logs, the user's own lists) are left alone. Known lists that would not match
the new content are moved to its `.backup`.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from sertk.datadir.checks import inconsistencies
from sertk.datadir.folder import DataDir, list_names, stale_names, utterances_of
from sertk.datadir.publish import backup_folder, publish_files, restore_files
from sertk.errors import SertkError

Folder = str | os.PathLike


def publish_folders(out: Path, parts: Mapping[str, DataDir], keep_fitting: bool = True) -> list[str]:
    """Write data folders, {name below `out`: content}, over existing ones; returns a line for each list moved away.

    Raises:
        SertkError: a folder would not be valid, or cannot be written; nothing is written.
    """
    for name, data in parts.items():
        lists = {file: dict(sorted(values.items())) for file, values in data.lists.items() if values}
        problems = list(inconsistencies(out / name, lists | {"spk2utt": data.spk2utt()}))
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise SertkError(f"{problems[0]}{more}: nothing was written (fix-data repairs what is read)")
    if out.is_dir():
        restore_files(out)
    contents, away, warnings = {}, {}, []
    for name, data in parts.items():
        folder = out / name
        contents |= {str(Path(name, file)): content for file, content in data.contents().items()}
        stale = stale_names(folder, data, keep_fitting)
        backup = backup_folder(folder, stale) if stale else ""
        away |= {str(Path(name, file)): str(Path(name, backup, file)) for file in stale}
        warnings += [f"{folder / file}: does not match the new lists, moved to {folder / backup}" for file in stale]
        if keep_fitting and (lost := utterances_of(folder) - data.speaker_of.keys()):
            warnings.append(
                f"{folder}: {len(lost)} utterances of its old lists are not in the new ones; the old lists are in"
                f" {back_up(folder)}"
            )
    publish_files(out, contents, away)
    return warnings


def back_up(folder: Path) -> Path:
    """Copy the lists of a folder to its first free `.backup`; returns that folder."""
    number = 1
    while (place := folder / (".backup" if number == 1 else f".backup.{number}")).exists():
        number += 1
    try:
        place.mkdir()
        try:
            for name in list_names(folder):
                shutil.copy2(folder / name, place / name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    except OSError as error:
        raise SertkError(f"{error.filename or place}: cannot be written: {error.strerror or error}") from None
    return place


def check_distinct(out: Folder, folders: Iterable[Folder]) -> None:
    """Check that the file or folder to write is none of those that are read.

    Raises:
        SertkError: it is.
    """
    for folder in folders:
        if Path(out).exists() and Path(out).samefile(folder):
            raise SertkError(f"{out}: cannot be read and written at once")
