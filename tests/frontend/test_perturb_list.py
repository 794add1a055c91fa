"""utt2perturb applied to the utterances of make-fbank's jobs."""

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.errors import SertkError
from sertk.frontend.perturb_list import Perturb
from sertk.frontend.speech import Speech

SPEECH = signal(1.0)


def speech(key):
    return Speech(key, f"wav.scp:1: key {key}", SPEECH.copy(), 16000)


def test_utterances_of_the_list_are_perturbed_and_others_are_not(here):
    (here / "list").write_text("a level=-20\nz level=-20\n")
    perturb = Perturb(here / "list")
    jobs = perturb.jobs(iter([lambda: [speech("a"), speech("b")], lambda: [Speech("z", "", reason="cannot be read")]]))
    first, second, third = [found for job in jobs for found in job()]
    np.testing.assert_allclose(first.samples, SPEECH / 10, rtol=1e-6)
    np.testing.assert_array_equal(second.samples, SPEECH)
    assert third.reason == "cannot be read"
    perturb.check()


def test_a_bad_line_or_sound_costs_its_utterance(here):
    (here / "list").write_text("a noise=gone.wav snr=5\nb colour=red\nc noise=silent.wav from=0.5 snr=3\n")
    soundfile.write("silent.wav", np.zeros(16000, np.int16), 16000)
    perturb = Perturb(here / "list")
    reasons = [perturb(speech(key)).reason for key in "abc"]
    assert reasons[0] == "gone.wav cannot be read: No such file or directory"
    assert reasons[1].startswith(f"{here}/list: 'colour=red' is not one of speed= noise=")
    assert reasons[2] == "silent.wav is silent from 0.5 s on"


def test_a_list_of_another_input_is_an_error(here):
    (here / "list").write_text("x level=-20\n")
    perturb = Perturb(here / "list")
    perturb(speech("a"))
    with pytest.raises(SertkError, match=r"list: the input has none of its 1 utterances: x"):
        perturb.check()
    (here / "list").write_text("")
    perturb = Perturb(here / "list")
    assert perturb(speech("a")).samples is not None
    perturb.check()
