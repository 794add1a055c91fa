"""The files of a fold folder."""

import json

import pytest

from sertk.errors import SertkError
from sertk.scoring.foldfiles import read_labels, read_maps, read_scheme, read_utt2fold, write_folds
from sertk.scoring.folds import divide

UTT2LABEL = {f"s{session}-{label}": label for session in (1, 2) for label in ("ang", "neu")}
SESSIONS = {utt: utt[:2] for utt in UTT2LABEL}


def test_what_is_written_is_read_again(tmp_path):
    """Maps of an earlier division that this one has not are removed."""
    folds = divide("loso", UTT2LABEL, ("neu", "ang"), {"session": SESSIONS, "speaker": SESSIONS})
    write_folds(tmp_path, folds, {"session": SESSIONS, "speaker": SESSIONS}, {"part": "all"})
    assert read_utt2fold(tmp_path / "utt2fold") == {"s1-ang": 1, "s1-neu": 1, "s2-ang": 2, "s2-neu": 2}
    assert read_labels(tmp_path / "labels.txt") == ("neu", "ang")
    assert read_maps(tmp_path / "utt2fold") == {"session": SESSIONS, "speaker": SESSIONS}
    scheme = read_scheme(tmp_path / "utt2fold")
    assert (scheme["scheme"], scheme["held_out"], scheme["part"]) == ("loso", {"1": ["s1"], "2": ["s2"]}, "all")
    write_folds(tmp_path, folds, {"speaker": SESSIONS}, {})
    assert read_maps(tmp_path / "utt2fold") == {"speaker": SESSIONS}
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SertkError, match="utt2session"):  # all or nothing
        write_folds(tmp_path, folds, {"session": {"a b": "c"}}, {"part": "other"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folds_made_by_hand_have_no_scheme(tmp_path):
    assert read_scheme(tmp_path / "utt2fold") == {} and read_maps(tmp_path / "utt2fold") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ang\nvery angry\n", "labels.txt:2: expected one label per line: 'very angry'"),
        ("ang\n\n", "labels.txt:2: expected one label per line: ''"),
        ("ang\nneu\nang\n", "labels.txt:3: label ang comes twice"),
        ("ang\n", "labels.txt: expected two labels or more, found 1"),
    ],
)
def test_lists_that_are_no_labels_are_named(tmp_path, text, message):
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(SertkError, match=message):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize("fold", ["0", "-1", "1.0", "one", "²"])
def test_other_folds_than_numbers_from_one_are_named(tmp_path, fold):
    (tmp_path / "utt2fold").write_text(f"a 1\nb {fold}\n")
    with pytest.raises(SertkError, match=f"utt2fold:2: b: '{fold}' is not a fold number"):
        read_utt2fold(tmp_path / "utt2fold")


def test_an_unknown_scheme_is_named(tmp_path):
    (tmp_path / "scheme.json").write_text(json.dumps({"scheme": "lotto"}))
    with pytest.raises(SertkError, match=r"scheme\.json: unknown scheme"):
        read_scheme(tmp_path / "utt2fold")
