"""Stretches of sounds: from anywhere, repeated, at another rate; what is wrong with a sound is named."""

import numpy as np
import pytest
import soundfile
from references import signal

import sertk.frontend.sounds as sounds_module
from sertk.datadir.perturb_steps import Sound
from sertk.frontend.sounds import Sounds
from sertk.frontend.unfit import UnfitAudio

SAMPLES = signal(1.0)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The same second as a file that is mapped, one that is decoded, and a pipe."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", SAMPLES.astype(np.int16), 16000)
    soundfile.write("a.flac", SAMPLES.astype(np.int16), 16000)
    return ["a.wav", "a.flac", "cat a.flac |"]


def test_a_stretch_begins_where_it_is_told_to_and_repeats(names):
    sounds = Sounds()
    for name in names * 2:
        assert sounds.seconds(name) == 1
        np.testing.assert_array_equal(sounds.stretch(Sound(name, 0.25), 4000, 16000), SAMPLES[4000:8000])
        found = sounds.stretch(Sound(name, 0.75), 24000, 16000)
        np.testing.assert_array_equal(found, np.concatenate([SAMPLES[12000:], SAMPLES, SAMPLES[:4000]]))
        # After its end it begins again: 2.5 s are 0.5 s.
        np.testing.assert_array_equal(sounds.stretch(Sound(name, 2.5), 100, 16000), SAMPLES[8000:8100])


def test_a_part_is_repeated_alone(names):
    for name in names:
        found = Sounds().stretch(Sound(name, 0.1, (0.2, 0.5)), 9600, 16000)
        part = SAMPLES[3200:8000]
        np.testing.assert_array_equal(found, np.concatenate([part[1600:], part, part[:1600]]))


def test_another_rate_is_converted(names):
    tone = (3000 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)).astype(np.int16)
    soundfile.write("tone.wav", tone, 8000)
    found = Sounds().stretch(Sound("tone.wav", 0.5), 4000, 16000)
    expected = 3000 * np.sin(2 * np.pi * 500 * (8000 + np.arange(4000)) / 16000)
    assert len(found) == 4000
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=3)
    assert len(Sounds().whole(Sound("tone.wav"), 16000)) == 16000


def test_the_first_of_several_channels_is_taken(names):
    both = np.stack([SAMPLES, SAMPLES[::-1]], axis=1).astype(np.int16)
    for name in ("two.wav", "two.flac"):
        soundfile.write(name, both, 16000)
        np.testing.assert_array_equal(Sounds().whole(Sound(name), 16000), SAMPLES)


def test_decoded_sounds_are_dropped_when_there_are_too_many(names, monkeypatch):
    monkeypatch.setattr(sounds_module, "HELD", 100_000)
    sounds = Sounds()
    for number in range(3):
        soundfile.write(f"{number}.flac", SAMPLES.astype(np.int16), 16000)
        sounds.stretch(Sound(f"{number}.flac"), 10, 16000)
    # int16 or float32 of a second: 32 or 64 kB each.
    assert list(sounds._decoded)[-1] == "2.flac" and sounds._bytes <= 100_000 and "0.flac" not in sounds._decoded


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.wav", "gone.wav cannot be read: No such file"),
        ("empty.wav", "empty.wav is empty"),
        ("text.wav", "text.wav is text"),
        ("cut.wav", "cut.wav is truncated"),
        ("nan.wav", "nan.wav has NaN or infinite samples"),
        ("x.ark:5", "x.ark:5 is a place in an archive"),
        ("exit 3 |", "exit 3 |: the command exited with 3"),
    ],
)
def test_what_is_wrong_with_a_sound_is_named(names, tmp_path, name, says):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is a text, and no sound at all: " * 10)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-100])
    soundfile.write("nan.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    with pytest.raises(UnfitAudio) as error:
        Sounds().stretch(Sound(name), 100, 16000)
    assert str(error.value).startswith(says)


def test_a_part_behind_the_end_is_an_error(names):
    with pytest.raises(UnfitAudio, match=r"a\.wav has no samples there"):
        Sounds().stretch(Sound("a.wav", 0, (2, 3)), 100, 16000)


def test_pipes_can_be_forbidden(names, monkeypatch):
    monkeypatch.setenv("SERTK_NO_PIPES", "1")
    with pytest.raises(UnfitAudio, match="SERTK_NO_PIPES"):
        Sounds().stretch(Sound(names[2]), 100, 16000)
