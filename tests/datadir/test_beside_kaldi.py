"""Beside Kaldi's scripts: what they said is stored; with KALDI_S5 (the folder egs/wsj/s5 of Kaldi) they are asked anew."""

import os
import subprocess
from pathlib import Path

import pytest
from damaged_folders import DAMAGES, LOOSER, STRICTER, build
from datafolder import UTTERANCES, content, make
from support import needs_sox

from sertk.datadir.checks import problems, remarks
from sertk.datadir.combine import combine
from sertk.datadir.fix import fix
from sertk.datadir.folder import DataDir
from sertk.datadir.perturb import perturb
from sertk.datadir.perturb_options import PerturbOptions
from sertk.datadir.split import split
from sertk.datadir.subset import chosen, subset
from sertk.errors import SertkError

KALDI = os.environ.get("KALDI_S5")
needs_kaldi = pytest.mark.skipif(not KALDI, reason="KALDI_S5 names no egs/wsj/s5 of Kaldi")


def kaldi(*words) -> subprocess.CompletedProcess:
    """Call one of Kaldi's utils in the current folder; the C.UTF-8 that it looks for is C.utf8 on some machines."""
    if not Path("utils").exists():
        Path("utils").symlink_to(Path(KALDI, "utils"))
        Path("path.sh").touch()
        Path("shim").mkdir()
        Path("shim/locale").write_text("#!/bin/sh\necho C.UTF-8\n")
        Path("shim/locale").chmod(0o755)
    env = os.environ | {"LC_ALL": "C", "PATH": f"{Path.cwd()}/shim:{KALDI}/utils:{os.environ['PATH']}"}
    return subprocess.run([f"utils/{words[0]}", *map(str, words[1:])], env=env, capture_output=True, text=True)


def validates(folder) -> subprocess.CompletedProcess:
    options = [f"--no-{what}" for what, name in (("feats", "feats.scp"), ("text", "text"), ("wav", "wav.scp"))
               if not Path(folder, name).exists()]  # fmt: skip
    return kaldi("validate_data_dir.sh", *options, folder)


@pytest.mark.parametrize("name", DAMAGES)
def test_we_say_what_kaldis_script_says(here, name):
    """Or are stricter, for a reason that is given, or accept a channel column, with a warning."""
    found = list(problems(build(name)))
    if name in STRICTER:
        assert DAMAGES[name][1] and STRICTER[name] in found[0]
    elif name in LOOSER:
        assert not DAMAGES[name][1] and not found and LOOSER[name] in next(remarks("data"))
    else:
        assert (not found) == DAMAGES[name][1], found


@needs_kaldi
def test_kaldis_script_still_says_it(here):
    answers = {name: validates(build(name, f"data{number}")).returncode == 0 for number, name in enumerate(DAMAGES)}
    assert answers == {name: accepted for name, (_, accepted) in DAMAGES.items()}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_the_binaries_write_of_a_damaged_folder_is_valid(here, monkeypatch, name):
    """Or nothing is written."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    build(name)
    for out, run in {"sub": lambda: subset("data", "sub", "first", 5), "data/split2": lambda: split("data", 2),
                     "all": lambda: combine(["data"], "all")}.items():  # fmt: skip
        try:
            run()
        except SertkError:
            assert not Path(out).exists()
        else:
            for folder in ["data/split2/1", "data/split2/2"] if "split" in out else [out]:
                assert list(problems(folder)) == []
                assert not KALDI or name in LOOSER or validates(folder).returncode == 0


CUT = {"segments with a channel that is none", "segments with six columns"}


@needs_kaldi
def test_fixing_keeps_what_kaldis_script_keeps(here):
    """Where both end with a folder that both accept. Kaldi's script cuts segments to four columns."""
    compared = 0
    for number, name in enumerate(sorted(DAMAGES.keys() - STRICTER.keys() - LOOSER.keys() - CUT)):
        ours, theirs = build(name, f"ours{number}"), build(name, f"theirs{number}")
        try:
            fix(ours)
        except SertkError:
            continue
        fixed = kaldi("fix_data_dir.sh", theirs).returncode == 0 and validates(theirs).returncode == 0
        if fixed and not list(problems(ours)):
            found = [line.split()[0] for line in (theirs / "utt2spk").read_text().splitlines()]
            assert DataDir.load(ours).utterances == found, name
            compared += 1
    assert compared > 40


def uneven(folder):
    """Speakers of 1, 2, 5, 12 and 20 utterances, of lengths that are no order."""
    utterances = [f"s{size:02}-{n:02}" for size in (1, 2, 5, 12, 20) for n in range(size)]
    frames = "".join(f"{key} {(n * 37) % 41 + 1}\n" for n, key in enumerate(utterances))
    return make(folder, utterances, utt2num_frames=frames)


MODES = ("spread", "first", "last", "shortest", "per-spk", "speakers")
NUMBERS = (1, 2, 3, 4, 7, 19, 20, 40)
_LINES = [line.split() for line in Path(__file__).with_name("kaldi_subsets.txt").read_text().splitlines()[1:]]
CHOSEN = {(mode, int(number)): [int(place) for place in places] for mode, number, *places in _LINES}


@pytest.mark.parametrize("mode", MODES)
def test_a_subset_is_the_one_that_kaldis_script_chooses(here, mode):
    data = DataDir.load(uneven("data"))
    for number in NUMBERS:
        found = sorted(chosen(data, mode, number)[0])
        assert [data.utterances.index(key) for key in found] == CHOSEN[mode, number], number


@needs_kaldi
def test_kaldis_script_still_chooses_it(here):
    data = DataDir.load(uneven("data"))
    Path("data/feats.scp").write_text("".join(f"{key} f.ark:1\n" for key in data.utterances))
    for mode, number in CHOSEN:
        out = f"{mode}{number}"
        assert (
            kaldi("subset_data_dir.sh", *([] if mode == "spread" else [f"--{mode}"]), "data", number, out).returncode
            == 0
        )
        found = [line.split()[0] for line in Path(out, "utt2spk").read_text().splitlines()]
        assert [data.utterances.index(key) for key in found] == CHOSEN[mode, number], out
        subset("data", "ours", mode, number)
        theirs = {
            name: text.replace(" \n", "\n") for name, text in content(out).items()
        }  # its --per-spk writes a blank
        assert {name: text for name, text in content("ours").items() if name in theirs} == theirs


@needs_kaldi
def test_folders_are_put_together_as_kaldis_script_does(here):
    make("a", UTTERANCES[:6], utt2uniq="".join(f"{key} x{key}\n" for key in UTTERANCES[:6]))
    make("b", UTTERANCES[6:], segments="".join(f"{key} {key} 0 1.5\n" for key in UTTERANCES[6:]))
    assert kaldi("combine_data.sh", "theirs", "a", "b").returncode == 0
    combine(["a", "b"], "ours")
    theirs = content("theirs")
    assert {name: text for name, text in content("ours").items() if name in theirs} == theirs


@needs_kaldi
@needs_sox  # its script refuses to run without
def test_speeds_are_called_as_kaldis_script_calls_them(here):
    """utt2spk, utt2uniq, utt2dur and all other lists; its wav.scp has sox where ours has utt2perturb."""
    make("data", reco2dur="".join(f"{key} 1.5\n" for key in UTTERANCES))
    done = kaldi("perturb_data_dir_speed.sh", "0.9", "data", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr
    perturb("data", "ours", PerturbOptions(speed=(0.9,), keep_originals=False))
    theirs, ours = content("theirs"), content("ours")
    assert [line.split()[0] for line in theirs.pop("wav.scp").splitlines()] == [
        line.split()[0] for line in ours["wav.scp"].splitlines()
    ]
    for name in ("utt2dur", "reco2dur"):  # six significant digits there, four decimals here
        pairs = zip(theirs.pop(name).splitlines(), ours[name].splitlines(), strict=True)
        for one, other in pairs:
            assert one.split()[0] == other.split()[0]
            assert float(one.split()[1]) == pytest.approx(float(other.split()[1]), abs=1e-4)
    ours["text"] = ours["text"].replace("  ", " ")  # it leaves one space between words
    assert {name: text for name, text in ours.items() if name in theirs} == theirs
    assert validates("ours").returncode == 0
