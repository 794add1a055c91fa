"""What is drawn for perturbed copies: the same whatever else is asked for."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datafolder import make

from sertk.datadir.checks import problems
from sertk.datadir.lists import read_list
from sertk.datadir.perturb import perturb
from sertk.datadir.perturb_options import PerturbOptions
from sertk.datadir.subset import subset
from sertk.errors import SertkError


@pytest.fixture
def data(here):
    return make(here / "data")


def lines(name):
    return read_list(Path(name), columns=None)


def test_rooms_and_codecs_have_their_numbers_drawn(data):
    options = PerturbOptions(rir="image", rt60=(0.3, 0.5), distance=(1.0, 2.0), codec=("gsm", "opus"), kbps=(16.0,))
    perturb(data, "out", options)
    done = lines("out/utt2perturb")
    rooms = [text for key, text in done.items() if key.endswith("-reverb")]
    assert all(re.fullmatch(r"rir=image rt60=0\.[35] distance=[12] seed=\d+", text) for text in rooms)
    assert {text for key, text in done.items() if key.endswith("-codec")} == {"codec=gsm", "codec=opus kbps=16"}


def test_one_kind_is_drawn_for_each_copy(data):
    options = PerturbOptions(noise="pink", rir="synthetic", level=(-20,), each_kind=False, copies=20)
    perturb(data, "out", options)
    done = lines("out/utt2perturb")
    counts = [sum(word in key for key in done) for word in ("-noise", "-reverb", "-level")]
    assert sum(counts) == 240 and min(counts) > 50
    assert all(text.startswith(("noise=", "rir=", "level=")) for text in done.values())


def test_a_draw_depends_on_seed_and_name_only(data):
    options = PerturbOptions(noise="synthetic", rir="synthetic")
    perturb(data, "whole", options, seed=3)
    perturb(data, "more", PerturbOptions(noise="synthetic", rir="synthetic", speed=(0.9,), level=(-20,)), seed=3)
    perturb(data, "other", options, seed=4)
    subset(data, "some", "last", 5)
    perturb("some", "part", options, seed=3)
    whole, part, more, other = (lines(f"{name}/utt2perturb") for name in ("whole", "part", "more", "other"))
    assert part.items() <= whole.items() <= more.items()
    assert whole.keys() == other.keys() and whole != other


def test_babble_is_of_other_speakers_one_utterance_each(here):
    utterances = [f"spk{s:02}-utt{u}" for s in range(10) for u in range(2)]
    data = make(here / "data", utterances, **{"wav.scp": "".join(f"{u} {u}.wav\n" for u in utterances)})
    perturb(data, "sp", PerturbOptions(speed=(0.9,)))
    perturb("sp", "out", PerturbOptions(babble="own", copies=5))
    counts = set()
    for key, text in lines("out/utt2perturb").items():
        if "babble" in key:
            voices = re.findall(r"(?:babble|and)=(spk\d+)", text)
            assert len(set(voices)) == len(voices) and re.search(r"spk\d+", key)[0] not in voices
            counts.add(len(voices))
    assert counts == {3, 4, 5, 6, 7}


def test_sounds_come_from_folders_and_scripts(data, here):
    (here / "musan/free").mkdir(parents=True)
    for number, seconds in enumerate((1, 3)):
        soundfile.write(here / f"musan/free/{number}.wav", np.ones(16000 * seconds) / 9, 16000)
    (here / "listed").mkdir()
    (here / "listed/wav.scp").write_text(f"n0 {here}/musan/free/0.wav\nn1 sox 'a b.wav' -t wav - |\n")
    (here / "listed/reco2dur").write_text("n0 1\nn1 500\n")
    perturb(data, "out", PerturbOptions(noise="musan", music="listed", rir="listed/wav.scp", copies=4))
    done = lines("out/utt2perturb")
    noise = [re.fullmatch(r"noise=(\S+)(?: from=(\S+))? snr=\d+", done[key]) for key in done if "noise" in key]
    assert {match[1] for match in noise} == {str(here / f"musan/free/{n}.wav") for n in (0, 1)}
    assert max(float(match[2]) for match in noise if match[1].endswith("0.wav")) <= 1
    assert 1 < max(float(match[2]) for match in noise) <= 3
    music = " ".join(done[key] for key in done if "music" in key)
    assert "sox" in music and max(float(start) for start in re.findall(r"from=(\S+)", music)) > 100
    rooms = {text for key, text in done.items() if "reverb" in key}
    assert len(rooms) == 2 and f"rir={here}/musan/free/0.wav" in rooms
    assert not list(problems("out"))


def test_too_few_speakers_for_babble_is_an_error(here):
    make(here / "data", ["spk0-utt0", "spk1-utt0", "spk2-utt0"])
    with pytest.raises(SertkError, match="has 3 speakers; --babble=own needs 3 besides the one that is heard"):
        perturb("data", "out", PerturbOptions(babble="own"))
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        perturb("data", "data", PerturbOptions(level=(-20,)))
