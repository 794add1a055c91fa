"""The leak guard: what a model was trained on must not be what it is scored on.

A score file's manifest says, in its settings, whose scores they are:

    {"labels": [...], "frontend": {..., "transductive": true},
     "trained_on": {"fold": 2, "keys": [...], "speakers": [...], "target": "label",
                    "select": "dev-session", "chosen_epoch": 7, "chosen_on": {"fold": 3, "keys": [...]},
                    "trunk": {"keys": [...], ...}}}

`trunk` and `init` are what the network that it began from had been trained on, and so on down the chain; an imported one
has `source`, `sha256`, `licence`, `declared` (its training in words) and, where they were listed, `speakers`. `keys` are the
training segments, `speakers` all their speakers, `chosen_on` the segments that chose the epoch: they count as seen in
training, except under the rule `oracle`, which chooses on the test itself by the user's own order and is stamped.

Scores are in one of three states:

    leaking    a test segment, or a perturbed copy of it, is in the training; or a speaker or session whom the scheme keeps
               apart is
    unchecked  something that could leak was not recorded, or cannot be matched with the test's own lists
    clean      every network of the chain says all its segments or all its speakers, and none of them is the test's

Segments are matched by the recording that they are of (sertk.datadir.copies), speakers by the test's own utt2spk.
Training segments that it does not have are another corpus's, or this one's under other names: then the `speakers` decide.
A common name is one person where it can mean no one else: VoxCeleb's (`id10270`), that of the network's own training, two
such names together; else (a single name of a trunk's corpus; numbers, where half of the test's are in it) it is unchecked.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sertk.datadir.copies import is_celebrity, original, renamed, telling
from sertk.datadir.speakers import people
from sertk.errors import SertkError

LEAKY, TRANSDUCTIVE, DEPENDENT = "LEAKY", "TRANSDUCTIVE", "SPEAKER-DEPENDENT"
UNKNOWN_SCHEME = "UNKNOWN-SCHEME"
CLEAN, LEAKING, UNCHECKED = "clean", "leaking", "unchecked"
# The rule that picks the epoch by the held-out fold's own score.
ORACLE = "oracle"


@dataclass(frozen=True)
class Corpus:
    """What is known of the segments of a test's corpus, those of other folds included.

    Args:
        keys: of all segments that are known.
        maps: "speaker", "session" to each segment's, "recording" (Kaldi's utt2uniq) to the one that it is a copy of.
        apart: those of `maps` that must not be on both sides.
        trials: these are of speakers, and so are the labels of a network that does not say what its labels are.
    """

    keys: Collection[str]
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    trials: bool = False

    @cached_property
    def recordings(self) -> dict[str, str]:
        """Recording -> one of its segments here."""
        found = {}
        for segments in (self.keys, *self.maps.values()):
            for key in segments:
                found.setdefault(self.original(key), key)
        return found

    def original(self, key: str) -> str:
        """The recording of a segment of the corpus, by utt2uniq or by its name."""
        return original(self.maps.get("recording", {}).get(key, key))

    def recording(self, key: str) -> str | None:
        """The recording of a training segment, None where it is none of these."""
        if key not in self._recording_of:  # the folds' networks have most of their segments in common
            name = self.original(key)
            self._recording_of[key] = name if name in self.recordings else renamed(name, self.recordings)
        return self._recording_of[key]

    def group(self, what: str, recording: str) -> str | None:
        """The person or session of a recording."""
        group = self._groups[what].get(recording)
        return original(group) if group else None

    @cached_property
    def people(self) -> frozenset[str]:
        """All persons of the corpus."""
        return frozenset(self._groups.get("speaker", {}).values())

    @cached_property
    def _recording_of(self) -> dict[str, str | None]:
        return {}

    @cached_property
    def _groups(self) -> dict[str, dict[str, str]]:
        groups = dict(self.maps)
        if "speaker" in groups:
            groups["speaker"] = people(groups["speaker"], self.maps.get("recording"))
        return {what: {self.original(key): group for key, group in found.items()} for what, found in groups.items()}


@dataclass
class Guard:
    """Collects what is wrong with a set of scores and the words that every view of them must carry.

    i_know: leaks are stamped LEAKY instead of refused.
    """

    i_know: bool = False
    stamps: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    doubts: dict[str, list[str]] = field(default_factory=dict)  # what is unchecked -> in whose scores

    @property
    def state(self) -> str:
        if self.leaks or LEAKY in self.stamps:
            return LEAKING
        return UNCHECKED if self.doubts else CLEAN

    @property
    def unchecked(self) -> list[str]:
        """What is unchecked, a line for each reason.

        >>> guard = Guard()
        >>> guard.doubt("1/scores.ark", "no manifest"), guard.doubt("2/scores.ark", "no manifest")
        (None, None)
        >>> guard.unchecked, guard.state
        (['1/scores.ark and 1 more: no manifest'], 'unchecked')
        """
        return [f"{names[0]}{_more(len(names) - 1)}: {reason}" for reason, names in self.doubts.items()]

    def stamp(self, *words: str):
        self.stamps = list(dict.fromkeys([*self.stamps, *words]))

    def leak(self, message: str):
        """Refuse, or note where the user knows. Raises SertkError."""
        if not self.i_know:
            raise SertkError(f"{message} (--i-know true scores it all the same, stamped {LEAKY})")
        self.leaks.append(message)
        self.stamp(LEAKY)

    def doubt(self, name: str, reason: str):
        """Note that something of `name` cannot be checked."""
        names = self.doubts.setdefault(reason, [])
        if name not in names:
            names.append(name)

    def check(self, name: str, settings: Mapping | None, keys: Iterable[str], corpus: Corpus):
        """Compare what `name`'s manifest says with the test segments `keys` of `corpus`. Raises SertkError for a leak."""
        settings, keys = settings or {}, list(keys)
        trained_on = settings.get("trained_on")
        if not trained_on:
            self.doubt(name, "no manifest says what this was trained on")
        for what in corpus.apart if trained_on else ():
            utt2group = corpus.maps.get(what, {})
            if lacking := [key for key in keys if key not in utt2group]:
                self.doubt(name, f"the {what} of {len(lacking)} test segments is not known ({lacking[0]})")
        prefix = ""
        for record in chain(trained_on or None):
            self._check_network(name, record, keys, corpus, prefix)
            prefix = "the network it began from had "
        if (settings.get("frontend") or {}).get("transductive"):
            self.stamp(TRANSDUCTIVE)

    def _check_network(self, name: str, record: Mapping, keys: list[str], corpus: Corpus, prefix: str):
        seen, chosen_on = dict.fromkeys(record.get("keys") or ()), record.get("chosen_on") or {}
        if record.get("select") == ORACLE:
            self.stamp(LEAKY)
        else:
            seen.update(dict.fromkeys(chosen_on.get("keys") or ()))
        recordings = {key: corpus.recording(key) for key in seen}
        here = {recording: key for key, recording in recordings.items() if recording}
        tested = {corpus.original(key): key for key in keys}
        both = sorted(tested[recording] for recording in here.keys() & tested.keys())
        if both:
            there = here[corpus.original(both[0])]
            self._leak(name, "segment", both, prefix, f", as {there}" if there != both[0] else "")
        for what in corpus.apart:
            if what not in corpus.maps:
                continue
            on_test, on_training = (
                {corpus.group(what, recording) for recording in side} - {None} for side in (tested, here)
            )
            if what != "speaker" and not prefix:
                on_training.update(record.get(f"{what}s", ()))
            if both := sorted(on_test & on_training):
                self._leak(name, what, both, prefix)
        foreign = [key for key, recording in recordings.items() if recording is None]
        strange = frozenset(map(original, foreign))
        if both := [key for key in keys if renamed(key, strange)]:
            self._leak(name, "segment", both, prefix, f", as {renamed(both[0], strange)}")
        speakers = speakers_in(record, corpus.trials)
        whose = "the network that it began from" if prefix else "its model"
        no_keys = record.get("keys") is None
        if no_keys and speakers is None:
            if declared := record.get("declared"):
                reason = f"was trained on '{declared}', which lists no speakers (import-resnet --labels does)"
            else:
                reason = "says neither the segments nor the speakers that it was trained on"
            self.doubt(name, f"{whose} {reason}")
        elif record.get("incomplete"):
            self.doubt(name, f"{whose} is an average of networks of which some do not say what they were trained on")
        elif foreign and speakers is None:
            counted = f"{len(foreign)} training segments of {whose} are not in the test's lists"
            self.doubt(name, f"{counted}, and their speakers are not recorded ({foreign[0]}, …)")
        elsewhere = bool(foreign) or no_keys
        if speakers is not None and (elsewhere or "speaker" in corpus.apart):
            self._check_people(name, speakers, keys, corpus, prefix, elsewhere, bool(prefix or foreign))

    def _check_people(self, name, speakers, keys, corpus, prefix, elsewhere: bool, foreign: bool):
        """Compare people by their names.

        Args:
            elsewhere: not all training segments are in the test's lists, so that only names tell of their speakers.
            foreign: they may be of another corpus, which calls its speakers as it likes.
        """
        if not corpus.maps.get("speaker"):
            if elsewhere:
                self.doubt(name, "the test's speakers are not known (no utt2spk): the training's may be among them")
            return
        tested = {corpus.group("speaker", corpus.original(key)) for key in keys} - {None}
        trained = {original(speaker) for speaker in speakers}
        both = sorted(tested & trained)
        certain = [person for person in both if telling(person)] if foreign else both
        if prefix and len(certain) == 1 and not is_celebrity(certain[0]):
            certain = []  # of a trunk of another corpus: one common name is chance, two are not
        if prefix and not any(map(telling, both)) and 2 * len(trained & corpus.people) < len(corpus.people):
            both = []  # two corpora that number their speakers have some numbers in common
        similar = both or sorted({found for person in trained if (found := renamed(person, tested))})
        if certain and "speaker" in corpus.apart:
            self._leak(name, "speaker", certain, prefix)
        elif similar and elsewhere:
            whose = "the network that it began from" if prefix else "its model"
            told = f"{similar[0]}{_more(len(similar) - 1)}"
            self.doubt(name, f"{whose} was trained on speakers who are called like the test's ({told})")

    def _leak(self, name: str, what: str, both: list[str], prefix: str, told: str = ""):
        self.leak(f"{name}: {prefix}test {what} {both[0]}{_more(len(both) - 1)} in its training{told}")


def _more(number: int) -> str:
    return f" and {number} more" if number else ""


def guard_reasons(found: Mapping) -> list[str]:
    """Why results are clean, leaking or unchecked, a line each; found: their `guard`, `leaks` and `unchecked`.

    >>> guard_reasons({"guard": "unchecked", "leaks": [], "unchecked": ["1/scores.ark: no manifest"]})
    ['unchecked: 1/scores.ark: no manifest']
    """
    lines = [f"{LEAKING}: {leak}" for leak in found["leaks"]]
    if found["guard"] == LEAKING and not lines:
        lines = [f"{LEAKING}: an epoch was chosen on the test itself, or the stamp {LEAKY} was given"]
    lines += [f"{UNCHECKED}: {reason}" for reason in found["unchecked"]]
    return lines or [f"{CLEAN}: no test segment, copy of one, or person whom the folds keep apart was trained on"]


def chain(trained_on: Mapping | None) -> Iterator[Mapping]:
    """A network's record, those of the networks that it began from, and so on; {} for one that says nothing."""
    if trained_on is None:
        return
    trained_on = trained_on if isinstance(trained_on, Mapping) else {}
    yield trained_on
    for name in ("trunk", "init"):
        if name in trained_on:
            yield from chain(trained_on[name] or {})


def speakers_in(record: Mapping, trials: bool = False) -> set[str] | None:
    """The speakers of all that a network has seen, those of the epoch's choice too; None where they are not recorded.

    trials: take the labels for speakers, where a record does not say what they are.
    """
    parts = [record] if record.get("select") == ORACLE else [record, record.get("chosen_on") or {}]
    speakers = set()
    for part in parts:
        if part.get("speakers") is not None:
            speakers.update(part["speakers"])
        elif trials and "labels" in part and "target" not in part:
            speakers.update(part["labels"])
        elif part is record or part.get("keys"):
            return None
    return speakers


def held_apart(scheme: Mapping) -> tuple[str, ...]:
    """What a scheme.json promises to keep on one side: a session may have speakers of both sides under `speaker`."""
    return {"loso": ("speaker", "session"), "speaker": ("speaker",)}.get(scheme.get("scheme"), ())
