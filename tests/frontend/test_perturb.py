"""A line of utt2perturb applied to samples."""

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.frontend.perturb import perturbed
from sertk.frontend.perturb_channel import band_pass, g711
from sertk.frontend.perturb_noise import speech_power
from sertk.frontend.perturb_room import reverberate
from sertk.frontend.unfit import UnfitAudio

SPEECH = signal(1.0)


def test_steps_are_applied_from_left_to_right():
    found = perturbed(SPEECH, 16000, "band=300-3400 codec=alaw level=-6")
    expected = g711(band_pass(SPEECH, 16000, 300, 3400), 16000, "alaw") * 10 ** (-6 / 20)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    assert len(perturbed(SPEECH, 16000, "speed=0.8 clip=5 noise=white seed=1 snr=20")) == 20000


def test_voices_of_babble_are_equally_loud_whatever_they_were(here):
    rng = np.random.default_rng(0)
    voices = [rng.normal(0, loudness, 16000) for loudness in (3000, 30, 300)]
    for number, voice in enumerate(voices):
        soundfile.write(f"{number}.wav", voice.astype(np.int16), 16000)
    found = perturbed(SPEECH, 16000, "babble=0.wav and=1.wav from=0.5 and=2.wav snr=5") - SPEECH
    voices[1] = np.roll(voices[1], -8000)
    shares = [np.corrcoef(found, voice)[0, 1] for voice in voices]
    np.testing.assert_allclose(shares, 3**-0.5, atol=0.02)
    assert 10 * np.log10(speech_power(SPEECH, 16000) / np.mean(found**2)) == pytest.approx(5, abs=0.01)


def test_a_room_is_read_at_the_rate_of_the_speech(here):
    response = np.zeros(800, np.float32)
    response[100], response[700] = 1, 0.5
    soundfile.write("room.wav", response, 16000, subtype="FLOAT")
    found = perturbed(SPEECH, 16000, "rir=room.wav")
    np.testing.assert_allclose(found, reverberate(SPEECH, response), atol=0.01)


def test_the_same_line_gives_the_same_samples():
    line = "speed=1.1 noise=pink seed=9 snr=5 rir=synthetic rt60=0.3 drr=2 seed=4"
    np.testing.assert_array_equal(perturbed(SPEECH, 16000, line), perturbed(SPEECH, 16000, line))


def test_silence_stays_an_error_under_noise():
    with pytest.raises(UnfitAudio, match="has no sound"):
        perturbed(np.zeros(16000, np.float32), 16000, "noise=white seed=1 snr=10")
