"""Voices, and how emotions change them.

Voices: fundamental frequency and vocal-tract length by sex as in Peterson and Barney (1952) and Fitch and Giedd (1999),
with much variation within a sex. Emotions: direction and rough size of the changes of pitch, range, rate, intensity, voice
quality and pauses against neutral speech as reviewed by Murray and Arnott (JASA 93, 1993, table I), Banse and Scherer
(1996) and Juslin and Laukka (2003). Their strength is drawn for each utterance, so that the classes
overlap.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

# F1, F2, F3 in Hz: mean formants of men's vowels, Peterson and Barney (1952), table II.
VOWELS = {
    "i": (270, 2290, 3010),
    "y": (390, 1990, 2550),
    "e": (530, 1840, 2480),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "er": (490, 1350, 1690),
}


@dataclass(frozen=True)
class Manner:
    """Changes of an emotion relative to neutral speech."""

    pitch: float = 0.0  # semitones
    spread: float = 1.0  # factor on the range of the pitch
    rate: float = 1.0  # factor on syllables per second
    level: float = 0.0  # dB
    tilt: float = 0.0  # octaves by which the source's cut-off moves: positive is a brighter voice
    pauses: float = 1.0  # factor on number and length
    roughness: float = 1.0  # factor on jitter and shimmer
    breath: float = 0.0  # dB on the aspiration noise
    reach: float = 1.0  # how closely the formants approach their targets


MANNERS = {
    "neu": Manner(),
    "ang": Manner(4.0, 1.7, 1.18, 7.0, 1.0, 0.4, 1.7, -3.0, 1.15),
    "hap": Manner(3.5, 1.8, 1.05, 3.0, 0.3, 0.7, 0.9, 2.0, 1.05),
    "exc": Manner(5.5, 2.2, 1.25, 5.5, 0.6, 0.4, 1.0, 3.0, 1.1),
    "sad": Manner(-2.0, 0.5, 0.72, -5.0, -1.0, 2.6, 1.3, 5.0, 0.7),
    "fru": Manner(1.5, 1.2, 0.95, 3.0, 0.5, 1.2, 1.4, 0.0, 1.05),
    "sur": Manner(6.0, 2.4, 1.0, 4.0, 0.2, 1.0, 1.0, 3.0, 1.0),
    "fea": Manner(4.5, 0.9, 1.2, -1.0, -0.3, 1.3, 1.6, 6.0, 0.9),
    "dis": Manner(-1.0, 1.1, 0.8, 1.0, 0.2, 1.6, 1.5, 0.0, 1.0),
    "oth": Manner(1.0, 1.2, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0),
}


@dataclass(frozen=True)
class Voice:
    """A speaker's neutral voice."""

    pitch: float  # Hz, median
    spread: float  # semitones, standard deviation of the pitch around its declination
    tract: float  # factor on the formants of VOWELS: above 1 is a shorter vocal tract
    rate: float  # syllables per second
    level: float  # dB
    cutoff: float  # Hz, of the source's low pass
    jitter: float  # standard deviation of a period, relative
    shimmer: float  # standard deviation of a period's amplitude, relative
    breath: float  # dB of aspiration against voicing
    pauses: float  # mean seconds of a pause
    hiss: float  # factor on the frequency of the fricatives' noise
    accent: tuple[tuple[float, ...], ...]  # (vowels, 3) factors on the formants: the speaker's own vowels
    expression: float  # strength of this speaker's emotions, 1 on average


def draw_voice(rng: np.random.Generator, sex: str) -> Voice:
    """Draw a speaker of sex "F" or "M"; the sexes overlap."""
    female = sex == "F"
    return Voice(
        pitch=(205 if female else 118) * 2 ** (rng.normal(0, 2.2) / 12),
        spread=rng.uniform(1.3, 2.4),
        tract=(1.16 if female else 1.0) * np.exp(rng.normal(0, 0.06)),
        rate=rng.uniform(3.8, 5.4),
        level=rng.normal(0, 2.0),
        cutoff=1300 * 2 ** rng.normal(0, 0.5),
        jitter=rng.uniform(0.004, 0.015),
        shimmer=rng.uniform(0.03, 0.10),
        breath=rng.uniform(-36, -22),
        pauses=rng.uniform(0.12, 0.25),
        hiss=np.exp(rng.normal(0, 0.1)),
        accent=tuple(map(tuple, np.exp(rng.normal(0, 0.05, (len(VOWELS), 3))))),
        expression=rng.uniform(0.75, 1.25),
    )


def mixed(first: Manner, second: Manner, part: float) -> Manner:
    """Interpolate from `first` to `second`; a `part` above 1 exaggerates."""
    both = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Manner)]
    return Manner(*((1 - part) * a + part * b for a, b in both))


def perform(
    rng: np.random.Generator, voice: Voice, manner: Manner, intensity: tuple[float, float] = (0.5, 1.3)
) -> Voice:
    """Return `voice` for one utterance: `manner` at a random intensity, with everyday variation."""
    manner = mixed(Manner(), manner, voice.expression * rng.uniform(*intensity))
    return replace(
        voice,
        pitch=voice.pitch * 2 ** ((manner.pitch + rng.normal(0, 0.9)) / 12),
        spread=voice.spread * max(manner.spread, 0.2) * np.exp(rng.normal(0, 0.15)),
        rate=voice.rate * max(manner.rate, 0.5) * np.exp(rng.normal(0, 0.08)),
        level=voice.level + manner.level + rng.normal(0, 1.5),
        cutoff=voice.cutoff * 2 ** (manner.tilt + rng.normal(0, 0.2)),
        jitter=voice.jitter * max(manner.roughness, 0.3) * np.exp(rng.normal(0, 0.2)),
        shimmer=voice.shimmer * max(manner.roughness, 0.3) * np.exp(rng.normal(0, 0.2)),
        breath=voice.breath + manner.breath + rng.normal(0, 1.0),
        pauses=voice.pauses * max(manner.pauses, 0.1) * np.exp(rng.normal(0, 0.3)),
        accent=tuple(tuple(1 + (factor - 1) * manner.reach for factor in row) for row in voice.accent),
    )
