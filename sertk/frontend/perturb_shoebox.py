"""Rectangular rooms by the image method, with random dimensions, source and microphone.

>>> response, direct = shoebox_response(16000, rt60=0.4, distance=2, seed=7)
>>> len(response), direct
(6494, 93)
"""

from dataclasses import dataclass

import numpy as np

# Metres per second, at 20 °C.
SOUND = 343.0
# Seconds of reflections after the direct sound that are computed one by one; noise follows. Rooms of 400 m³ mix in 20 ms.
EARLY = 0.06
# Metres: length, width and height; heights of source and microphone; the least distance from a wall.
SMALLEST, LARGEST, HEIGHTS, MARGIN = (3.0, 3.0, 2.5), (10.0, 10.0, 4.0), (1.0, 2.0), 0.5
# Samples of the interpolation filter on each side, a sinc with Hann's window.
_REACH = 32


@dataclass(frozen=True)
class Shoebox:
    """A rectangular room with a source and a microphone.

    Attributes:
        size: (3,) length, width and height in metres
        source: (3,) its place, measured from a corner, in metres
        microphone: (3,) its place, in metres
    """

    size: np.ndarray
    source: np.ndarray
    microphone: np.ndarray

    @property
    def distance(self) -> float:
        """Metres between source and microphone."""
        return float(np.linalg.norm(self.source - self.microphone))


def shoebox_response(rate: float, rt60: float, distance: float, seed: int) -> tuple[np.ndarray, int]:
    """A random room's response.

    Early reflections are those of the image method; after 60 ms, when there are thousands of them, they are replaced by
    Gaussian noise that begins with their energy and falls as `rt60` says.

    Args:
        rate: sample rate in Hz
        rt60: seconds in which sound falls by 60 dB; the response ends so long after the direct sound
        distance: metres between source and microphone
        seed: of the room and of the noise

    Returns:
        (taps,) float32, and the sample of the direct sound.
    """
    random = np.random.default_rng(seed)
    room = random_shoebox(random, distance)
    arrival = room.distance / SOUND
    early = early_response(room, rate, wall_reflection(room.size, rt60), arrival + min(EARLY, rt60))
    response = np.zeros(round((arrival + rt60) * rate) + 1)
    response[: len(early)] = early[: len(response)]
    envelope = 10 ** (-3 * np.arange(len(response)) / rate / rt60)
    joint = len(early)
    last = slice(joint - round(min(EARLY, rt60) / 3 * rate), joint)
    gain = np.sqrt(np.sum(early[last] ** 2) / np.sum(envelope[last] ** 2))
    response[joint:] = gain * envelope[joint:] * random.standard_normal(max(0, len(response) - joint))
    return response.astype(np.float32), round(arrival * rate)


def random_shoebox(random: np.random.Generator, distance: float) -> Shoebox:
    """Draw a room of 3 to 10 m by 3 to 10 m by 2.5 to 4 m, and a source at a distance from the microphone.

    Both are 1 to 2 m high and at least 0.5 m from the walls.

    Args:
        random: draws it
        distance: metres between source and microphone, at most 5
    """
    smallest, largest = np.array(SMALLEST), np.array(LARGEST)
    while True:
        size = smallest + (largest - smallest) * random.random(3)
        floor = size[:2] - 2 * MARGIN
        heights = HEIGHTS[0] + (HEIGHTS[1] - HEIGHTS[0]) * random.random(2)
        microphone = np.append(MARGIN + floor * random.random(2), heights[0])
        angle = 2 * np.pi * random.random()
        along = np.sqrt(max(0.0, distance**2 - (heights[1] - heights[0]) ** 2))
        source = np.append(microphone[:2] + along * np.array([np.cos(angle), np.sin(angle)]), heights[1])
        inside = (source[:2] >= MARGIN).all() and (source[:2] <= size[:2] - MARGIN).all()
        if along and inside:
            return Shoebox(size, source, microphone)


def wall_reflection(size: np.ndarray, rt60: float) -> float:
    """The walls' reflection coefficient of pressure for a reverberation time, by Eyring's formula.

    It is negative: reflections of alternating sign have no sum at low frequencies, which Allen and Berkley had to filter
    out. Source: Lehmann and Johansson 2008, section II.

    Args:
        size: (3,) of the room in metres
        rt60: seconds
    """
    volume, surface = np.prod(size), 2 * np.sum(size * np.roll(size, 1))
    return -float(np.exp(-12 * np.log(10) * volume / (SOUND * surface * rt60)))


def early_response(room: Shoebox, rate: float, reflection: float, seconds: float) -> np.ndarray:
    """The direct sound and all reflections that arrive within some seconds.

    Source: J. B. Allen and D. A. Berkley, Image method for efficiently simulating small-room acoustics, JASA 65(4), 1979;
    images between samples as P. M. Peterson, JASA 80(5), 1986.

    Args:
        room: the room
        rate: sample rate in Hz
        reflection: coefficient of pressure, of all walls
        seconds: since the sound was made

    Returns:
        (taps,) float64; a source at a distance of r metres arrives after r / 343 s with an amplitude of 1 / (4 π r)
    """
    squares, counts = zip(*(_along_axis(*axis, seconds * SOUND) for axis in _axes(room)), strict=True)
    square = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    count = counts[0][:, None, None] + counts[1][:, None] + counts[2]
    heard = square < (seconds * SOUND) ** 2
    distances = np.sqrt(square[heard])
    return _pulses(
        distances / SOUND * rate, reflection ** count[heard] / (4 * np.pi * distances), round(seconds * rate)
    )


def _axes(room: Shoebox) -> zip:
    return zip(room.size, room.source, room.microphone, strict=True)


def _along_axis(size: float, source: float, microphone: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances of the images along one axis, and the number of reflections of each."""
    most = int(np.ceil(reach / (2 * size)))
    pairs = np.arange(-most, most + 1)
    squares = [(2 * pairs * size + side * source - microphone) ** 2 for side in (1, -1)]
    return np.concatenate(squares), np.concatenate([2 * np.abs(pairs), np.abs(2 * pairs - 1)])


def _pulses(times: np.ndarray, amplitudes: np.ndarray, count: int) -> np.ndarray:
    """Band-limited pulses at times in samples, added: (count,)."""
    whole = np.floor(times)
    part = np.maximum(times - whole, 1e-9)[:, None]
    taps = np.arange(1 - _REACH, _REACH + 1)
    # sin π(k − f) and cos π(k − f) / reach by the addition theorems: sines of pulses and taps, not of their pairs.
    angles, steps = np.pi * part / _REACH, np.pi * taps / _REACH
    window = 0.5 + 0.5 * (np.cos(steps) * np.cos(angles) + np.sin(steps) * np.sin(angles))
    sines = np.where(taps % 2, 1, -1) * (amplitudes[:, None] * np.sin(np.pi * part) / np.pi)
    places = (whole.astype(np.int64)[:, None] + taps + _REACH).ravel()
    added = np.bincount(places, (sines / (taps - part) * window).ravel(), count + 2 * _REACH)
    return added[_REACH : _REACH + count]
