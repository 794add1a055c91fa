"""The manifest beside an archive: counts, settings and sha256, since no Kaldi format has a checksum.

`x.manifest` is beside `x.ark` (and `x.scp`), so that scripts derived from others (sorted, cut, joined) find the manifests of
the archives that they name.

Other tools may overwrite `x.ark` and leave the manifest, so it is valid only if the archive's sha256 matches. A small
archive is hashed each time. A large one is hashed once: then the manifest's modification time is set to the archive's
change time (ctime), which every write, rename, link, copy and change of times updates and no call can set back.
"""

import hashlib
import json
import logging
import os
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sertk.errors import SertkError

log = logging.getLogger("sertk")
# Smaller archives are hashed within some hundredths of a second.
_LARGE = 1 << 24
# Two changes within one step of a file system's clock have the same time, so only older changes are trusted.
_CLOCK_STEP_NS, _COARSE_STEP_NS = 20_000_000, 2_000_000_000
_warned: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Manifest:
    """The manifest of an archive, or of a table.

    Args:
        keys: number of entries.
        frames: rows of all entries.
        dim: columns, 0 if they differ.
        sha256: of the archive; "" for several archives.
        script: the script written with it, relative to the archive's folder; "" if there is none.
        script_sha256: of the script.
        settings: how the numbers were computed (plain JSON).
        size: of the archive in bytes, 0 if not known.
        identity: what else the numbers depend on (plain JSON), of a table that is kept when its command is rerun
            (resumable.py); {} of others.
    """

    keys: int
    frames: int
    dim: int
    sha256: str
    script: str = ""
    script_sha256: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    identity: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The content of the file."""
        fields = {name: value for name, value in asdict(self).items() if name != "identity" or value}
        return json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def manifest_path(path: Path | str) -> str:
    """The manifest of an archive or script: `x.ark` or `x.scp` to `x.manifest`."""
    path = str(path)
    stem, dot, end = path.rpartition(".")
    return (stem if dot and end in ("ark", "scp") else path) + ".manifest"


def load_manifest(archive: Path | str) -> Manifest | None:
    """Read the manifest of an archive.

    Returns:
        None if there is none, and, with a warning, if the archive has been overwritten since.

    Raises:
        SertkError: the manifest is damaged, or the archive cannot be read.
    """
    manifest = _read(archive)
    if manifest is None or _matches(manifest, str(archive)):
        return manifest
    if (warning := (os.path.realpath(archive), manifest.sha256)) not in _warned:
        _warned.add(warning)
        log.warning("%s does not match %s (overwritten?): ignored", manifest_path(archive), archive)
    return None


def _read(archive: Path | str) -> Manifest | None:
    path = manifest_path(archive)
    try:
        with open(path, "rb") as file:
            manifest = Manifest(**json.loads(file.read()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError):
        raise SertkError(f"{path}: is damaged: not a manifest") from None
    numbers = (manifest.keys, manifest.frames, manifest.dim, manifest.size)
    texts = (manifest.sha256, manifest.script, manifest.script_sha256)
    if not all(type(n) is int and n >= 0 for n in numbers) or not all(isinstance(text, str) for text in texts):
        raise SertkError(f"{path}: is damaged: not a manifest")
    if not isinstance(manifest.settings, dict) or not isinstance(manifest.identity, dict):
        raise SertkError(f"{path}: is damaged: not a manifest")
    return manifest


def _matches(manifest: Manifest, archive: str) -> bool:
    """True if an archive has the content that its manifest was written for."""
    try:
        # Opened before its times are read: opening makes an NFS client update them from the server.
        with open(archive, "rb") as file:
            before, started_ns = os.fstat(file.fileno()), time.time_ns()
            if not stat.S_ISREG(before.st_mode) or manifest.size not in (0, before.st_size):
                return False
            if before.st_size >= _LARGE and _is_noted(archive, before):
                return True
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest.sha256:
                return False
            after = os.fstat(file.fileno())
    except OSError as error:
        raise SertkError(f"{archive}: cannot be read: {error.strerror}") from None
    unchanged = (before.st_size, before.st_ctime_ns) == (after.st_size, after.st_ctime_ns)
    if unchanged and before.st_size >= _LARGE and before.st_ctime_ns + _COARSE_STEP_NS <= started_ns:
        _note(archive, before)
    return unchanged


def _is_noted(archive: str, archive_stat: os.stat_result) -> bool:
    """True if this archive was hashed before and has not changed since."""
    manifest, changed = os.stat(manifest_path(archive)), archive_stat.st_ctime_ns
    step = _CLOCK_STEP_NS if changed % 1_000_000_000 else _COARSE_STEP_NS
    # Unless the manifest's ctime is later than the mtime that was set, this file system allows ctime to be set.
    return manifest.st_mtime_ns == changed and manifest.st_ctime_ns >= changed + step


def _note(archive: str, archive_stat: os.stat_result) -> None:
    """Record in the manifest's modification time that the archive matches it."""
    path = manifest_path(archive)
    with suppress(OSError):  # another user's file, or a read-only disk: the archive is hashed next time too
        os.utime(path, ns=(os.stat(path).st_atime_ns, archive_stat.st_ctime_ns))


def note_published(archive: str) -> None:
    """Note a large archive that this process has just published, so that its readers need not hash it."""
    with suppress(OSError):
        status = os.stat(archive)
        if status.st_size >= _LARGE:
            time.sleep(1.5 * _CLOCK_STEP_NS / 1e9)
            _note(archive, status)


def file_sha256(path: Path | str) -> str:
    """The sha256 of a file.

    Raises:
        SertkError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None


def check_archive(archive: Path | str) -> Manifest:
    """Hash an archive and compare it with its manifest.

    Raises:
        SertkError: they differ, or there is no manifest.
    """
    manifest = _read(archive)
    if manifest is None:
        raise SertkError(
            f"{archive}: cannot be verified: there is no {os.path.basename(manifest_path(archive))} beside it"
        )
    if file_sha256(archive) != manifest.sha256:
        raise SertkError(
            f"{archive}: is damaged: its sha256 is not the one in {manifest_path(archive)} (or it was overwritten)"
        )
    return manifest


def joined(parts: list[Manifest]) -> Manifest:
    """The manifest of a table of several archives.

    Raises:
        SertkError: they were made with different settings.
    """
    first = parts[0]
    if any(part.settings != first.settings for part in parts):
        raise SertkError("the archives of this table were made with different settings (see their manifests)")
    dims = {part.dim for part in parts}
    keys, frames = sum(part.keys for part in parts), sum(part.frames for part in parts)
    digest = first.sha256 if len(parts) == 1 else ""
    return Manifest(keys, frames, dims.pop() if len(dims) == 1 else 0, digest, settings=first.settings)
