"""Imported networks: lists of training speakers, and the front end as options."""

import pytest

from sertk.errors import SertkError
from sertk.jobs.imported import make_fbank_options, read_speakers


def test_speakers_are_the_first_words_of_the_lines(tmp_path):
    (tmp_path / "spk2utt").write_text("id2 id2-a id2-b\nid1 id1-a\n")
    assert read_speakers(tmp_path / "spk2utt", 6) == ["id1", "id2"]  # three speeds of each
    assert read_speakers(tmp_path / "spk2utt", None) == ["id1", "id2"]


@pytest.mark.parametrize(
    ("text", "classes", "reason"),
    [
        ("a\nb\na\n", 2, "spk:3: a comes twice \\(first on line 1\\)"),
        ("", 2, "spk: is empty"),
        ("a\nb\n", 3, "spk: 2 speakers, and the checkpoint's projection has 3 classes"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path, text, classes, reason):
    (tmp_path / "spk").write_text(text)
    with pytest.raises(SertkError, match=reason):
        read_speakers(tmp_path / "spk", classes)


def test_front_end_becomes_make_fbank_options():
    frontend = {"fbank": {"num-mel-bins": 80}, "cmvn": "segment mean", "channel": 0}
    assert make_fbank_options(frontend) == {"num-mel-bins": 80, "cmvn": True, "norm-vars": False, "channel": 0}
    assert make_fbank_options({"fbank": {}, "cmvn": "none"}) == {"cmvn": False}
