"""Folds: numbering, balance, what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.errors import SertkError
from sertk.scoring.folds import divide, grouped_folds, map_labels, stratified_folds

LABELS = ("ang", "neu")


def corpus(sessions=3, each=4):
    """`each` segments of both labels a session, two speakers a session."""
    utt2label, utt2session, utt2spk = {}, {}, {}
    for session in range(sessions):
        for index in range(each):
            for label in LABELS:
                utt = f"Ses{session:02}{'FM'[index % 2]}-{label}{index}"
                utt2label[utt], utt2session[utt], utt2spk[utt] = label, f"Ses{session:02}", utt.split("-")[0]
    return utt2label, utt2session, utt2spk


def test_loso_folds_are_numbered_in_the_sessions_sorted_order():
    utt2label, utt2session, utt2spk = corpus()
    folds = grouped_folds("loso", utt2label, LABELS, utt2session, utt2spk)
    assert folds.held_out == {1: ["Ses00"], 2: ["Ses01"], 3: ["Ses02"]}
    assert all(folds.utt2fold[utt] == int(session[-1]) + 1 for utt, session in utt2session.items())
    assert folds.counts() == {fold: {"ang": 4, "neu": 4} for fold in (1, 2, 3)}
    assert folds.settings()["speaker_independent"] is True


def test_speaker_folds_hold_out_one_speaker_each():
    utt2label, _, utt2spk = corpus(sessions=2)
    folds = grouped_folds("speaker", utt2label, LABELS, utt2spk)
    assert folds.held_out == {1: ["Ses00F"], 2: ["Ses00M"], 3: ["Ses01F"], 4: ["Ses01M"]}


def test_a_speaker_in_two_sessions_is_refused():
    utt2label, utt2session, utt2spk = corpus()
    utt2spk["Ses02F-ang0"] = "Ses00F"
    with pytest.raises(SertkError, match="speaker Ses00F is in sessions Ses00 and Ses02"):
        grouped_folds("loso", utt2label, LABELS, utt2session, utt2spk)


def test_a_class_that_training_would_lack_is_refused():
    utt2label, utt2session, _ = corpus()
    utt2label = {utt: label for utt, label in utt2label.items() if label == "ang" or utt2session[utt] == "Ses01"}
    with pytest.raises(SertkError, match="fold 2 holds all 4 segments of 'neu'"):
        grouped_folds("loso", utt2label, LABELS, utt2session)


def test_a_label_without_segments_is_refused():
    utt2label, utt2session, _ = corpus()
    with pytest.raises(SertkError, match="no segment has the label 'sad'"):
        grouped_folds("loso", utt2label, (*LABELS, "sad"), utt2session)


def test_a_segment_without_a_session_is_named():
    utt2label, utt2session, _ = corpus()
    del utt2session["Ses01F-neu2"]
    with pytest.raises(SertkError, match="Ses01F-neu2: has a label and no session"):
        grouped_folds("loso", utt2label, LABELS, utt2session)


def test_one_session_cannot_be_held_out():
    utt2label, utt2session, _ = corpus(sessions=1)
    with pytest.raises(SertkError, match="two sessions or more"):
        grouped_folds("loso", utt2label, LABELS, utt2session)


@settings(max_examples=100)
@given(
    counts=st.lists(st.integers(5, 40), min_size=1, max_size=5), num_folds=st.integers(2, 5), seed=st.integers(0, 99)
)
def test_stratified_folds_share_every_class_within_one_segment(counts, num_folds, seed):
    utt2label = {f"u{label}-{n}": f"l{label}" for label, count in enumerate(counts) for n in range(count)}
    labels = sorted(set(utt2label.values()))
    folds = stratified_folds(utt2label, labels, num_folds, seed)
    assert set(folds.utt2fold) == set(utt2label)
    per_fold = folds.counts()
    for label in labels:
        column = [per_fold[fold][label] for fold in per_fold]
        assert max(column) - min(column) <= 1
    sizes = [sum(fold.values()) for fold in per_fold.values()]
    assert max(sizes) - min(sizes) <= 1
    assert folds == stratified_folds(dict(reversed(utt2label.items())), labels, num_folds, seed)


def test_another_seed_deals_otherwise():
    utt2label, _, _ = corpus(each=20)
    one, two = (stratified_folds(utt2label, LABELS, 5, seed).utt2fold for seed in (0, 1))
    assert one != two


def test_stratified_folds_are_marked_speaker_dependent():
    utt2label, _, _ = corpus()
    assert stratified_folds(utt2label, LABELS, 4, 0).settings()["speaker_independent"] is False


def test_a_class_of_one_segment_cannot_be_stratified():
    with pytest.raises(SertkError, match="all 1 segments of 'sad'"):
        stratified_folds({"a": "neu", "b": "neu", "c": "sad"}, ("neu", "sad"), 2, 0)


def test_more_folds_than_segments_is_refused():
    with pytest.raises(SertkError, match="2 segments cannot be divided into 4 folds"):
        stratified_folds({"a": "neu", "b": "neu"}, ("neu",), 4, 0)


def test_label_order_is_that_of_the_map():
    label_map = {"sad": "sad", "exc": "hap", "hap": "hap", "ang": "ang"}
    kept, labels = map_labels({"u1": "hap", "u2": "fru", "u3": "ang"}, label_map)
    assert labels == ("sad", "hap", "ang")
    assert kept == {"u1": "hap", "u3": "ang"}


def test_without_a_map_labels_are_sorted():
    assert map_labels({"u1": "b", "u2": "a"}, None) == ({"u1": "b", "u2": "a"}, ("a", "b"))


def test_speakers_are_grouped_when_fewer_folds_are_wanted():
    utt2label, _, utt2spk = corpus(sessions=3)
    maps = {"speaker": utt2spk, "gender": {speaker: speaker[-1] for speaker in utt2spk.values()}}
    folds = divide("speaker", utt2label, LABELS, maps, num_folds=3)
    assert [sorted(speaker[-1] for speaker in speakers) for speakers in folds.held_out.values()] == [["F", "M"]] * 3
    assert folds.counts() == {fold: {"ang": 4, "neu": 4} for fold in (1, 2, 3)}
    assert folds.speaker_independent is True
    with pytest.raises(SertkError, match="6 speakers give 6 folds, not 7"):
        divide("speaker", utt2label, LABELS, maps, num_folds=7)


def test_given_splits_are_held_out_in_turn():
    """Splits that are numbers keep their order (2 before 10), and speakers that they share are said."""
    utt2label, utt2session, utt2spk = corpus()
    splits = {utt: {"Ses00": "10", "Ses01": "2", "Ses02": "3"}[session] for utt, session in utt2session.items()}
    folds = divide("given", utt2label, LABELS, {"split": splits, "speaker": utt2spk})
    assert folds.held_out == {1: ["2"], 2: ["3"], 3: ["10"]}
    assert folds.settings()["speaker_independent"] is True
    assert divide("given", utt2label, LABELS, {"split": splits}).speaker_independent is None
    shared = splits | {"Ses00F-ang0": "2"}
    assert divide("given", utt2label, LABELS, {"split": shared, "speaker": utt2spk}).speaker_independent is False
    with pytest.raises(SertkError, match="scheme given needs utt2split, which"):
        divide("given", utt2label, LABELS, {"speaker": utt2spk})
