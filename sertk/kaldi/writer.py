"""Write Kaldi tables: archive, script and manifest are published together, or nothing is.

Example:
    with table_writer("ark,scp:x.ark,x.scp", compress="cm2") as write:
        write(key, feats)
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from sertk.atomic import publish, recover, temporary
from sertk.errors import SertkError
from sertk.kaldi.codec import KINDS
from sertk.kaldi.encode import COMPRESSIONS, NUMBERS, checked, encode, encode_text
from sertk.kaldi.filenames import classify_output
from sertk.kaldi.keys import check_key
from sertk.kaldi.manifest import Manifest, manifest_path, note_published
from sertk.kaldi.script import script_entries
from sertk.kaldi.specifiers import Wspecifier, as_wspecifier, parse_rspecifier
from sertk.kaldi.streams import open_output


@contextmanager
def table_writer(
    target: Wspecifier | str,
    *,
    kind: str = "matrix",
    compress: str = "none",
    settings: dict[str, Any] | None = None,
    together: "list[ArchiveWriter] | None" = None,
) -> Iterator[Callable[[str, Any], None]]:
    """Context manager of a function `write(key, array)`.

    Files are published when the block ends; if it raises, they stay as they were.

    Args:
        target: the table.
        kind: "matrix" takes float32 or float64 (frames, bins), "vector" (dim,), "ints" integers (size,). "int" and
            "double" take a number, for tables like utt2num_frames and utt2dur, which have no manifest.
        compress: "none", or Kaldi's "cm", "cm2" or "cm3" for matrices (ignored in text).
        settings: how the numbers were computed (plain JSON), saved in the manifest.
        together: publish with the other tables of this list, see `published_together`.

    Raises:
        SertkError: a file cannot be written; a key comes twice or could not be read back; an array has another type or
            shape, or NaN or infinite numbers (nothing of it is written); no entry was written.
    """
    assert kind in (*KINDS, *NUMBERS) and compress in COMPRESSIONS, (kind, compress)
    target = as_wspecifier(target)
    writer = (ArchiveWriter if target.archive is not None else _FilesWriter)(target, kind, compress, settings or {})
    writer.together = together
    try:
        yield writer.write
        if not writer.seen:
            raise SertkError(f"{target}: nothing was written to it")
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


@contextmanager
def published_together() -> Iterator["list[ArchiveWriter]"]:
    """Context manager of a list for the `together` of table_writer: the tables are published when the block ends.

    Old and new tables are never mixed: if the block raises, the old ones stay; a kill during the publication leaves only old
    ones or only new ones, but not all.

    Raises:
        SertkError: a file cannot be written.
    """
    writers: list[ArchiveWriter] = []
    try:
        yield writers
        _publish(writers)
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise


def _publish(writers: "list[ArchiveWriter]") -> None:
    """Publish finished tables: old ones are removed before the first new one is there."""
    try:
        for path in [path for writer in writers for _, path in writer.pairs]:
            with suppress(FileNotFoundError):
                os.unlink(os.path.realpath(path))
        for writer in writers:
            writer.publish()
    except OSError as error:
        raise SertkError(f"{error.filename}: cannot be written: {error.strerror or error}") from None


class Target:
    """A file under a temporary name until it is published, or a stream, which is written to directly.

    Attributes:
        path: of the file, None for a stream.
        tmp: its temporary name.
        output: where it is written.
        digest: its sha256 so far; None for a stream, which has no manifest.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = name if publishable(name) else None
        self.tmp = temporary(name) if self.path else None
        self.output = open_output(self.tmp or name)
        self.digest = hashlib.sha256() if self.path else None

    def write(self, *pieces: bytes | np.ndarray) -> None:
        """Append pieces."""
        for piece in pieces:
            self.output.write(piece)
            if self.digest:
                self.digest.update(piece)

    def finish(self) -> None:
        """Flush to disk and close; the file still has its temporary name."""
        self.output.flush()
        if self.path:
            os.fsync(self.output.fd)
        self.output.finish()

    def abandon(self) -> None:
        """Close and delete the temporary file after an error, and ignore further errors."""
        with suppress(OSError):
            self.output.abandon()
        if self.tmp:
            with suppress(OSError):
                os.unlink(self.tmp)


class _Writer:
    """Checks and encodes entries; the arguments are those of table_writer."""

    def __init__(self, target: Wspecifier, kind: str, compress: str, settings: dict[str, Any]) -> None:
        self.target, self.kind, self.compress, self.settings = target, kind, compress, settings
        self.seen: set[str] = set()
        self.frames, self.dims = 0, set()
        self.together: list[ArchiveWriter] | None = None

    def encoded(self, key: str, array: Any) -> tuple[bytes | np.ndarray, ...]:
        """Check and encode an entry's value, as pieces to write."""
        check_key(key, str(self.target))
        try:
            if key in self.seen:
                raise SertkError("this key comes twice")
            array = checked(array, self.kind)
            binary = self.target.binary
            value = encode(array, self.kind, self.compress) if binary else (encode_text(array, self.kind),)
        except SertkError as error:
            raise SertkError(f"{self.target}: key {key}: {error}") from None
        self.seen.add(key)
        self.frames += len(array) if self.kind == "matrix" else 1
        self.dims.add(array.shape[-1])
        return value


class ArchiveWriter(_Writer):
    """Writes an archive, and its script if the target has one; the arguments are those of table_writer."""

    def __init__(self, target: Wspecifier, kind: str, compress: str, settings: dict[str, Any]) -> None:
        super().__init__(target, kind, compress, settings)
        self.archive = self.script = self.manifest = None
        files = [name for name in (target.archive, target.script) if name is not None and publishable(name)]
        if target.script is not None and target.archive not in files:
            raise SertkError(f"{target}: a script names offsets in a file: the archive must be one")
        if len({os.path.realpath(name) for name in files}) < len(files):
            raise SertkError(f"{target}: archive and script are the same file")
        try:
            if target.archive in files:
                # Undo a publication that was killed.
                recover([os.path.realpath(path) for path in [*files, manifest_path(target.archive)]])
            self.archive = self.open(target.archive)
            self.script = self.open(target.script) if target.script is not None else None
        except OSError as error:
            self.abandon()
            raise SertkError(f"{error.filename or target}: cannot be written: {error.strerror or error}") from None
        except BaseException:
            self.abandon()
            raise

    def open(self, name: str) -> Target:
        """Open the archive or the script for writing."""
        return Target(name)

    def write(self, key: str, array: Any) -> None:
        """Append an entry."""
        value = self.encoded(key, array)
        self.archive.write(f"{key} ".encode())
        start = self.archive.output.position
        self.archive.write(*value)
        if self.script:
            self.script.write(f"{key} {self.target.archive}:{start}\n".encode())
        if self.target.flush:
            self.archive.output.flush()

    def finish(self) -> None:
        """Publish archive, script and manifest."""
        try:
            self._finish()
        except OSError as error:
            raise SertkError(f"{error.filename or self.target}: cannot be written: {error.strerror or error}") from None

    def _finish(self) -> None:
        streamed = [part for part in (self.archive, self.script) if part is not None and not part.path]
        published = [part for part in (self.archive, self.script) if part is not None and part.path]
        for part in published:
            part.finish()
        if published and self.kind in KINDS:
            self.manifest = Target(manifest_path(self.target.archive))
            self.manifest.write(self._manifest().text().encode())
            self.manifest.finish()
            published.append(self.manifest)
        self.pairs = [(part.tmp, part.path) for part in published]
        if published and self.together is not None:
            self.together.append(self)
        elif published:
            self.publish()
        for part in streamed:
            part.finish()

    def publish(self) -> None:
        """Put the finished files in their places. Raises OSError."""
        publish(self.pairs)
        if self.manifest:
            note_published(self.archive.path)

    def _manifest(self) -> Manifest:
        script, digest = "", ""
        if self.script and self.script.path:
            folder = os.path.dirname(os.path.realpath(self.archive.path))
            script, digest = os.path.relpath(os.path.realpath(self.script.path), folder), self.script.digest.hexdigest()
        dim = self.dims.pop() if len(self.dims) == 1 else 0
        return Manifest(
            keys=len(self.seen),
            frames=self.frames,
            dim=dim,
            sha256=self.archive.digest.hexdigest(),
            script=script,
            script_sha256=digest,
            settings=self.settings,
            size=self.archive.output.position,
        )

    def abandon(self) -> None:
        """Close and delete all temporary files after an error."""
        for part in (self.archive, self.script, self.manifest):
            if part is not None:
                part.abandon()


class _FilesWriter(_Writer):
    """Writes each entry to the file that an existing script names (`scp:` alone); arguments as table_writer."""

    def __init__(self, target: Wspecifier, kind: str, compress: str, settings: dict[str, Any]) -> None:
        super().__init__(target, kind, compress, settings)
        self.places = dict(script_entries(parse_rspecifier(f"scp:{target.script}")))
        self.parts: list[Target] = []

    def write(self, key: str, array: Any) -> None:
        """Write an entry to its file."""
        if key not in self.places:
            if self.target.permissive:
                return
            raise SertkError(f"{self.target}: key {key}: the script does not name it")
        value = self.encoded(key, array)
        part = Target(self.places[key])
        try:
            part.write(*value)
            part.finish()
        except BaseException:
            part.abandon()
            raise
        if part.path:
            self.parts.append(part)

    def finish(self) -> None:
        """Publish the files."""
        for part in self.parts:
            try:
                publish([(part.tmp, part.path)])
            except OSError as error:
                raise SertkError(f"{part.path}: cannot be written: {error.strerror or error}") from None

    def abandon(self) -> None:
        """Delete all temporary files after an error."""
        for part in self.parts:
            part.abandon()


def publishable(name: str) -> bool:
    """True for a regular file, existing or not; False for standard output, pipes and devices."""
    if classify_output(name) != "file":
        return False
    try:
        return stat.S_ISREG(os.stat(name).st_mode)
    except OSError:
        return True
