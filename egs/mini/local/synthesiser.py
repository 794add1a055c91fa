"""A source-filter synthesiser of syllables.

The cascade of Klatt (JASA 67, 1980): a train of glottal pulses (the KLGLOTT88 polynomial of Klatt and Klatt, 1990) with
jitter, shimmer and aspiration, through a low pass for the spectral tilt and four resonators that move from one vowel to
the next; fricatives and bursts are bands of noise beside it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, sosfilt
from voices import VOWELS, Voice

RATE = 16000
FRAME = 80  # samples per control frame: 5 ms
BLOCK = 4 * FRAME  # the resonators are constant for 20 ms
OPEN = 0.6  # open part of a glottal period
BANDWIDTHS = np.array([80.0, 110.0, 170.0, 260.0])  # Hz, of the four resonators
# Onsets of a syllable: centre frequency of the noise in Hz (0: none), bandwidth, level, seconds.
ONSETS = {
    "": (0, 0, 0.0, 0.0),
    "s": (6000, 1800, 0.35, 0.10),
    "sh": (3400, 1200, 0.40, 0.11),
    "f": (4500, 5000, 0.12, 0.09),
    "t": (4200, 2500, 0.50, 0.03),
    "k": (2000, 1000, 0.50, 0.035),
    "m": (0, 0, 0.0, 0.07),
}
NOISES = [name for name, (centre, *_) in ONSETS.items() if centre]


@dataclass
class Tracks:
    """Control tracks of the synthesiser, a row per control frame of 5 ms."""

    pitch: np.ndarray  # (frames,) Hz
    voicing: np.ndarray  # (frames,) amplitude
    formants: np.ndarray  # (frames, 4) Hz
    noise: np.ndarray  # (frames, len(NOISES)) amplitudes
    syllables: list[str]  # spoken


def synthesise(rng: np.random.Generator, voice: Voice, seconds: float) -> tuple[np.ndarray, list[str]]:
    """Return `seconds` of `voice` as float64 samples at 16 kHz (about 0.03 r.m.s. at 0 dB), and its syllables."""
    tracks = plan(rng, voice, round(seconds * RATE / FRAME))
    speech = resonate(source(rng, voice, tracks), tracks.formants)
    speech += hiss(rng, voice, tracks)
    return speech * 0.03 * 10 ** (voice.level / 20), tracks.syllables


def plan(rng: np.random.Generator, voice: Voice, frames: int) -> Tracks:
    """Draw syllables, pauses and a pitch contour for `frames` control frames."""
    vowels = np.array(list(VOWELS.values())) * np.array(voice.accent)
    names, onsets = list(VOWELS), list(ONSETS)
    voicing, noise, said = np.zeros(frames), np.zeros((frames, len(NOISES))), []
    targets = np.tile(vowels[names.index("er")], (frames, 1))
    second = RATE / FRAME
    at = rng.uniform(0.05, 0.12) * second
    while at < frames - 0.12 * second:
        onset, vowel = onsets[rng.integers(len(onsets))], rng.integers(len(vowels))
        centre, _, level, length = ONSETS[onset]
        length *= 4.5 / voice.rate * second
        whole = max(length + 0.05 * second, rng.lognormal(0, 0.25) * second / voice.rate)
        begin, nucleus, end = round(at), round(at + length), round(at + whole)
        stress = rng.uniform(0.6, 1.0)
        if centre:
            noise[begin:nucleus, NOISES.index(onset)] = level
        else:
            voicing[begin:nucleus] = 0.35 * stress
            targets[begin:nucleus, 0] = 250  # a closed mouth
        voicing[nucleus:end] = stress
        targets[begin:end, 1:] = vowels[vowel, 1:]
        targets[nucleus:end, 0] = vowels[vowel, 0]
        said.append(onset + names[vowel])
        at += whole
        # A phrase is five syllables long on average.
        if rng.random() < 0.2:
            at += rng.exponential(voice.pauses) * second
            said[-1] += ","
    formants = np.empty((frames, 4))
    formants[:, :3] = smooth(targets, 9) * voice.tract
    formants[:, 3] = 3500 * voice.tract
    return Tracks(contour(rng, voice, frames), smooth(voicing, 5), formants, smooth(noise, 3), said)


def contour(rng: np.random.Generator, voice: Voice, frames: int) -> np.ndarray:
    """Return the pitch in Hz (frames,): accents about 0.3 s wide around a declining line."""
    accents = smooth(rng.normal(0, 1, frames), 61)
    accents /= accents.std() + 1e-9
    fall = np.linspace(0.7, -0.7, frames)
    semitones = voice.spread * (accents + fall)
    return np.clip(voice.pitch * 2 ** (semitones / 12), 55, 600)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Smooth `values` (frames, …) by a Hann window of `width` frames, repeating the edges."""
    window = np.hanning(width + 2)[1:-1]
    half = width // 2
    padded = np.concatenate([values[:1].repeat(half, 0), values, values[-1:].repeat(half, 0)])
    padded = padded.reshape(len(padded), -1)
    columns = [np.convolve(column, window / window.sum(), "valid") for column in padded.T]
    return np.stack(columns, axis=-1).reshape(values.shape)


def source(rng: np.random.Generator, voice: Voice, tracks: Tracks) -> np.ndarray:
    """Return the derivative of the glottal flow with aspiration, low-passed at the voice's cut-off; (samples,)."""
    step = upsample(tracks.pitch) / RATE
    cycle = np.cumsum(step).astype(int)
    step *= 1 + voice.jitter * rng.normal(0, 1, cycle[-1] + 1)[cycle]
    phase = np.cumsum(step)
    cycle = phase.astype(int)
    amplitude = 1 + voice.shimmer * rng.normal(0, 1, cycle[-1] + 1)[cycle]
    place = (phase - cycle) / OPEN
    pulses = np.where(place < 1, place * (2 - 3 * place), 0) * amplitude
    breath = 10 ** (voice.breath / 20) * rng.normal(0, 1, len(pulses))
    flow = (pulses + breath) * upsample(tracks.voicing)
    pole = np.exp(-2 * np.pi * voice.cutoff / RATE)
    return lfilter([1 - pole], [1, -pole], flow)


def resonate(flow: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Filter `flow` by four cascaded resonators that follow `formants` (frames, 4), block by block."""
    centres = formants[:: BLOCK // FRAME]
    radius = np.exp(-np.pi * BANDWIDTHS / RATE)
    sections = np.zeros((*centres.shape, 6))
    sections[..., 3] = 1
    sections[..., 4] = -2 * radius * np.cos(2 * np.pi * centres / RATE)
    sections[..., 5] = radius**2
    sections[..., 0] = sections[..., 3:].sum(axis=-1)  # a gain of 1 at 0 Hz
    speech, state = np.empty_like(flow), np.zeros((4, 2))
    for index, block in enumerate(sections):
        span = slice(index * BLOCK, (index + 1) * BLOCK)
        speech[span], state = sosfilt(block, flow[span], zi=state)
    return speech


def hiss(rng: np.random.Generator, voice: Voice, tracks: Tracks) -> np.ndarray:
    """Return the noise of fricatives and bursts; (samples,)."""
    total = np.zeros(len(tracks.pitch) * FRAME)
    white = rng.normal(0, 1, len(total))
    for name, amplitude in zip(NOISES, tracks.noise.T):
        if amplitude.any():
            centre, width, *_ = ONSETS[name]
            radius = np.exp(-np.pi * width / RATE)
            angle = 2 * np.pi * min(centre * voice.hiss, 7500) / RATE
            band = lfilter([(1 - radius) * 0.5], [1, -2 * radius * np.cos(angle), radius**2], white)
            total += band * upsample(amplitude)
    return total


def upsample(track: np.ndarray) -> np.ndarray:
    """Interpolate (frames,) control values linearly to (samples,)."""
    return np.interp(np.arange(len(track) * FRAME) / FRAME, np.arange(len(track)), track)
