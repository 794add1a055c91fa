"""Folders merged into one."""

from pathlib import Path

import pytest
from datafolder import UTTERANCES, content, kaldi_accepts, make

from sertk.datadir.combine import combine
from sertk.datadir.split import split
from sertk.errors import SertkError


def test_combining_the_parts_of_a_split_gives_the_folder_back(here):
    folder = make("data")
    place, _ = split(folder, 3)
    found, told = combine([place / "3", place / "1", place / "2"], "all")
    assert content("all") == content(folder) and not told and found.utterances == UTTERANCES


def test_a_list_that_one_folder_lacks_is_left_out_and_named(here):
    make("a", UTTERANCES[:3])
    make("b", UTTERANCES[3:], utt2label=None)
    _, told = combine(["a", "b"], "c")
    assert told == ["utt2label: left out, since not every folder has it"] and kaldi_accepts("c")


def test_segments_are_made_for_a_folder_that_has_none(here):
    make("a", UTTERANCES[:1], **{"wav.scp": "r r.wav\n", "segments": "spk0-utt0 r 0 1\n"})
    make("b", UTTERANCES[3:4])
    combine(["a", "b"], "c")
    assert (here / "c/segments").read_text() == "spk0-utt0 r 0 1\nspk1-utt0 spk1-utt0 0 1.5\n" and kaldi_accepts("c")
    (here / "b/utt2dur").unlink()
    with pytest.raises(SertkError, match="utt2dur would be needed"):
        combine(["a", "b"], "c")


def test_an_utterance_in_two_folders_is_an_error(here):
    make("a", UTTERANCES[:3])
    make("b", UTTERANCES[2:5])
    with pytest.raises(SertkError, match=r"b/.*: key spk0-utt2 is in another of the folders too"):
        combine(["a", "b"], "c")
    assert not Path("c").exists()


def test_features_of_different_frame_shifts_are_not_put_together(here):
    for name, utterances, shift in (("a", UTTERANCES[:6], "0.01\n"), ("b", UTTERANCES[6:], "0.02\n")):
        make(name, utterances, frame_shift=shift, **{"feats.scp": "".join(f"{key} f.ark:1\n" for key in utterances)})
    with pytest.raises(SertkError, match="a and b have different frame shifts"):
        combine(["a", "b"], "c")


def test_utt2uniq_is_made_where_a_folder_has_none(here):
    """As combine_data.sh does."""
    make("a", UTTERANCES[:1], utt2uniq=f"{UTTERANCES[0]} x\n")
    make("b", UTTERANCES[3:4])
    combine(["a", "b"], "c")
    assert Path("c/utt2uniq").read_text() == f"{UTTERANCES[0]} x\n{UTTERANCES[3]} {UTTERANCES[3]}\n"
