"""The text of perturbations: what is written is read again, what is wrong is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sertk.datadir.perturb_steps import (
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
    SyntheticRoom,
)
from sertk.datadir.perturbations import parse, speed_of, text_of
from sertk.errors import SertkError

LINES = [
    "speed=0.9",
    "noise=/musan/noise/n-0001.wav from=12.25 snr=10",
    "noise=pink seed=7 snr=-5",
    "babble=a.wav and=b.flac from=2.5 and=c.wav part=1.5-4 snr=15",
    "music='sox m.mp3 -t wav - |' snr=8",
    "rir=/rirs/small/Room001-00001.wav",
    "rir=synthetic rt60=0.4 drr=3 seed=1187",
    "rir=image rt60=0.4 distance=0.5 seed=7",
    "codec=gsm codec=opus kbps=12.5",
    "speed=1.1 band=300-3400 codec=alaw level=-20 clip=10",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_written_as_it_was_read(line):
    assert text_of(parse(line)) == line


numbers = some.integers(0, 900000).map(lambda n: n / 10000)
sounds = some.builds(
    Sound,
    some.text(some.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Z", "C")), min_size=1),
    numbers,
    some.none() | some.tuples(numbers, numbers).filter(lambda part: part[0] < part[1]),
).filter(lambda sound: sound.name not in ("white", "pink", "brown", "synthetic"))
steps = some.one_of(
    some.builds(Speed, some.fractions(1, 3, max_denominator=20).filter(lambda f: 10000 % f.denominator == 0)),
    some.builds(Noise, some.sampled_from(["noise", "music"]), sounds.map(lambda sound: (sound,)), numbers),
    some.builds(Noise, some.just("babble"), some.lists(sounds, min_size=1, max_size=7).map(tuple), numbers),
    some.builds(ColouredNoise, some.sampled_from(["white", "pink", "brown"]), some.integers(0, 2**31), numbers),
    some.builds(Room, sounds),
    some.builds(
        SyntheticRoom, some.floats(0.1, 2).map(lambda x: round(x, 4)), numbers.map(lambda x: x / 2), some.just(3)
    ),
    some.builds(ShoeboxRoom, some.just(0.4), some.floats(0.1, 5).map(lambda x: round(x, 4)), some.integers(0, 2**31)),
    some.builds(Band, some.just(300.0), some.just(3400.5)),
    some.builds(Codec, some.sampled_from(["mulaw", "alaw", "gsm"])),
    some.builds(Codec, some.sampled_from(["mp3", "opus"]), some.integers(8, 128)),
    some.builds(Level, some.just(-20.5)),
    some.builds(Clip, numbers),
)


@given(some.lists(steps, min_size=1, max_size=4))
@settings(max_examples=100)
def test_any_steps_come_back(found):
    again = parse(text_of(found))
    assert text_of(again) == text_of(found)
    assert [type(step) for step in again] == [type(step) for step in found]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "no perturbation is named"),
        ("louder", "'louder' is not one of speed= noise="),
        ("snr=10", "'snr=10' is not one of"),
        ("speed=", "'speed=' is not one of"),
        ("speed=fast", "'speed=fast' is not a number from 0.1 to 10"),
        ("speed=0", "'speed=0' is not a number"),
        ("speed=nan", "'speed=nan' is not a number"),
        ("speed=0.9 snr=3", "'snr=3' is no setting of speed="),
        ("noise=n.wav", "noise=n.wav takes snr="),
        ("noise=n.wav snr=3 seed=4", "noise=n.wav takes snr="),
        ("noise=pink snr=3", "noise=pink takes seed= snr="),
        ("noise=pink snr=3 seed=-1", "'seed=-1' is not a whole number"),
        ("noise=pink seed=1 snr=3 snr=4", "snr= comes twice in noise=pink"),
        ("noise=a.wav and=b.wav snr=3", "'and=b.wav' is no setting of noise="),
        ("noise='a.wav snr=3", "No closing quotation"),
        ("\\\n", r"'\n' has a line break"),
        ("noise='a\n.wav' snr=3", r"'noise=a\n.wav' has a line break"),
        ("babble=a.wav part=4-2 snr=3", "'part=4-2' is not FROM-TO"),
        ("rir=synthetic rt60=0.3", "rir=synthetic takes drr= rt60= seed="),
        ("rir=a.wav rt60=0.3", "rir=a.wav takes no number"),
        ("rir=image rt60=0.3 drr=3 seed=1", "rir=image takes distance= rt60= seed="),
        ("rir=image rt60=0.3 distance=9 seed=1", "'distance=9' is not a number from 0.1 to 5"),
        ("codec=amr", "'codec=amr' is not one of mulaw alaw gsm mp3 opus"),
        ("codec=mp3", "codec=mp3 takes kbps="),
        ("codec=alaw kbps=64", "codec=alaw takes no number"),
        ("codec=opus kbps=512", "'kbps=512' is not a number from 8 to 128"),
        ("band=3400", "'band=3400' is not FROM-TO"),
        ("level=-500", "'level=-500' is not a number from -120 to 60"),
        ("clip=100", "'clip=100' is not a number from 0 to 99"),
    ],
)
def test_what_is_wrong_is_named(line, says):
    with pytest.raises(SertkError) as error:
        parse(line)
    assert says in str(error.value)


def test_speeds_are_multiplied():
    assert speed_of("speed=0.9 noise=a.wav snr=3 speed=2") == pytest.approx(1.8)
    assert speed_of("level=-20") == 1
    assert speed_of("music='x speed=3 |' snr=2") == 1


words = some.sampled_from(
    ["speed=", "noise=", "babble=", "and=", "rir=synthetic", "rt60=", "drr=", "from=", "part=1-2", "snr=", "seed=", "band=",
     "codec=", "level=", "clip=", "pink", "0.9", "-1e9", "nan", "a.wav", "'", '"', "\\", "=", " ", "\t", "é", "300-3400"]
)  # fmt: skip


@given(some.lists(words, max_size=12).map("".join) | some.text(max_size=60))
@settings(max_examples=400)
def test_any_text_is_parsed_or_refused(text):
    try:
        found = parse(text)
    except SertkError as error:
        assert "\n" not in str(error)
    else:
        assert text_of(parse(text_of(found))) == text_of(found)
