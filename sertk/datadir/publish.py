"""Replace several files of an existing folder atomically, and leave its other files alone.

The new files are written into a stage inside the folder, `.sertk-unfinished`; then the old files are moved there and the
new ones to their places. After a kill the next call finds the stage and restores the old files, or, if all new files
were in place, finishes.
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


def publish_files(
    folder: str | os.PathLike, contents: Mapping[str, bytes], away: Mapping[str, str | None] | None = None
) -> None:
    """Write files into a folder, made if needed, and move or delete other files of it: all or nothing.

    Args:
        folder: a link to a folder is followed; a link in the place of a file is replaced.
        contents: {path below the folder: content}; the last one commits: while it is missing, nothing is published.
        away: {path below the folder: new path below the folder} of files to move; None to delete one.

    Raises:
        SertkError: a file cannot be written, or another process is writing in the folder; nothing has changed.
    """
    folder, away = Path(os.path.realpath(folder)), away or {}
    new_folders: list[Path] = []
    try:
        for place in dict.fromkeys([folder, *((folder / name).parent for name in contents)]):
            _make_folder(place, new_folders)
        with only_process_in(folder):
            _restore(folder)
            _publish(folder, contents, away)
    except BaseException as error:
        for place in reversed(new_folders):
            with suppress(OSError):
                place.rmdir()
        if isinstance(error, OSError):
            raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
        raise


def restore_files(folder: str | os.PathLike) -> None:
    """Undo or finish a killed publish_files in a folder.

    Raises:
        SertkError: a file cannot be moved, or another process is writing in the folder.
    """
    folder = Path(os.path.realpath(folder))
    if not (folder / STAGE).is_dir():
        return
    try:
        with only_process_in(folder):
            _restore(folder)
    except OSError as error:
        raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None


def _make_folder(place: Path, new_folders: list[Path]) -> None:
    """Make a folder and its parents, and append those that did not exist to `new_folders`."""
    missing = []
    while not place.exists() and not place.is_symlink():
        missing.append(place)
        place = place.parent
    for place in reversed(missing):
        place.mkdir()
        new_folders.append(place)
    if not place.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))


def _publish(folder: Path, contents: Mapping[str, bytes], away: Mapping[str, str | None]) -> None:
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
        # The file that commits is moved away first and put in place last.
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
    """Finish a publication if its last new file is in place, else undo it."""
    stage = folder / STAGE
    if not stage.is_dir():
        return
    try:
        plan = json.loads((stage / "plan").read_bytes())
    except FileNotFoundError:  # nothing was moved yet, or everything was moved back
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
            if plan["away"].get(name) and os.path.lexists(old):
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
    """First of `.backup` (as fix_data_dir.sh calls it), `.backup.2`, … that holds none of these names."""
    names, place, number = list(names), ".backup", 1
    while any(os.path.lexists(folder / place / name) for name in names):
        number += 1
        place = f".backup.{number}"
    return place
