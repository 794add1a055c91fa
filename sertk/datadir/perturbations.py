"""Perturbations of speech as text, the values of `utt2perturb`: steps that are applied from left to right.

    sp0.9-id1-a        speed=0.9
    id1-a-noise        noise=/musan/noise/free-sound/noise-free-sound-0001.wav from=12.25 snr=10
    id1-a-babble       babble=/wav/id7.wav and=/wav/id8.wav from=2.5 and=/wav/id9.wav snr=15
    id1-a-reverb       rir=synthetic rt60=0.4 drr=3 seed=1187
    id1-b-reverb       rir=image rt60=0.4 distance=2 seed=7
    sp0.9-id1-a-codec  speed=0.9 band=300-3400 codec=alaw

A word with the name of a step begins it; the words after it are its settings. A sound is a file, or any other of Kaldi's
rxfilenames, in quotes if it has spaces. It begins `from` seconds after its start and is repeated as often as needed;
`part=1.5-4` takes these seconds of it only. The samples are computed in sertk.frontend.perturb.
"""

import math
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial

from sertk.datadir.perturb_steps import (
    CODECS,
    COLOURS,
    IMAGE,
    RATED,
    SYNTHETIC,
    Band,
    Clip,
    Codec,
    ColouredNoise,
    Level,
    Noise,
    Room,
    ShoeboxRoom,
    Sound,
    Speed,
    Step,
    SyntheticRoom,
)
from sertk.errors import SertkError

_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
# Words that begin a step, and the settings that may follow each.
_SETTINGS: dict[str, set[str]] = {
    "speed": set(),
    "noise": {"from", "part", "snr", "seed"},
    "music": {"from", "part", "snr"},
    "babble": {"and", "from", "part", "snr"},
    "rir": {"from", "part", "rt60", "drr", "distance", "seed"},
    "band": set(),
    "codec": {"kbps"},
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
    "distance": (0.1, 5),
    "kbps": (8, 128),
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
        SertkError: if a word is no step or setting or has a line break, if a setting is missing, or if a number is out of bounds.

    Example:
        >>> [str(step) for step in parse("speed=0.90 noise=pink seed=7 snr=10 level=-20")]
        ['speed=0.9', 'noise=pink seed=7 snr=10', 'level=-20']
    """
    groups: list[list[tuple[str, str]]] = []
    for word in _split(text):
        if len(f"{word}.".splitlines()) > 1:  # quoted: it would come out in the middle of a line
            raise SertkError(f"{word[:60]!r} has a line break")
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


def _split(text: str) -> list[str]:
    if "'" not in text and '"' not in text and "\\" not in text:
        return text.split()  # a hundred times as fast
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SertkError(f"{text[:60]!r}: {error}") from None


def _step(kind: str, value: str, settings: list[tuple[str, str]]) -> Step:
    """Build a step from its first word and its settings."""
    if kind in ("noise", "music", "babble", "rir", "codec"):
        return _with_settings(kind, value, settings)
    if kind == "band":
        low, high = _range("band", value)
        return Band(low, high)
    if kind == "speed":
        checked("speed", value)
        return Speed(Fraction(value).limit_denominator(10000))
    return {"level": Level, "clip": Clip}[kind](checked(kind, value))


def _with_settings(kind: str, value: str, settings: list[tuple[str, str]]) -> Step:
    sounds, numbers = [Sound(value)], {}
    for name, word in settings:
        if name == "and":
            sounds.append(Sound(word))
        elif name == "part":
            sounds[-1] = replace(sounds[-1], part=_range(name, word))
        elif name == "from":
            sounds[-1] = replace(sounds[-1], start=checked(name, word))
        elif name in numbers:
            raise SertkError(f"{name}= comes twice in {kind}={value[:60]}")
        else:
            numbers[name] = _seed(word) if name == "seed" else checked(name, word)
    make, wanted = _makers(kind, value, sounds)
    if numbers.keys() != wanted:
        names = " ".join(f"{name}=" for name in sorted(wanted)) or "no number"
        raise SertkError(f"{kind}={value[:60]} takes {names}")
    return make(**numbers)


def _makers(kind: str, value: str, sounds: list[Sound]) -> tuple[Callable[..., Step], set[str]]:
    """What makes a step of a kind, and the numbers that it takes."""
    if kind == "codec" and value not in CODECS:
        raise SertkError(f"'codec={value[:60]}' is not one of {' '.join(CODECS)}")
    if kind == "codec":
        return partial(Codec, value), {"kbps"} if value in RATED else set()
    if kind == "rir" and value == SYNTHETIC:
        return SyntheticRoom, {"rt60", "drr", "seed"}
    if kind == "rir" and value == IMAGE:
        return ShoeboxRoom, {"rt60", "distance", "seed"}
    if kind == "rir":
        return partial(Room, sounds[0]), set()
    if kind == "noise" and value in COLOURS:
        return partial(ColouredNoise, value), {"seed", "snr"}
    return partial(Noise, kind, tuple(sounds)), {"snr"}


def checked(name: str, word: str) -> float:
    """The number of a setting, or of the option that is called like one (--snr).

    Raises:
        SertkError: if it is no number or out of bounds.
    """
    least, most = _BOUNDS[name.removeprefix("--")]
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
