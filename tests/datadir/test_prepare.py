"""What preparation scripts end with: problems told, maps written, stamps kept true."""

import re
from pathlib import Path

import pytest

from sertk.datadir.checks import problems
from sertk.datadir.lists import read_list
from sertk.datadir.prepare import find_audio, report_problems, write_data_dir
from sertk.errors import SertkError

MAPS = {
    "wav.scp": {"b-1": "/b.wav", "a-2": "/a2.wav", "a-1": "/a1.wav"},
    "utt2spk": {"b-1": "b", "a-2": "a", "a-1": "a"},
}


def test_the_written_folder_is_valid_and_has_its_spk2utt(tmp_path):
    write_data_dir(tmp_path / "data", MAPS)
    assert list(problems(tmp_path / "data", False)) == []
    assert read_list(tmp_path / "data/spk2utt", columns=None) == {"a": "a-1 a-2", "b": "b-1"}


def test_what_an_earlier_preparation_left_is_moved_away(tmp_path, caplog):
    text = dict.fromkeys(MAPS["utt2spk"], "words")
    write_data_dir(tmp_path, MAPS | {"text": text}, PARTIAL=["one is missing"], SIMULATED=[])
    assert (tmp_path / "PARTIAL").read_text() == "one is missing\n"
    assert not (tmp_path / "SIMULATED").exists()
    (tmp_path / "notes").write_text("mine")
    write_data_dir(tmp_path, MAPS | {"text": {}}, PARTIAL=[], SIMULATED=[])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".backup", "notes", "spk2utt", "utt2spk", "wav.scp"]
    assert (tmp_path / ".backup/text").read_text() == "a-1 words\na-2 words\nb-1 words\n"
    assert (tmp_path / ".backup/PARTIAL").exists() and f"{tmp_path}/text: does not match" in caplog.text


def test_features_stay_only_with_the_recordings_that_they_are_of(tmp_path):
    write_data_dir(tmp_path, MAPS)
    (tmp_path / "feats.scp").write_text("a-1 x.ark:4\na-2 x.ark:9\nb-1 x.ark:14\n")
    write_data_dir(tmp_path, MAPS)
    assert (tmp_path / "feats.scp").exists()
    write_data_dir(tmp_path, MAPS | {"wav.scp": MAPS["wav.scp"] | {"a-1": "/other.wav"}})
    assert not (tmp_path / "feats.scp").exists() and (tmp_path / ".backup/feats.scp").exists()


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"utt2label": {"a-1": "ang"}}, "utt2label: utterance a-2 is missing"),
        ({"spk2gender": {"a": "m", "b": "?"}}, "'?' is neither m nor f"),
        ({"spk2age": {"a b": "3"}}, "'a b'"),
        ({"utt2script": {"a-1": ""}}, "key a-1: value '' cannot stand in a list"),
    ],
)
def test_maps_that_are_no_data_folder_write_nothing(tmp_path, maps, said):
    with pytest.raises(SertkError, match=re.escape(said)):
        write_data_dir(tmp_path / "data", MAPS | maps)
    assert not (tmp_path / "data").exists()


def test_problems_stop_unless_they_are_allowed(caplog):
    report_problems(Path("/corpus"), "Corpus", [], allow_partial=False)
    report_problems(Path("/corpus"), "Corpus", ["a is missing"], allow_partial=True)
    with pytest.raises(SertkError, match=r"^/corpus: not the whole Corpus: a is missing \(--allow"):
        report_problems(Path("/corpus"), "Corpus", ["a is missing"], allow_partial=False)
    with pytest.raises(SertkError, match="a is missing, and 1 more "):
        report_problems(Path("/corpus"), "Corpus", ["a is missing", "b is missing"], allow_partial=False)


def test_audio_is_found_whatever_its_container(tmp_path):
    for name in ("b/2.FLAC", "a/1.wav", "a/._1.wav", "a/1.txt", "1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_audio(tmp_path, "*") == [tmp_path / "a/1.wav", tmp_path / "b/2.FLAC"]
