"""The leak guard: what a model was trained on must not be what it is scored on.

A score file's manifest says, in its settings, whose scores they are:

    {"labels": [...],
     "trained_on": {"fold": 2, "keys": [...], "speakers": [...], "sessions": [...], "select": "last", "cmvn": "segment",
                    "trunk": {"keys": [...], ...}}}

All are optional; what is not said cannot be checked, and that is said too. `fold` was held out. `trunk` (or `init`) is
what the network that it began from had been trained on: another corpus, whose speakers may bear the same names, so of
it only keys count. `select` is how the epoch was chosen (`oracle`: on the test itself), `cmvn` what the features were
normalised over (`dialog` reads the test's other segments).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sertk.errors import SertkError

LEAKY, TRANSDUCTIVE, DEPENDENT = "LEAKY", "TRANSDUCTIVE", "SPEAKER-DEPENDENT"


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

    def check(self, name: str, settings: Mapping | None, test: Mapping[str, Iterable[str]]):
        """Compare what `name`'s manifest says with what it is tested on.

        test: "keys", and under a speaker-independent scheme "speakers" and "sessions" too.
        """
        trained_on = (settings or {}).get("trained_on") or {}
        if not any(plural in trained_on for plural in test) and name not in self.unknown:
            self.unknown.append(name)
        for what, plural in (("segment", "keys"), ("speaker", "speakers"), ("session", "sessions")):
            self._overlap(name, what, test.get(plural, ()), trained_on.get(plural, ()), "")
        before = trained_on
        while before := before.get("trunk") or before.get("init"):
            self._overlap(name, "segment", test["keys"], before.get("keys", ()), "the network it began from had ")
        if trained_on.get("select") == "oracle":
            self.stamp(LEAKY)  # chosen on the test by the user's own order: stamped, not refused
        if trained_on.get("cmvn") == "dialog":
            self.stamp(TRANSDUCTIVE)

    def _overlap(self, name, what, tested, trained, prefix):
        both = sorted(set(tested).intersection(trained))
        if both:
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            self.leak(f"{name}: {prefix}test {what} {both[0]}{more} in its training")


def fold_members(scheme: Mapping, fold: int, keys: Iterable[str]) -> dict[str, Iterable[str]]:
    """What Guard.check compares for one fold of a scheme.json: its keys, and the speakers and sessions that the
    scheme promises to hold out."""
    test = {"keys": keys}
    if scheme.get("speaker_independent"):
        for plural in ("speakers", "sessions"):
            # A scheme of speakers holds out no session, and one session may have both sides' speakers.
            if plural == "speakers" or scheme["scheme"] == "loso":
                test[plural] = scheme.get(plural, {}).get(str(fold), ())
    return test
