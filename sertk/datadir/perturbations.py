"""Perturbations of speech as text, the values of `utt2perturb`: steps that are applied from left to right.

    sp0.9-id1-a        speed=0.9
    id1-a-noise        noise=/musan/noise/free-sound/noise-free-sound-0001.wav from=12.25 snr=10
    id1-a-babble       babble=/wav/id7.wav and=/wav/id8.wav from=2.5 and=/wav/id9.wav snr=15
    id1-a-reverb       rir=synthetic rt60=0.4 drr=3 seed=1187
    sp0.9-id1-a-codec  speed=0.9 band=300-3400 codec=alaw

A word with the name of a step begins it; the words after it are its settings. A sound is a file, or any other of Kaldi's
rxfilenames, in quotes if it has spaces. It begins `from` seconds after its start and is repeated as often as needed;
`part=1.5-4` takes these seconds of it only. The numbers are computed in sertk.frontend.perturb.
"""

import math
import re
import shlex
from dataclasses import dataclass, replace
from fractions import Fraction

from sertk.errors import SertkError

# Colour of noise -> decibels that its power falls in an octave.
COLOURS = {"white": 0, "pink": 3, "brown": 6}
SYNTHETIC = "synthetic"
LAWS = ("mulaw", "alaw")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Sound:
    """A recording to mix in.

    Attributes:
        name: rxfilename
        start: seconds of it that are left out; they follow at its end
        part: from and to, in seconds; None: the whole recording
    """

    name: str
    start: float = 0.0
    part: tuple[float, float] | None = None

    def text(self, word: str) -> str:
        """The sound as words of a line, of which the first one is called `word`."""
        words = [f"{word}={shlex.quote(self.name)}"]
        if self.part:
            words.append(f"part={number(self.part[0])}-{number(self.part[1])}")
        return " ".join(words + [f"from={number(self.start)}"] * bool(self.start))


@dataclass(frozen=True)
class Speed:
    """Faster (factor above 1) or slower; pitch and formants change with it, as by sox's `speed`."""

    factor: Fraction

    def __str__(self) -> str:
        return f"speed={number(float(self.factor))}"


@dataclass(frozen=True)
class Noise:
    """Sounds of equal power, mixed and added at a signal-to-noise ratio in dB; `kind` is noise, music or babble."""

    kind: str
    sounds: tuple[Sound, ...]
    snr: float

    def __str__(self) -> str:
        words = [sound.text("and" if index else self.kind) for index, sound in enumerate(self.sounds)]
        return " ".join([*words, f"snr={number(self.snr)}"])


@dataclass(frozen=True)
class ColouredNoise:
    """Gaussian noise of a colour, added at a signal-to-noise ratio in dB."""

    colour: str
    seed: int
    snr: float

    def __str__(self) -> str:
        return f"noise={self.colour} seed={self.seed} snr={number(self.snr)}"


@dataclass(frozen=True)
class Room:
    """Convolution with a recorded or simulated room response."""

    sound: Sound

    def __str__(self) -> str:
        return self.sound.text("rir")


@dataclass(frozen=True)
class SyntheticRoom:
    """Convolution with an impulse and an exponential tail.

    Attributes:
        rt60: seconds in which the tail falls by 60 dB
        drr: energy of the impulse over that of the tail, in dB
        seed: of the tail
    """

    rt60: float
    drr: float
    seed: int

    def __str__(self) -> str:
        return f"rir={SYNTHETIC} rt60={number(self.rt60)} drr={number(self.drr)} seed={self.seed}"


@dataclass(frozen=True)
class Band:
    """A band pass, in Hz."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"band={number(self.low)}-{number(self.high)}"


@dataclass(frozen=True)
class Codec:
    """G.711 at 8 kHz by the mu-law or the A-law, and back to the recording's rate."""

    law: str

    def __str__(self) -> str:
        return f"codec={self.law}"


@dataclass(frozen=True)
class Level:
    """A gain in dB."""

    gain: float

    def __str__(self) -> str:
        return f"level={number(self.gain)}"


@dataclass(frozen=True)
class Clip:
    """The loudest samples, this percentage of all, cut to the level of the softest of them."""

    percent: float

    def __str__(self) -> str:
        return f"clip={number(self.percent)}"


Step = Speed | Noise | ColouredNoise | Room | SyntheticRoom | Band | Codec | Level | Clip
# Words that begin a step, and the settings that may follow each.
_SETTINGS: dict[str, set[str]] = {
    "speed": set(),
    "noise": {"from", "part", "snr", "seed"},
    "music": {"from", "part", "snr"},
    "babble": {"and", "from", "part", "snr"},
    "rir": {"from", "part", "rt60", "drr", "seed"},
    "band": set(),
    "codec": set(),
    "level": set(),
    "clip": set(),
}
# Bounds of the numbers, wide enough for any use: beyond them is a typing error.
_BOUNDS = {
    "speed": (0.1, 10),
    "from": (0, 1e6),
    "snr": (-100, 100),
    "rt60": (0.01, 20),
    "drr": (-60, 60),
    "level": (-120, 60),
    "clip": (0, 99),
}


def parse(text: str) -> list[Step]:
    """Parse the value of a line of utt2perturb.

    Args:
        text: the words after the utterance

    Returns:
        The steps, in the order in which they are applied.

    Raises:
        SertkError: if a word is no step or setting, if a setting is missing, or if a number is out of bounds.

    Example:
        >>> [str(step) for step in parse("speed=0.90 noise=pink seed=7 snr=10 level=-20")]
        ['speed=0.9', 'noise=pink seed=7 snr=10', 'level=-20']
    """
    groups: list[list[tuple[str, str]]] = []
    for word in _split(text):
        name, equals, value = word.partition("=")
        if not equals or not value or (name not in _SETTINGS and not groups):
            raise SertkError(f"'{word[:60]}' is not one of {' '.join(f'{kind}=' for kind in _SETTINGS)}")
        if name in _SETTINGS:
            groups.append([(name, value)])
        elif name in _SETTINGS[groups[-1][0][0]]:
            groups[-1].append((name, value))
        else:
            raise SertkError(f"'{word[:60]}' is no setting of {groups[-1][0][0]}=")
    if not groups:
        raise SertkError("no perturbation is named")
    return [_step(*group[0], group[1:]) for group in groups]


def text_of(steps: list[Step]) -> str:
    """The steps as the value of a line of utt2perturb."""
    return " ".join(map(str, steps))


def speed_of(text: str) -> float:
    """The product of the speeds in a line of utt2perturb, 1 without any: it divides durations."""
    return math.prod(float(word[6:]) for word in _split(text) if word.startswith("speed="))


def number(value: float) -> str:
    """A number with at most four decimals.

    >>> number(0.9), number(-20.0), number(12.34567)
    ('0.9', '-20', '12.3457')
    """
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _split(text: str) -> list[str]:
    if "'" not in text and '"' not in text and "\\" not in text:
        return text.split()  # a hundred times as fast
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SertkError(f"{text[:60]!r}: {error}") from None


def _step(kind: str, value: str, settings: list[tuple[str, str]]) -> Step:
    """Build a step from its first word and its settings."""
    if kind in ("noise", "music", "babble", "rir"):
        return _with_sounds(kind, value, settings)
    if kind == "codec":
        if value not in LAWS:
            raise SertkError(f"'codec={value[:60]}' is not one of {' '.join(LAWS)}")
        return Codec(value)
    if kind == "band":
        low, high = _range("band", value)
        return Band(low, high)
    if kind == "speed":
        _checked("speed", value)
        return Speed(Fraction(value).limit_denominator(10000))
    return {"level": Level, "clip": Clip}[kind](_checked(kind, value))


def _with_sounds(kind: str, value: str, settings: list[tuple[str, str]]) -> Step:
    sounds, numbers = [Sound(value)], {}
    for name, word in settings:
        if name == "and":
            sounds.append(Sound(word))
        elif name == "part":
            sounds[-1] = replace(sounds[-1], part=_range(name, word))
        elif name == "from":
            sounds[-1] = replace(sounds[-1], start=_checked(name, word))
        elif name in numbers:
            raise SertkError(f"{name}= comes twice in {kind}={value[:60]}")
        else:
            numbers[name] = _seed(word) if name == "seed" else _checked(name, word)
    coloured = kind == "noise" and value in COLOURS
    if kind == "rir":
        make, wanted = (
            (SyntheticRoom, {"rt60", "drr", "seed"}) if value == SYNTHETIC else (lambda: Room(sounds[0]), set())
        )
    elif coloured:
        make, wanted = lambda seed, snr: ColouredNoise(value, seed, snr), {"seed", "snr"}
    else:
        make, wanted = lambda snr: Noise(kind, tuple(sounds), snr), {"snr"}
    if numbers.keys() != wanted:
        names = " ".join(f"{name}=" for name in sorted(wanted)) or "no number"
        raise SertkError(f"{kind}={value[:60]} takes {names}")
    return make(**numbers)


def _checked(name: str, word: str) -> float:
    least, most = _BOUNDS[name]
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise SertkError(f"'{name}={word[:60]}' is not a number from {least:g} to {most:g}")
    return value


def _seed(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise SertkError(f"'seed={word[:60]}' is not a whole number")
    return int(word)


def _range(name: str, word: str) -> tuple[float, float]:
    match = _RANGE.fullmatch(word)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if not low < high:
        raise SertkError(f"'{name}={word[:60]}' is not FROM-TO")
    return low, high
