"""The steps of a perturbation; the text of each is that of utt2perturb (see perturbations.py)."""

import shlex
from dataclasses import dataclass
from fractions import Fraction

# Colour of noise -> decibels that its power falls in an octave.
COLOURS = {"white": 0, "pink": 3, "brown": 6}
SYNTHETIC, IMAGE = "synthetic", "image"
LAWS = ("mulaw", "alaw")
# Codecs that take a bit rate.
RATED = ("mp3", "opus")
CODECS = (*LAWS, "gsm", *RATED)


def number(value: float) -> str:
    """A number with at most four decimals.

    >>> number(0.9), number(-20.0), number(12.34567)
    ('0.9', '-20', '12.3457')
    """
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


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
class ShoeboxRoom:
    """Convolution with the response of a random rectangular room, by the image method.

    Attributes:
        rt60: seconds in which sound falls by 60 dB
        distance: of the source from the microphone, in metres
        seed: of the room
    """

    rt60: float
    distance: float
    seed: int

    def __str__(self) -> str:
        return f"rir={IMAGE} rt60={number(self.rt60)} distance={number(self.distance)} seed={self.seed}"


@dataclass(frozen=True)
class Band:
    """A band pass, in Hz."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"band={number(self.low)}-{number(self.high)}"


@dataclass(frozen=True)
class Codec:
    """Encoded and decoded again, and back to the recording's rate.

    Attributes:
        name: one of CODECS
        kbps: bit rate of those in RATED
    """

    name: str
    kbps: float | None = None

    def __str__(self) -> str:
        return f"codec={self.name}" + (f" kbps={number(self.kbps)}" if self.kbps else "")


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


Step = Speed | Noise | ColouredNoise | Room | SyntheticRoom | ShoeboxRoom | Band | Codec | Level | Clip
