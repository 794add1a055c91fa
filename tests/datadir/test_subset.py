"""Some utterances of a folder, with all their lists."""

from pathlib import Path

import pytest
from datafolder import content, kaldi_accepts, make

from sertk.datadir.subset import subset
from sertk.errors import SertkError


def test_a_subset_has_all_lists_of_its_utterances(here):
    folder = make("data")
    found = subset(folder, "small", "per-spk", 1)[0]
    assert found.utterances == [f"spk{s}-utt0" for s in range(4)]
    assert kaldi_accepts("small") and set(content("small")) == set(content(folder))


def test_subset_has_only_the_recordings_of_its_segments(here):
    folder = make("data", ["spk0-utt0", "spk0-utt1"],
                  **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\nspk0-utt1 s 0 1\n",
                     "reco2dur": "r 1\ns 1\n"})  # fmt: skip
    subset(folder, "small", "first", 1)
    assert content("small")["wav.scp"] == "r r.wav\n" and content("small")["reco2dur"] == "r 1\n"


def test_names_that_a_folder_does_not_have_are_told(here):
    """filter_scp.pl passes over them without a word."""
    folder = make("data")
    Path("list").write_text("spk0-utt0\nx\n")
    found, told = subset(folder, "small", "utt-list", names_from="list")
    assert found.utterances == ["spk0-utt0"] and told == ["list: 1 of 2 utterances are not in data: x, …"]
    with pytest.raises(SertkError, match="list: data has none of its 2 speakers: spk0-utt0"):
        subset(folder, "other", "spk-list", names_from="list")
    assert not Path("other").exists()
