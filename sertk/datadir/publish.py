"""Files of a folder that is there already: all are replaced or none, and what else the folder holds stays as it is.

The new files are written into a folder of our own inside it, `.sertk-unfinished`; then the old ones are moved there and
the new ones to their places. A kill in between leaves that folder, from which the next call restores the old files, or
finishes where all new ones were in place.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sertk.atomic import only_process_in, sync_folder
from sertk.errors import SertkError

STAGE = ".sertk-unfinished"


def publish_files(folder, contents: Mapping[str, bytes], away: Mapping[str, str] | None = None) -> None:
    """Write files into a folder, which is made where it is not there, and move others of its files away.

    Arguments:
        folder: where; a link to a folder is followed, a link in the place of a file is replaced
        contents: path below the folder to content; the last one commits: where it is missing, nothing was published
        away: paths below the folder, each with where to move it (below the folder too)
    Raises:
        SertkError: a file cannot be written, or another process is writing in the folder; all is as it was
    """
    folder, away = Path(os.path.realpath(folder)), away or {}
    made = []
    try:
        for place in dict.fromkeys([folder, *((folder / name).parent for name in contents)]):
            _make(place, made)
        with only_process_in(folder):
            _restore(folder)
            _publish(folder, contents, away)
    except BaseException as error:
        for place in reversed(made):
            with suppress(OSError):
                place.rmdir()
        if isinstance(error, OSError):
            raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
        raise


def restore_files(folder) -> None:
    """Undo, or finish, what a killed publish_files left in a folder; SertkError where that cannot be done."""
    folder = Path(os.path.realpath(folder))
    if not (folder / STAGE).is_dir():
        return
    try:
        with only_process_in(folder):
            _restore(folder)
    except OSError as error:
        raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None


def _make(place: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and list which were made."""
    missing = []
    while not place.exists() and not place.is_symlink():
        missing.append(place)
        place = place.parent
    for place in reversed(missing):
        place.mkdir()
        made.append(place)
    if not place.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))


def _publish(folder: Path, contents: Mapping[str, bytes], away: Mapping[str, str]) -> None:
    names = [*contents, *away]
    for name in names:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
    stage = folder / STAGE
    try:
        for part in ("new", "old"):
            (stage / part).mkdir(parents=True)
        for number, content in enumerate(contents.values()):
            _write(stage / "new" / str(number), content)
        there = [os.path.lexists(folder / name) for name in names]
        plan = {"names": names, "there": there, "written": len(contents), "away": dict(away)}
        _write(stage / "plan.tmp", json.dumps(plan).encode())
        (stage / "plan.tmp").rename(stage / "plan")
        for part in (stage / "new", stage):
            sync_folder(part)
        # The one that commits goes first and comes last.
        for number in sorted(range(len(names)), key=lambda n: n != len(contents) - 1):
            if there[number]:
                (folder / names[number]).rename(stage / "old" / str(number))
        places = dict.fromkeys((folder / name).parent for name in names)
        for number, name in enumerate(contents):
            if number == len(contents) - 1:
                for place in places:
                    sync_folder(place)
            (stage / "new" / str(number)).rename(folder / name)
        for place in places:
            sync_folder(place)
    except BaseException:
        with suppress(OSError):
            last = stage / "new" / str(len(contents) - 1)
            if (stage / "plan").exists() and not last.exists():
                (folder / names[len(contents) - 1]).rename(last)
            _restore(folder)
        raise
    _restore(folder)


def _restore(folder: Path) -> None:
    """Bring a publication to its end where the last new file is in its place, else to its beginning."""
    stage = folder / STAGE
    if not stage.is_dir():
        return
    try:
        plan = json.loads((stage / "plan").read_bytes())
    except FileNotFoundError:  # nothing was moved yet, or all was moved back
        shutil.rmtree(stage)
        return
    names, written = plan["names"], plan["written"]
    if (stage / "new" / str(written - 1)).exists():
        for number, (name, there) in enumerate(zip(names, plan["there"], strict=True)):
            old = stage / "old" / str(number)
            if os.path.lexists(old):
                old.rename(folder / name)
            elif not there and number < written and not (stage / "new" / str(number)).exists():
                (folder / name).unlink(missing_ok=True)
    else:
        for number, name in enumerate(names):
            old = stage / "old" / str(number)
            if name in plan["away"] and os.path.lexists(old):
                place = folder / plan["away"][name]
                place.parent.mkdir(exist_ok=True)
                old.rename(place)
    (stage / "plan").unlink()
    shutil.rmtree(stage)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def backup_folder(folder: Path, names: Iterable[str]) -> str:
    """The name of a folder for backups, as fix_data_dir.sh's `.backup`, in which none of the names is taken."""
    names, place, number = list(names), ".backup", 1
    while any(os.path.lexists(folder / place / name) for name in names):
        number += 1
        place = f".backup.{number}"
    return place
