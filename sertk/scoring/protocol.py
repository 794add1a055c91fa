"""The leak guard: what a model was trained on must not be what it is scored on.

A score file's manifest says, in its settings, whose scores they are:

    {"labels": [...], "frontend": {..., "transductive": true},
     "trained_on": {"fold": 2, "keys": [...], "speakers": [...], "sessions": [...],
                    "select": "dev-session", "chosen_epoch": 7, "chosen_on": {"fold": 3, "keys": [...]},
                    "trunk": {"keys": [...], ...}}}

All are optional; what is not said cannot be checked, and that is said too. `fold` was held out. The speakers and
sessions of training keys are looked up in the test's own maps (make-folds leaves them beside its utt2fold), so that a
segment of a test speaker is seen whatever its label was; `speakers` and `sessions` may name them where there are too
many keys, and a speaker network's `labels` are speakers. `trunk` (or `init`) is what the network that it began from had
been trained on; of it only keys count, since another corpus may call its speakers the same. `select` is how the epoch
was chosen, `chosen_on` by which segments: they count as seen in training, but for the rule `oracle`, which chooses on the
test itself by the user's own order: whatever it made, or was begun from, is stamped and not refused. `transductive`
features were normalised over the test's other segments.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sertk.errors import SertkError

LEAKY, TRANSDUCTIVE, DEPENDENT = "LEAKY", "TRANSDUCTIVE", "SPEAKER-DEPENDENT"
# The rule that picks the epoch by the held-out fold's own score.
ORACLE = "oracle"


@dataclass
class Guard:
    """Collects what is wrong with a set of scores and the words that every view of them must carry.

    i_know: leaks are stamped LEAKY instead of refused.
    """

    i_know: bool = False
    stamps: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # what does not say what it was trained on

    def stamp(self, *words: str):
        self.stamps = list(dict.fromkeys([*self.stamps, *words]))

    def leak(self, message: str):
        """Refuse, or note where the user knows. Raises SertkError."""
        if not self.i_know:
            raise SertkError(f"{message} (--i-know true scores it all the same, stamped {LEAKY})")
        self.leaks.append(message)
        self.stamp(LEAKY)

    def check(
        self,
        name: str,
        settings: Mapping | None,
        keys: Iterable[str],
        groups: Mapping[str, Mapping[str, str]] | None = None,
        everywhere: bool = False,
    ):
        """Compare what `name`'s manifest says with the test segments `keys`.

        groups: what must be on one side only beside the segments: "speaker", "session" -> the map of all segments.
        everywhere: no other corpus has such names, so that those of the networks that it began from count too.
        """
        settings = settings or {}
        trained_on = settings.get("trained_on") or {}
        told = ["keys", *(f"{what}s" for what in groups or {})]
        if not any(plural in trained_on for plural in told) and name not in self.unknown:
            self.unknown.append(name)
        prefix = ""
        for record in chain(trained_on):
            trained = set(record.get("keys", ()))
            if record.get("select") == ORACLE:
                self.stamp(LEAKY)
            else:
                trained.update(record.get("chosen_on", {}).get("keys", ()))
            self._overlap(name, "segment", keys, trained, prefix)
            for what, utt2group in (groups or {}).items():
                tested, theirs = ({utt2group[key] for key in side if key in utt2group} for side in (keys, trained))
                if everywhere or record is trained_on:
                    theirs.update(record.get(f"{what}s", ()), record.get("labels", ()) if what == "speaker" else ())
                self._overlap(name, what, tested, theirs, prefix)
            prefix = "the network it began from had "
        if settings.get("frontend", {}).get("transductive"):
            self.stamp(TRANSDUCTIVE)

    def _overlap(self, name, what, tested, trained, prefix):
        both = sorted(set(tested).intersection(trained))
        if both:
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            self.leak(f"{name}: {prefix}test {what} {both[0]}{more} in its training")


def chain(trained_on: Mapping | None) -> Iterator[Mapping]:
    """A network's record, that of the network it began from, and so on."""
    while trained_on:
        yield trained_on
        trained_on = trained_on.get("trunk") or trained_on.get("init")


def unchecked_line(names: list[str]) -> str:
    """What to warn of where `names` do not say what they were trained on.

    >>> unchecked_line(["1/scores.ark", "2/scores.ark"])
    '1/scores.ark and 1 more: no manifest says what this was trained on: leaks cannot be seen'
    """
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}: no manifest says what this was trained on: leaks cannot be seen"


def held_apart(scheme: Mapping) -> tuple[str, ...]:
    """What a scheme.json promises to keep on one side: a session may have speakers of both sides under `speaker`."""
    return {"loso": ("speaker", "session"), "speaker": ("speaker",)}.get(scheme.get("scheme"), ())
