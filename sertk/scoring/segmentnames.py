"""Names by which the tables of other programs call a segment: utterances, and files with or without their folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from sertk.datadir.lists import read_list
from sertk.errors import SertkError

# Seconds between a row's start and that of its segment.
_SAME_START = 0.02


class Names:
    """Names that rows may give a segment.

    Args:
        keys: the segments that are wanted.
        paths: segment -> path of its recording; {} if unknown.
        starts: segment -> its start in the recording in seconds, for recordings of several segments.
    """

    def __init__(
        self,
        keys: Sequence[str],
        paths: Mapping[str, str] | None = None,
        starts: Mapping[str, float] | None = None,
    ) -> None:
        self.keys, self.paths, self.starts = keys, paths or {}, starts or {}
        self._known = frozenset(keys) | self.paths.keys()
        self._by_stem: dict[str, list[str]] = {}
        for key, path in self.paths.items():
            self._by_stem.setdefault(PurePath(path).stem, []).append(key)

    def find(self, name: str, start: float | None = None) -> str | None:
        """The segment of a row, None if there is none of that name.

        A name is an utterance or a file: the one of the same name without suffix, with the most folders in common.

        Raises:
            SertkError: several segments have this name.

        Example:
            >>> names = Names(["a-1", "b-1"], {"a-1": "/x/a/1.wav", "b-1": "/x/b/1.wav"})
            >>> names.find("a-1"), names.find("y/b/1.flac"), names.find("2.wav")
            ('a-1', 'b-1', None)
        """
        if name in self._known:
            return name
        path = PurePath(name)
        # The whole name too: FunASR's keys are file names without suffix, and names may have dots.
        found = self._by_stem.get(path.stem) or self._by_stem.get(path.name) or []
        if len(found) > 1:
            common = {key: _folders_in_common(path, PurePath(self.paths[key])) for key in found}
            found = [key for key in found if common[key] == max(common.values())]
        if len(found) > 1 and start is not None:
            found = [key for key in found if abs(self.starts.get(key, 0) - start) <= _SAME_START]
        if len(found) > 1:
            raise SertkError(f"{name}: may be {found[0]} or {found[1]}: give utterances, or more of the path")
        return found[0] if found else None


def _folders_in_common(one: PurePath, other: PurePath) -> int:
    pairs = list(zip(reversed(one.parent.parts), reversed(other.parent.parts)))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))


def read_names(keys: Sequence[str], data: Path | None) -> Names:
    """The names of segments, with those of their recordings if there is a data folder.

    Raises:
        SertkError: its wav.scp or segments cannot be read.
    """
    if data is None:
        return Names(keys)
    recordings = {key: _recording_path(value) for key, value in read_list(data / "wav.scp", None).items()}
    if not (data / "segments").exists():
        return Names(keys, recordings)
    segments = {key: value.split() for key, value in read_list(data / "segments", (4, 5)).items()}
    paths = {key: recordings[words[0]] for key, words in segments.items() if words[0] in recordings}
    return Names(keys, paths, {key: float(words[1]) for key, words in segments.items()})


def _recording_path(value: str) -> str:
    """The file that a line of wav.scp reads; of a pipe the last word with a suffix.

    >>> _recording_path("/a b/c.wav"), _recording_path("sph2pipe -f wav -p /a/c.sph |")
    ('/a b/c.wav', '/a/c.sph')
    """
    if not value.endswith("|"):
        return value
    return next((word for word in reversed(value.split()) if PurePath(word).suffix), value)
