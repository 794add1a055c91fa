"""Perturbed folders: Kaldi's names, and every list."""

import re
from pathlib import Path

import pytest
from datafolder import UTTERANCES, content, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.datadir.combine import combine
from sertk.datadir.lists import read_list
from sertk.datadir.perturb import perturb
from sertk.datadir.perturb_options import PerturbOptions
from sertk.datadir.split import split
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


def test_copies_are_numbered_and_drawn_apart(data):
    perturb(data, "out", PerturbOptions(noise="pink", copies=3, keep_originals=False))
    done = lines("out/utt2perturb")
    assert sorted(done) == sorted(f"{utterance}-noise{n}" for utterance in UTTERANCES for n in (1, 2, 3))
    assert len(set(done.values())) == 36


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
    with pytest.raises(
        SertkError, match=r"twice: utterance sp0.9-sp0.9-\S+ is there already \(these are copies at this speed\)"
    ):
        perturb(perturb("sp", "twice", PerturbOptions(speed=(0.9,)))[0].folder, "out", PerturbOptions(speed=(0.9,)))
    perturb("sp", "out", PerturbOptions(level=(-20,), keep_originals=False))
    assert lines("out/utt2perturb")["sp0.9-spk0-utt0-level"] == "speed=0.9 level=-20"
    assert read_list("out/utt2uniq")["sp0.9-spk0-utt0-level"] == "spk0-utt0"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"noise": "gone"}, "--noise=gone: no such folder or file, nor one of synthetic, white, pink, brown"),
        ({"music": "gone"}, "--music=gone: no such folder or file"),
        ({"noise": "empty"}, "--noise: empty: no recordings in this folder"),
        ({"rir": "data"}, ""),
        ({"babble": "few"}, "--babble=few: has 2 recordings, 3 are needed"),
        ({"noise": "few"}, "--noise: few.wav cannot be read"),
        ({"speed": (50.0,)}, "'--speed=50' is not a number from 0.1 to 10"),
        ({"noise": "pink", "snr": (999.0,)}, "'--snr=999' is not a number"),
        ({"clip": (100.0,)}, "'--clip=100' is not a number"),
        ({"rir": "image", "distance": (1.0, 50.0)}, "'--distance=50' is not a number"),
        ({"noise": "pink", "suffix": "taken"}, "data: utterance spk0-utt0-taken is there already (--suffix"),
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
