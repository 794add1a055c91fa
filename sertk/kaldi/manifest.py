"""The manifest beside a table: what was written and its sha256, since no Kaldi format carries a checksum.

`x.manifest` stands beside `x.ark` (and `x.scp`): a script made out of others (sorted, cut, put together) finds the
manifests of the archives that it names.

Any tool can write `x.ark` again and leave the manifest. It is believed only while the archive has the content that it
was written for. A small archive is hashed each time. A large one is hashed once: the manifest's modification time is
then set to the archive's change time (ctime), which every write, rename, link, copy and change of times sets anew and
no call can set back.
"""

import hashlib
import json
import logging
import os
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from sertk.errors import SertkError

log = logging.getLogger("sertk")
# Below this, hashing takes some hundredths of a second.
_LARGE = 1 << 24
# Two changes within one step of a file system's clock carry the same time: a change is trusted when it is older.
_CLOCK_STEP_NS, _COARSE_STEP_NS = 20_000_000, 2_000_000_000
_warned: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Manifest:
    """What is known of a table.

    keys: entries; frames: rows over all entries; dim: columns, 0 where they differ
    sha256: of the archive; size: of the archive in bytes, 0 where it is unknown
    script, script_sha256: the script that was written with it, seen from the archive's folder; "" where there is none
    settings: how the numbers were made (plain JSON)
    """

    keys: int
    frames: int
    dim: int
    sha256: str
    script: str = ""
    script_sha256: str = ""
    settings: dict = field(default_factory=dict)
    size: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def manifest_path(path) -> str:
    """`x.ark` or `x.scp` -> `x.manifest`."""
    path = str(path)
    stem, dot, end = path.rpartition(".")
    return (stem if dot and end in ("ark", "scp") else path) + ".manifest"


def load_manifest(archive) -> Manifest | None:
    """The manifest that was written for the archive as it is now.

    Returns:
        None where there is none, and, with a warning, where the one beside it was written for other content.
    Raises:
        SertkError: the manifest is damaged, or the archive cannot be read
    """
    found = _read(archive)
    if found is None or _belongs(found, str(archive)):
        return found
    if (about := (os.path.realpath(archive), found.sha256)) not in _warned:
        _warned.add(about)
        log.warning("%s does not belong to %s (written again?): ignored", manifest_path(archive), archive)
    return None


def _read(archive) -> Manifest | None:
    path = manifest_path(archive)
    try:
        with open(path, "rb") as file:
            found = Manifest(**json.loads(file.read()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError):
        raise SertkError(f"{path}: is damaged: not a manifest") from None
    numbers = (found.keys, found.frames, found.dim, found.size)
    texts = (found.sha256, found.script, found.script_sha256)
    if not all(type(n) is int and n >= 0 for n in numbers) or not all(isinstance(text, str) for text in texts):
        raise SertkError(f"{path}: is damaged: not a manifest")
    if not isinstance(found.settings, dict):
        raise SertkError(f"{path}: is damaged: not a manifest")
    return found


def _belongs(found: Manifest, archive: str) -> bool:
    """Whether an archive has the content that its manifest was written for."""
    try:
        # Opened before it is asked for its times: an NFS client then asks the server.
        with open(archive, "rb") as file:
            before, started_ns = os.fstat(file.fileno()), time.time_ns()
            if not stat.S_ISREG(before.st_mode) or found.size not in (0, before.st_size):
                return False
            if before.st_size >= _LARGE and _is_noted(archive, before):
                return True
            if hashlib.file_digest(file, "sha256").hexdigest() != found.sha256:
                return False
            after = os.fstat(file.fileno())
    except OSError as error:
        raise SertkError(f"{archive}: cannot be read: {error.strerror}") from None
    unchanged = (before.st_size, before.st_ctime_ns) == (after.st_size, after.st_ctime_ns)
    if unchanged and before.st_size >= _LARGE and before.st_ctime_ns + _COARSE_STEP_NS <= started_ns:
        _note(archive, before)
    return unchanged


def _is_noted(archive: str, archive_stat: os.stat_result) -> bool:
    manifest, changed = os.stat(manifest_path(archive)), archive_stat.st_ctime_ns
    step = _CLOCK_STEP_NS if changed % 1_000_000_000 else _COARSE_STEP_NS
    # Where the manifest's own change time is what it was set to, the file system's change times can be set.
    return manifest.st_mtime_ns == changed and manifest.st_ctime_ns >= changed + step


def _note(archive: str, archive_stat: os.stat_result) -> None:
    path = manifest_path(archive)
    with suppress(OSError):  # another user's, or a read-only disk: it is hashed the next time too
        os.utime(path, ns=(os.stat(path).st_atime_ns, archive_stat.st_ctime_ns))


def note_published(archive: str) -> None:
    """Spare the readers of a large archive the hashing: it was published with its manifest by this process just now."""
    with suppress(OSError):
        found = os.stat(archive)
        if found.st_size >= _LARGE:
            time.sleep(1.5 * _CLOCK_STEP_NS / 1e9)
            _note(archive, found)


def file_sha256(path) -> str:
    """The sha256 of a file's content."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None


def check_archive(archive) -> Manifest:
    """The manifest of an archive whose content is what it says; SertkError where not, or where there is none."""
    found = _read(archive)
    if found is None:
        raise SertkError(
            f"{archive}: cannot be verified: there is no {os.path.basename(manifest_path(archive))} beside it"
        )
    if file_sha256(archive) != found.sha256:
        raise SertkError(
            f"{archive}: is damaged: its sha256 is not the one in {manifest_path(archive)} (or it was written again)"
        )
    return found


def joined(parts: list[Manifest]) -> Manifest:
    """One manifest for a table out of several archives; SertkError where they were made with other settings."""
    first = parts[0]
    if any(part.settings != first.settings for part in parts):
        raise SertkError("the archives of this table were made with different settings (see their manifests)")
    dims = {part.dim for part in parts}
    keys, frames = sum(part.keys for part in parts), sum(part.frames for part in parts)
    digest = first.sha256 if len(parts) == 1 else ""
    return Manifest(keys, frames, dims.pop() if len(dims) == 1 else 0, digest, settings=first.settings)
