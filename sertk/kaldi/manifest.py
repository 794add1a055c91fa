"""The manifest beside a table: what was written and its sha256, since no Kaldi format carries a checksum.

`x.manifest` stands beside `x.ark` (and `x.scp`): a script made out of others (sorted, cut, put together) finds the
manifests of the archives that it names.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field

from sertk.errors import SertkError


@dataclass(frozen=True)
class Manifest:
    """What is known of a table.

    keys: entries; frames: rows over all entries; dim: columns, 0 where they differ
    sha256: of the archive
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

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def manifest_path(path) -> str:
    """`x.ark` or `x.scp` -> `x.manifest`."""
    path = str(path)
    stem, dot, end = path.rpartition(".")
    return (stem if dot and end in ("ark", "scp") else path) + ".manifest"


def load_manifest(archive) -> Manifest | None:
    """The manifest beside an archive, None where there is none; SertkError where it is damaged."""
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
    numbers, texts = (found.keys, found.frames, found.dim), (found.sha256, found.script, found.script_sha256)
    if not all(type(n) is int and n >= 0 for n in numbers) or not all(isinstance(text, str) for text in texts):
        raise SertkError(f"{path}: is damaged: not a manifest")
    if not isinstance(found.settings, dict):
        raise SertkError(f"{path}: is damaged: not a manifest")
    return found


def file_sha256(path) -> str:
    """The sha256 of a file's content."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None


def check_archive(archive) -> Manifest:
    """The manifest of an archive whose content is what it says; SertkError where not, or where there is none."""
    found = load_manifest(archive)
    if found is None:
        raise SertkError(
            f"{archive}: cannot be verified: there is no {os.path.basename(manifest_path(archive))} beside it"
        )
    if file_sha256(archive) != found.sha256:
        raise SertkError(f"{archive}: is damaged: its sha256 is not the one in {manifest_path(archive)}")
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
