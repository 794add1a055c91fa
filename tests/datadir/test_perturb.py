"""Perturbed folders: Kaldi's names, every list, and the same draws whatever else is asked for."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datafolder import UTTERANCES, content, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.datadir.combine import combine
from sertk.datadir.lists import read_list
from sertk.datadir.perturb import perturb
from sertk.datadir.perturb_options import PerturbOptions
from sertk.datadir.split import split
from sertk.datadir.subset import subset
from sertk.errors import SertkError


@pytest.fixture
def data(here):
    return make(here / "data")


def lines(name):
    return read_list(Path(name), columns=None)


def test_speeds_are_new_speakers_with_kaldis_names(data):
    """As perturb_data_dir_speed.sh: ids, speakers, utt2uniq; durations are divided by the factor."""
    new, warnings = perturb(data, "out", PerturbOptions(speed=(0.9, 1.1)))
    assert len(new.utterances) == 36 and not list(problems("out")) and kaldi_accepts("out")
    assert warnings == ["utt2num_frames: left out, the copies have none yet"]
    assert read_list("out/utt2spk")["sp0.9-spk0-utt1"] == "sp0.9-spk0"
    assert read_list("out/utt2uniq")["sp1.1-spk3-utt2"] == "spk3-utt2"
    assert read_list("out/utt2uniq")["spk3-utt2"] == "spk3-utt2"
    assert read_list("out/utt2dur")["sp0.9-spk0-utt0"] == "1.6667"
    assert read_list("out/utt2dur")["spk0-utt0"] == "1.5"
    assert read_list("out/spk2gender")["sp1.1-spk2"] == "f"
    assert lines("out/utt2perturb") == {f"sp{f}-{u}": f"speed={f}" for f in ("0.9", "1.1") for u in UTTERANCES}
    assert lines("out/text")["sp0.9-spk0-utt0"] == "hello  there"
    assert lines("out/wav.scp")["sp0.9-spk1-utt0"] == lines("data/wav.scp")["spk1-utt0"]


def test_other_kinds_are_suffixes_and_apply_to_speeds_too(data):
    options = PerturbOptions(speed=(0.9,), noise="synthetic", rir="synthetic", codec=("telephone",))
    new, _ = perturb(data, "out", options)
    assert len(new.utterances) == 2 * 4 * 12 and not list(problems("out"))
    done = lines("out/utt2perturb")
    assert re.fullmatch(r"speed=0\.9 noise=(white|pink|brown) seed=\d+ snr=(0|5|10|15)", done["sp0.9-spk0-utt0-noise"])
    assert re.fullmatch(r"rir=synthetic rt60=0\.[2-6] drr=[036] seed=\d+", done["spk0-utt0-reverb"])
    assert re.fullmatch(r"band=300-3400 codec=(mu|a)law", done["spk0-utt0-codec"])
    assert read_list("out/utt2spk")["spk0-utt0-noise"] == "spk0"
    assert read_list("out/utt2label")["sp0.9-spk0-utt0-noise"] == "neu"
    assert read_list("out/utt2ours", columns=None)["spk0-utt0-codec"] == "of our own"


def test_rooms_and_codecs_have_their_numbers_drawn(data):
    options = PerturbOptions(rir="image", rt60=(0.3, 0.5), distance=(1.0, 2.0), codec=("gsm", "opus"), kbps=(16.0,))
    perturb(data, "out", options)
    done = lines("out/utt2perturb")
    rooms = [text for key, text in done.items() if key.endswith("-reverb")]
    assert all(re.fullmatch(r"rir=image rt60=0\.[35] distance=[12] seed=\d+", text) for text in rooms)
    assert {text for key, text in done.items() if key.endswith("-codec")} == {"codec=gsm", "codec=opus kbps=16"}


def test_copies_are_numbered_and_drawn_apart(data):
    perturb(data, "out", PerturbOptions(noise="pink", copies=3, keep_originals=False))
    done = lines("out/utt2perturb")
    assert sorted(done) == sorted(f"{utterance}-noise{n}" for utterance in UTTERANCES for n in (1, 2, 3))
    assert len(set(done.values())) == 36


def test_one_kind_is_drawn_for_each_copy(data):
    options = PerturbOptions(noise="pink", rir="synthetic", level=(-20,), each_kind=False, copies=20)
    perturb(data, "out", options)
    done = lines("out/utt2perturb")
    counts = [sum(word in key for key in done) for word in ("-noise", "-reverb", "-level")]
    assert sum(counts) == 240 and min(counts) > 50
    assert all(text.startswith(("noise=", "rir=", "level=")) for text in done.values())


def test_a_test_set_keeps_its_ids(data):
    new, _ = perturb(data, "out", PerturbOptions(noise="pink", snr=(10,), keep_ids=True))
    assert new.utterances == UTTERANCES and not list(problems("out"))
    for name in ("utt2spk", "utt2label", "wav.scp", "utt2dur", "spk2gender"):
        assert (data / name).read_bytes() == Path("out", name).read_bytes()
    assert not Path("out/utt2uniq").exists()
    quiet, loud = lines("out/utt2perturb"), None
    perturb(data, "out", PerturbOptions(noise="pink", snr=(0,), keep_ids=True))
    loud = lines("out/utt2perturb")
    # The same noise at another level.
    assert {key: text.replace("snr=10", "snr=0") for key, text in quiet.items()} == loud


def test_new_perturbations_make_old_features_stale(data):
    """With --keep-ids wav.scp is the same: only utt2perturb shows that the features are of other speech."""
    perturb(data, "out", PerturbOptions(level=(-20,), keep_ids=True))
    Path("out/utt2num_frames").write_text("".join(f"{utterance} 7\n" for utterance in UTTERANCES))
    perturb(data, "out", PerturbOptions(level=(-20,), keep_ids=True))
    assert Path("out/utt2num_frames").exists()
    perturb(data, "out", PerturbOptions(level=(-10,), keep_ids=True))
    assert not Path("out/utt2num_frames").exists() and Path("out/.backup/utt2num_frames").exists()


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


def test_segments_keep_their_recordings(here):
    data = make(here / "data", **{
        "wav.scp": "r1 a.wav\nr2 b.wav\n", "utt2dur": None, "utt2num_frames": None, "reco2dur": "r1 9\nr2 8\n",
        "segments": "".join(f"{u} r{1 + (i > 5)} {i}.5 {i + 1}\n" for i, u in enumerate(UTTERANCES)),
    })  # fmt: skip
    perturb(data, "out", PerturbOptions(speed=(1.1,), babble="own"))
    assert not list(problems("out"))
    assert Path("out/wav.scp").read_text() == "r1 a.wav\nr2 b.wav\n"
    assert Path("out/reco2dur").read_text() == "r1 9\nr2 8\n"
    segments = read_list("out/segments", columns=4)
    assert segments["sp1.1-spk1-utt0-babble"] == segments["spk1-utt0"] == "r1 3.5 4"
    assert re.search(r"babble=[ab]\.wav part=\d+\.5-\d+ and=", lines("out/utt2perturb")["spk1-utt0-babble"])


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


def test_folders_can_be_split_and_joined_with_what_is_done(data):
    """combine-data with the originals keeps utt2perturb: without it the copies would have the originals' features."""
    perturb(data, "sp", PerturbOptions(speed=(0.9,), keep_originals=False))
    _, warnings = combine(["data", "sp"], "all")
    assert len(lines("all/utt2perturb")) == 12 and len(read_list("all/utt2spk")) == 24
    assert warnings == ["utt2num_frames: left out, since not every folder has it"]
    place, _ = split("all", 4, per_utt=True)
    assert [(place / str(n) / "utt2perturb").exists() for n in (1, 2, 3, 4)] == [True, True, False, False]
    assert not list(problems("all"))


def test_made_segments_are_those_before_the_speed_changes(here):
    """Joined with a folder of segments: 1.3636 s at a speed of 1.1 are cut from a recording of 1.5 s."""
    make(here / "whole", UTTERANCES[:6], utt2num_frames=None)
    segments = "".join(f"{key} {key} 0 1.5\n" for key in UTTERANCES[6:])
    make(here / "parts", UTTERANCES[6:], utt2num_frames=None, segments=segments)
    perturb("whole", "sp", PerturbOptions(speed=(1.1,), keep_originals=False))
    combine(["sp", "parts"], "all")
    assert read_list("all/utt2dur")["sp1.1-spk0-utt0"] == "1.3636"
    _, start, end = read_list("all/segments", columns=4)["sp1.1-spk0-utt0"].split()
    assert start == "0" and float(end) == pytest.approx(1.5, abs=1e-4)


def test_perturbing_again_adds_to_what_is_done(data):
    perturb(data, "sp", PerturbOptions(speed=(0.9,), keep_originals=False))
    perturb("sp", "out", PerturbOptions(level=(-20,), keep_originals=False))
    assert lines("out/utt2perturb")["sp0.9-spk0-utt0-level"] == "speed=0.9 level=-20"
    assert read_list("out/utt2uniq")["sp0.9-spk0-utt0-level"] == "spk0-utt0"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"noise": "gone"}, "gone: cannot be read"),
        ({"noise": "empty"}, "empty: no recordings in this folder"),
        ({"rir": "data"}, ""),
        ({"babble": "few"}, "--babble=few: has 2 recordings, 3 are needed"),
        ({"noise": "few"}, "few.wav cannot be read"),
        ({"speed": (50.0,)}, "'speed=50' is not a number from 0.1 to 10"),
        ({"noise": "pink", "snr": (999.0,)}, "'snr=999.0' is not a number"),
        ({"clip": (100.0,)}, "'clip=100.0' is not a number"),
        ({"rir": "image", "distance": (1.0, 50.0)}, "'distance=50.0' is not a number"),
        ({"noise": "pink", "suffix": "taken"}, "data: utterance spk0-utt0-taken is there already"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(here, options, says):
    make(here / "data", ["spk0-utt0", "spk0-utt0-taken"])
    (here / "empty").mkdir()
    (here / "few").mkdir()
    (here / "few/wav.scp").write_text("a few.wav\nb few.wav\n")
    if not says:  # a data folder is a folder of sounds
        perturb("data", "out", PerturbOptions(**options))
        return
    before = content(here / "data")
    with pytest.raises(SertkError) as error:
        perturb("data", "out", PerturbOptions(**options))
    assert str(error.value).startswith(says)
    assert content(here / "data") == before and not (here / "out").exists()


def test_too_few_speakers_for_babble_is_an_error(here):
    make(here / "data", ["spk0-utt0", "spk1-utt0", "spk2-utt0"])
    with pytest.raises(SertkError, match="has 3 speakers; --babble=own needs 3 besides the one that is heard"):
        perturb("data", "out", PerturbOptions(babble="own"))
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        perturb("data", "data", PerturbOptions(level=(-20,)))


def test_copies_whose_perturbation_was_lost_are_noticed(data, call):
    """As by Kaldi's subset_data_dir.sh, which does not know utt2perturb."""
    perturb(data, "out", PerturbOptions(speed=(0.9,)))
    assert call("validate-data", "out").err == "validate-data: out: valid\n"
    Path("out/utt2perturb").unlink()
    done = call("validate-data", "out")
    expected = (
        "12 utterances have the speech of another one and no line in utt2perturb (sp0.9-spk0-utt0 that of spk0-utt0)"
    )
    assert expected in done.err and done.code == 0
