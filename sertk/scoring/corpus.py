"""The corpus of a test set: its recordings, speakers and sessions, and what a scheme holds out as a whole."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sertk.datadir.copies import original, renamed
from sertk.datadir.speakers import people


@dataclass(frozen=True)
class Corpus:
    """The corpus of a test set, including the segments of other folds.

    Args:
        keys: all known segments.
        maps: "speaker", "session" -> that of each segment; "recording" -> the original of each copy (Kaldi's utt2uniq).
        apart: names of the maps whose values must not be in both training and test.
        trials: True for speaker trials: labels of a network that does not record what its labels are, are speakers.
    """

    keys: Collection[str]
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    trials: bool = False

    @cached_property
    def recordings(self) -> dict[str, str]:
        """Recording -> one of its segments in the corpus."""
        segment_of = {}
        for segments in (self.keys, *self.maps.values()):
            for key in segments:
                segment_of.setdefault(self.original(key), key)
        return segment_of

    def original(self, key: str) -> str:
        """Recording of a segment, by utt2uniq or by its name."""
        return original(self.maps.get("recording", {}).get(key, key))

    def recording(self, key: str) -> str | None:
        """Recording of a training segment, None if it is not in the corpus."""
        if key not in self._recording_of:  # cached: networks of different folds share most segments
            name = self.original(key)
            self._recording_of[key] = name if name in self.recordings else renamed(name, self.recordings)
        return self._recording_of[key]

    def group(self, what: str, recording: str) -> str | None:
        """Speaker or session of a recording, None if unknown."""
        group = self._groups[what].get(recording)
        return original(group) if group else None

    @cached_property
    def people(self) -> frozenset[str]:
        """All speakers of the corpus."""
        return frozenset(self._groups.get("speaker", {}).values())

    @cached_property
    def _recording_of(self) -> dict[str, str | None]:
        return {}

    @cached_property
    def _groups(self) -> dict[str, dict[str, str]]:
        groups = dict(self.maps)
        if "speaker" in groups:
            groups["speaker"] = people(groups["speaker"], self.maps.get("recording"))
        return {what: {self.original(key): group for key, group in values.items()} for what, values in groups.items()}


def held_apart(scheme: Mapping) -> tuple[str, ...]:
    """Maps whose values a scheme holds out as a whole; under `speaker`, sessions may be in both training and test."""
    return {"loso": ("speaker", "session"), "speaker": ("speaker",)}.get(scheme.get("scheme"), ())
