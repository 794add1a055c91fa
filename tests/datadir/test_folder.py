"""Data folders as they are read and reduced."""

from pathlib import Path

import pytest
from datafolder import UTTERANCES, edit, make

from sertk.datadir.checks import problems
from sertk.datadir.combine import combine
from sertk.datadir.fix import fix
from sertk.datadir.folder import DataDir, columns, level, stale_names
from sertk.datadir.split import split
from sertk.datadir.subset import subset
from sertk.errors import SertkError


def test_levels_of_known_and_unknown_lists():
    assert [level(name, True) for name in ("utt2dur", "cmvn.scp", "wav.scp", "reco2dur", "stm", "notes.txt")] == [
        "utterance", "speaker", "recording", "recording", "recording", None]  # fmt: skip
    assert level("wav.scp", False) == "utterance" and columns("segments") == (4, 5) and columns("text") is None


def test_a_reduced_folder_has_only_the_keys_of_its_utterances(here):
    segments = "".join(f"{key} {key[:4]} 0 1\n" for key in UTTERANCES)
    data = DataDir.load(make("data", segments=segments, **{"wav.scp": "".join(f"spk{n} {n}.wav\n" for n in range(4))}))
    part = data.keep(["spk1-utt2", "spk2-utt0"])
    assert part.utterances == ["spk1-utt2", "spk2-utt0"] and part.recordings(part.utterances) == {"spk1", "spk2"}
    assert part.lists["wav.scp"] == {"spk1": "1.wav", "spk2": "2.wav"} and list(part.lists["spk2gender"]) == [
        "spk1",
        "spk2",
    ]
    assert part.spk2utt() == {"spk1": "spk1-utt2", "spk2": "spk2-utt0"} and list(part.contents())[-1] == "utt2spk"
    assert [key for key, _ in part.others["utt2ours"]] == part.utterances


def test_stale_lists_are_those_of_other_utterances(here):
    data = DataDir.load(make("data", utt2dialog=None))
    make("same")
    make("fewer", UTTERANCES[:3])
    assert stale_names(Path("same"), data, keep_fitting=True) == []
    assert stale_names(Path("fewer"), data, keep_fitting=True) == ["utt2dialog"]
    assert stale_names(Path("same"), data, keep_fitting=False) == ["utt2dialog"]
    assert stale_names(Path("gone"), data, keep_fitting=False) == []


def test_a_no_break_space_is_part_of_a_recording_name(here):
    """Kaldi splits at ASCII white space only."""
    name = "r" + chr(0xA0) + "x"
    make("data", ["spk0-utt0"], **{"wav.scp": f"{name} r.wav\n", "segments": f"spk0-utt0 {name} 0 1\n"})
    assert list(problems("data")) == [] and DataDir.load("data").recordings(["spk0-utt0"]) == {name}


def test_an_empty_transcript_is_a_transcript(here):
    make("data")
    edit(Path("data/text"), lambda lines: ["spk0-utt0", *lines[1:]])
    assert list(problems("data")) == [] and fix("data") == []
    split("data", 4)
    subset("data", "small", "first", 2)
    combine(["data/split4/2", "small"], "all")
    for folder in ("data", "data/split4/1", "small", "all"):
        assert (Path(folder) / "text").read_text().startswith("spk0-utt0\nspk0-utt1 hello  there\n")
    edit(Path("data/text"), lambda lines: ["spk0-utt0", *lines])
    with pytest.raises(SertkError, match="data/text:2: key spk0-utt0 comes twice"):
        subset("data", "small", "first", 2)


def test_lines_of_lists_that_are_not_known_go_along(here):
    """Whatever they are about: a key that is left keeps its line, byte by byte, and nothing is demanded of the others."""
    make("data", **{"utt2ours": "spk0-utt1  x \nspk0-utt0 y\nspk0-utt0 z\nspk3-utt0 w\n", "noise.scp": "n n.wav\n"})
    (here / "data/spk2raw").write_bytes(b"spk0 \xff\nspk1 a")
    subset("data", "small", "first", 2)
    assert Path("small/utt2ours").read_text() == "spk0-utt1  x \nspk0-utt0 y\nspk0-utt0 z\n"
    assert Path("small/spk2raw").read_bytes() == b"spk0 \xff\n" and not Path("small/noise.scp").exists()
