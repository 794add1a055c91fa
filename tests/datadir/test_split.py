"""Parts of a folder: whole speakers, no utterance lost."""

import pytest
from datafolder import UTTERANCES, content, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.datadir.folder import DataDir
from sertk.datadir.split import split
from sertk.errors import SertkError


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_splitting_keeps_speakers_whole_and_loses_no_utterance(here, number):
    folder = make("data")
    place, _ = split(folder, number)
    assert place == folder / f"split{number}"
    parts = [DataDir.load(place / str(part)) for part in range(1, number + 1)]
    assert sorted(utterance for part in parts for utterance in part.utterances) == UTTERANCES
    speakers = [speaker for part in parts for speaker in sorted(set(part.speaker_of.values()))]
    assert speakers == sorted(set(speakers))
    sizes = [len(part.utterances) for part in parts]
    assert max(sizes) - min(sizes) <= 3
    for part in range(1, number + 1):
        assert list(problems(place / str(part))) == [] and kaldi_accepts(place / str(part))
        assert set(content(place / str(part))) == set(content(folder))


def test_splitting_uneven_speakers_is_as_even_as_can_be(here):
    utterances = [f"a-{i}" for i in range(8)] + ["b-0", "c-0", "d-0", "e-0"]
    place, _ = split(make("data", utterances), 3)
    assert [len(DataDir.load(place / str(part)).utterances) for part in (1, 2, 3)] == [8, 2, 2]


def test_splitting_by_utterance_makes_even_parts(here):
    place, _ = split(make("data"), 5, per_utt=True)
    assert place.name == "split5utt"
    assert [len(DataDir.load(place / str(part)).utterances) for part in range(1, 6)] in (
        [2, 3, 2, 3, 2],
        [2, 2, 3, 2, 3],
        [3, 2, 2, 2, 3],
    )
    assert all(kaldi_accepts(place / str(part)) for part in range(1, 6))


def test_too_many_parts_are_refused_and_the_old_split_stays(here):
    folder = make("data")
    split(folder, 4)
    with pytest.raises(SertkError, match="4 speakers cannot be split into 5 parts"):
        split(folder, 5)
    split(folder, 4)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split4"]


def test_a_split_again_has_no_list_of_the_first(here):
    folder = make("data")
    split(folder, 2)
    (folder / "utt2dur").unlink()
    (folder / "split2/1/mine").write_text("mine")
    _, told = split(folder, 2)
    assert not (folder / "split2/1/utt2dur").exists() and (folder / "split2/1/.backup/utt2dur").exists()
    assert (
        told[0] == "data/split2/1/utt2dur: does not match the new lists, moved to data/split2/1/.backup"
        and len(told) == 2
    )
    assert (folder / "split2/1/mine").read_text() == "mine"
