"""Perturb samples as a line of utt2perturb says.

>>> tone = np.sin(np.arange(16000, dtype=np.float32)) * 1000
>>> len(perturbed(tone, 16000, "speed=0.8 noise=pink seed=1 snr=10"))
20000
"""

from typing import assert_never

import numpy as np

from sertk.datadir.perturb_steps import (
    LAWS,
    Band,
    Clip,
    Codec,
    ColouredNoise,
    Level,
    Noise,
    Room,
    ShoeboxRoom,
    Speed,
    Step,
    SyntheticRoom,
)
from sertk.datadir.perturbations import parse
from sertk.frontend.audio import check_sound
from sertk.frontend.perturb_channel import band_pass, clip, g711, gain
from sertk.frontend.perturb_codec import coded
from sertk.frontend.perturb_noise import add_noise, coloured_noise, power
from sertk.frontend.perturb_rate import change_speed
from sertk.frontend.perturb_room import reverberate, synthetic_response
from sertk.frontend.perturb_shoebox import shoebox_response
from sertk.frontend.sounds import Sounds
from sertk.frontend.unfit import UnfitAudio


def perturbed(samples: np.ndarray, rate: int, text: str, sounds: Sounds | None = None) -> np.ndarray:
    """Perturb the samples of one recording.

    Args:
        samples: (samples,) float32 in the 16-bit range
        rate: sample rate in Hz
        text: the perturbation, as in utt2perturb
        sounds: reads noises and room responses; one for all calls saves time

    Returns:
        (samples,) float32; another number of samples if the speed changes

    Raises:
        UnfitAudio: if the recording is silent, or if a sound is missing, damaged or silent.
        SertkError: if `text` cannot be parsed.
    """
    sounds = sounds or Sounds()
    samples = np.asarray(samples, np.float32)
    check_sound(samples)
    for step in parse(text):
        samples = _apply(step, samples, rate, sounds)
    return samples


def _apply(step: Step, samples: np.ndarray, rate: int, sounds: Sounds) -> np.ndarray:
    match step:
        case Speed(factor):
            return change_speed(samples, factor)
        case Noise():
            return add_noise(samples, _mixture(step, len(samples), rate, sounds), step.snr, rate)
        case ColouredNoise(colour, seed, snr):
            return add_noise(samples, coloured_noise(len(samples), rate, colour, seed), snr, rate)
        case Room(sound):
            return reverberate(samples, sounds.whole(sound, rate))
        case SyntheticRoom(rt60, drr, seed):
            return reverberate(samples, synthetic_response(rate, rt60, drr, seed))
        case ShoeboxRoom(rt60, distance, seed):
            return reverberate(samples, *shoebox_response(rate, rt60, distance, seed))
        case Band(low, high):
            return band_pass(samples, rate, low, high)
        case Codec(name, kbps):
            return g711(samples, rate, name) if name in LAWS else coded(samples, rate, name, kbps)
        case Level(decibels):
            return gain(samples, decibels)
        case Clip(percent):
            return clip(samples, percent)
    assert_never(step)


def _mixture(step: Noise, count: int, rate: int, sounds: Sounds) -> np.ndarray:
    """The sounds of a step, of equal power, added: (count,) float32."""
    total = np.zeros(count, np.float32)
    for sound in step.sounds:
        stretch = sounds.stretch(sound, count, rate)
        loudness = power(stretch)
        if not loudness:
            raise UnfitAudio(f"{sound.name} is silent from {sound.start:g} s on")
        total += stretch / np.float32(np.sqrt(loudness))
    return total
