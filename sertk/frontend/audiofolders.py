"""Recordings in folders, found by their suffix."""

from collections.abc import Iterator
from pathlib import Path

from sertk.errors import SertkError

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".m4a", ".mp4", ".aif", ".aiff", ".au", ".caf"}


def recordings_in(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files among `paths`, and the recordings in and below the folders among them.

    Args:
        paths: files of any name, and folders, in which recordings are found by their suffix

    Yields:
        Paths, those of a folder in sorted order.

    Raises:
        SertkError: if a path does not exist, or if a folder has no recordings.
    """
    for path in paths:
        if path.is_dir():
            audio = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            recordings = sorted(p for p in audio if not p.is_dir())
            if not recordings:
                raise SertkError(f"{path}: no recordings in this folder ({' '.join(sorted(SUFFIXES))})")
            yield from recordings
        elif path.exists():
            yield path
        else:
            raise SertkError(f"{path}: no such file or folder")
