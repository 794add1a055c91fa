"""The leak guard: a model must not be scored on its training data.

Scores are in one of three states:

    leaking    a test segment, or a perturbed copy of it, is in the training data; or so is a speaker or session that the
               scheme holds out
    unchecked  a training record is missing or incomplete, or cannot be matched with the test set's lists
    clean      every network of the chain records all its segments or all its speakers; all are in the test set's lists, none
               is in the test set

Segments are matched by recording (sertk.datadir.copies), speakers by the utt2spk of the test set. Training segments that are
not in its lists belong to another corpus, or to this one under other names: then `speakers` can show a leak, and show that
there is none only if all of them are in the lists, or if both sides have VoxCeleb's names. Otherwise the scores are unchecked
outside the test's corpus. An equal speaker name is the same person if it is unambiguous: VoxCeleb names (`id10270`), names in
the network's own training, two equal names at once. Ambiguous names (a single one from a trunk's corpus; numbers, if half of
the test speakers' numbers occur) are unchecked.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sertk.datadir.copies import is_celebrity, original, renamed, telling
from sertk.errors import SertkError
from sertk.scoring.corpus import Corpus
from sertk.scoring.trainingrecords import ORACLE, chain, speakers_in

LEAKY, TRANSDUCTIVE, DEPENDENT = "LEAKY", "TRANSDUCTIVE", "SPEAKER-DEPENDENT"
# Stamp of imported predictions whose training data nobody has declared.
UNDECLARED = "UNDECLARED"
# What the weights of a fusion are fitted on: predictions of the other folds' segments by the networks that are tested on
# them, which have trained on the test fold (stamped); or by networks that have trained on neither.
FOLDS, INNER = "folds", "inner"
CROSS_FITTED = "CROSS-FITTED"
UNKNOWN_SCHEME = "UNKNOWN-SCHEME"
CLEAN, LEAKING, UNCHECKED = "clean", "leaking", "unchecked"


@dataclass
class Guard:
    """Collects the leaks of a set of scores, what cannot be checked, and the stamps of every figure made of them.

    Args:
        i_know: stamp leaks LEAKY instead of raising.
        stamps: words that every headline and title carries.
        leaks: one message per leak.
        doubts: reason -> names of the unchecked scores.
        outside: those reasons that concern training data outside the test's corpus only.
    """

    i_know: bool = False
    stamps: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    doubts: dict[str, list[str]] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    @property
    def state(self) -> str:
        """Leaking, unchecked or clean."""
        if self.leaks or LEAKY in self.stamps:
            return LEAKING
        return UNCHECKED if self.doubts else CLEAN

    @property
    def unchecked(self) -> list[str]:
        """What is unchecked, one line per reason.

        >>> guard = Guard()
        >>> guard.doubt("1/scores.ark", "no manifest"), guard.doubt("2/scores.ark", "no manifest")
        (None, None)
        >>> guard.unchecked, guard.state
        (['1/scores.ark and 1 more: no manifest'], 'unchecked')
        """
        return [f"{names[0]}{_more(len(names) - 1)}: {reason}" for reason, names in self.doubts.items()]

    @property
    def caveat(self) -> str:
        """What a headline says of unchecked scores, "" for others."""
        if self.state != UNCHECKED:
            return ""
        return "leaks unchecked" + " outside the test's corpus" * (self.doubts.keys() <= self.outside)

    def stamp(self, *words: str) -> None:
        """Add stamps, each once."""
        self.stamps = list(dict.fromkeys([*self.stamps, *words]))

    def leak(self, message: str) -> None:
        """Raise SertkError for a leak; with `i_know` record and stamp it."""
        if not self.i_know:
            raise SertkError(f"{message} (--i-know true scores it anyway, stamped {LEAKY})")
        self.leaks.append(message)
        self.stamp(LEAKY)

    def doubt(self, name: str, reason: str) -> None:
        """Record that the scores `name` cannot be checked."""
        names = self.doubts.setdefault(reason, [])
        if name not in names:
            names.append(name)

    def check(self, name: str, settings: Mapping | None, keys: Iterable[str], corpus: Corpus) -> None:
        """Compare the training records of a score archive with its test segments.

        Args:
            name: the archive, for messages.
            settings: settings of its manifest.
            keys: its test segments.
            corpus: the corpus of the test set.

        Raises:
            SertkError: a leak, without `i_know`.
        """
        settings, keys = settings or {}, list(keys)
        if settings.get("fused"):
            if settings.get("fusion", {}).get("fitted_on") == FOLDS:
                self.stamp(CROSS_FITTED)
            for part in settings["fused"]:
                self.check(name, part, keys, corpus)
            return
        trained_on = settings.get("trained_on")
        if not trained_on:
            self.doubt(name, "no manifest records what this was trained on")
            if settings.get("imported"):
                self.stamp(UNDECLARED)
        for what in corpus.apart if trained_on else ():
            utt2group = corpus.maps.get(what, {})
            if lacking := [key for key in keys if key not in utt2group]:
                self.doubt(name, f"the {what} of {len(lacking)} test segments is not known ({lacking[0]})")
        prefix = ""
        for record in chain(trained_on or None):
            self._check_network(name, record, keys, corpus, prefix)
            prefix = "the network it was initialised from had "
        if (settings.get("frontend") or {}).get("transductive"):
            self.stamp(TRANSDUCTIVE)

    def _check_network(self, name: str, record: Mapping, keys: list[str], corpus: Corpus, prefix: str) -> None:
        """Compare one network's training record with the test segments."""
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
        whose = "the network it was initialised from" if prefix else "its model"
        if reason := _unknown(record, whose, foreign, speakers):
            self.doubt(name, reason)
        elsewhere = bool(foreign) or record.get("keys") is None
        if speakers is not None and (elsewhere or "speaker" in corpus.apart):
            self._check_people(name, speakers, keys, corpus, prefix, elsewhere, bool(prefix or foreign))

    def _check_people(
        self,
        name: str,
        speakers: Collection[str],
        keys: Collection[str],
        corpus: Corpus,
        prefix: str,
        elsewhere: bool,
        foreign: bool,
    ) -> None:
        """Compare training and test speakers by name.

        Args:
            name: the archive, for messages.
            speakers: training speakers.
            keys: test segments.
            corpus: the corpus of the test set.
            prefix: start of the message, "" for the model itself.
            elsewhere: True if training segments are missing from the test set's lists, so that only names identify speakers.
            foreign: True if these may be of another corpus, where equal names may be other people.
        """
        if not corpus.maps.get("speaker"):
            if elsewhere:
                self.doubt(name, "the test speakers are unknown (no utt2spk): some may be training speakers")
            return
        tested = {corpus.group("speaker", corpus.original(key)) for key in keys} - {None}
        trained = {original(speaker) for speaker in speakers}
        both = sorted(tested & trained)
        certain = [person for person in both if telling(person)] if foreign else both
        if prefix and len(certain) == 1 and not is_celebrity(certain[0]):
            certain = []  # of another corpus: one equal name is chance, two are not
        if prefix and not any(map(telling, both)) and 2 * len(trained & corpus.people) < len(corpus.people):
            both = []  # two corpora with numbered speakers share some numbers
        similar = both or sorted({match for person in trained if (match := renamed(person, tested))})
        if certain and "speaker" in corpus.apart:
            self._leak(name, "speaker", certain, prefix)
        elif similar and elsewhere:
            whose = "the network it was initialised from" if prefix else "its model"
            names = f"{similar[0]}{_more(len(similar) - 1)}"
            self.doubt(name, f"{whose} was trained on speakers with the names of test speakers ({names})")
        elif elsewhere and (strangers := _strangers(trained, tested, corpus)):
            whose = "the network it was initialised from" if prefix else "its model"
            names = f"{strangers[0]}{_more(len(strangers) - 1)}"
            reason = f"{whose} had training speakers outside the test set's lists ({names}): another corpus, or renamed"
            self.doubt(name, reason)
            self.outside.add(reason)

    def _leak(self, name: str, what: str, both: list[str], prefix: str, detail: str = "") -> None:
        """Report test segments, speakers or sessions in the training data."""
        self.leak(f"{name}: {prefix}test {what} {both[0]}{_more(len(both) - 1)} in its training{detail}")


def _unknown(record: Mapping, whose: str, foreign: list[str], speakers: set[str] | None) -> str:
    """Why a training record does not tell whether test speakers were trained on, "" if it does.

    Args:
        record: of a network.
        whose: the network, for the message.
        foreign: its training segments that are not in the test set's lists.
        speakers: its training speakers; None if not recorded.
    """
    if record.get("keys") is None and speakers is None:
        if declared := record.get("declared"):
            remedy = " (import-resnet --labels does)" if record.get("target") == "speaker" else ""
            return f"{whose} was trained on '{declared}', which lists no speakers{remedy}"
        return f"{whose} records neither its training segments nor their speakers"
    if record.get("incomplete"):
        return f"{whose} is an average of networks, some without a training record"
    if foreign and speakers is None:
        counted = f"{len(foreign)} training segments of {whose} are not in the test set's lists"
        return f"{counted}, and their speakers are not recorded ({foreign[0]}, …)"
    return ""


def _strangers(trained: Collection[str], tested: Collection[str], corpus: Corpus) -> list[str]:
    """Training speakers whose names do not show that they are nobody in the test."""
    unknown = sorted(set(trained) - corpus.people)
    if tested and all(map(is_celebrity, tested)):  # two names of VoxCeleb's are two people
        return [speaker for speaker in unknown if not is_celebrity(speaker)]
    return unknown


def _more(number: int) -> str:
    """Suffix of a message: " and 3 more"."""
    return f" and {number} more" if number else ""


def guard_reasons(results: Mapping) -> list[str]:
    """Why results are clean, leaking or unchecked, one line per reason.

    Args:
        results: with `guard`, `leaks` and `unchecked`.

    Example:
        >>> guard_reasons({"guard": "unchecked", "leaks": [], "unchecked": ["1/scores.ark: no manifest"]})
        ['unchecked: 1/scores.ark: no manifest']
    """
    lines = [f"{LEAKING}: {leak}" for leak in results["leaks"]]
    if results["guard"] == LEAKING and not lines:
        lines = [f"{LEAKING}: an epoch was selected on the test set, or the stamp {LEAKY} was given"]
    lines += [f"{UNCHECKED}: {reason}" for reason in results["unchecked"]]
    return lines or [f"{CLEAN}: no test segment, copy of one, or held-out speaker is in the training data"]
