"""The text of single steps."""

import pytest

from sertk.datadir.perturb_steps import Codec, Noise, ShoeboxRoom, Sound, number


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            Noise("babble", (Sound("a b.wav"), Sound("c.wav", 2.5, (1, 4))), 10),
            "babble='a b.wav' and=c.wav part=1-4 from=2.5 snr=10",
        ),
        (ShoeboxRoom(0.4, 1.0, 7), "rir=image rt60=0.4 distance=1 seed=7"),
        (Codec("alaw"), "codec=alaw"),
        (Codec("opus", 12.5), "codec=opus kbps=12.5"),
    ],
)
def test_a_step_is_its_words(step, text):
    assert str(step) == text


def test_numbers_have_no_more_decimals_than_needed():
    assert [number(x) for x in (1, 0.9, -20.0, 0.00001, -0.00001, 1187.12)] == ["1", "0.9", "-20", "0", "0", "1187.12"]
