"""The leak guard's three states, and what they are founded on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.errors import SertkError
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import CLEAN, LEAKING, UNCHECKED, Guard, guard_reasons

names = st.sets(st.text("abc", min_size=1, max_size=2), max_size=6)


UTT2SPK = {"u1": "s1", "u2": "s1", "u3": "s2", "u4": "s3"}


NOT_LISTED = "had training speakers outside the test set's lists (anna): another corpus, or renamed"


APART = Corpus(UTT2SPK, {"speaker": UTT2SPK}, ("speaker",))


def state(record, keys=("u1",), corpus=APART) -> tuple[str, list[str]]:
    """The state of scores of a network with this record, and why."""
    guard = Guard(i_know=True)
    guard.check("x", {"trained_on": record}, keys, corpus)
    return guard.state, [line.split(": ", 1)[1] for line in (guard.leaks or guard.unchecked)]


@given(names, names)
def test_a_leak_is_an_overlap_and_nothing_else(trained, tested):
    guard = Guard(i_know=True)
    guard.check("x", {"trained_on": {"keys": sorted(trained)}}, tested, Corpus(tested))
    assert bool(guard.leaks) == bool(trained & tested) == ("LEAKY" in guard.stamps) == (guard.state == LEAKING)
    assert bool(guard.doubts) == bool(trained - tested)


def test_the_message_names_the_first_and_counts_the_rest():
    utt2spk = {"u1": "s1", "u2": "s2", "u3": "s3"}
    with pytest.raises(SertkError, match=r"x: test speaker s1 and 2 more in its training \(--i-know true"):
        said = {"trained_on": {"speakers": ["s3", "s2", "s1"]}}
        Guard().check("x", said, list(utt2spk), Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",)))


@pytest.mark.parametrize("settings", [None, {}, {"labels": ["a"]}, {"trained_on": {"fold": 1, "segments": 9}},
                                      {"trained_on": {"labels": {"ang": 5}}}, {"trained_on": ["u2"]},
                                      {"trained_on": {"keys": None, "speakers": None}, "frontend": None}])  # fmt: skip
def test_what_does_not_say_its_training_is_unchecked_once(settings):
    guard = Guard()
    for _ in range(2):
        guard.check("x", settings, ["u1"], APART)
    assert guard.state == UNCHECKED and len(guard.unchecked) == 1 and not guard.stamps


@pytest.mark.parametrize("trunk", [None, {}, {"segments": 5}, {"keys": ["elsewhere"]},
                                   {"keys": ["elsewhere"], "labels": {"s9": 1}}])  # fmt: skip
def test_a_trunk_that_cannot_be_matched_leaves_it_unchecked(trunk):
    for name in ("trunk", "init"):
        found, why = state({"keys": ["u3"], name: trunk})
        assert found == UNCHECKED and "the network it was initialised from" in why[0]
    assert state({"keys": ["u3"]})[0] == CLEAN


def test_segments_of_another_corpus_are_checked_by_speakers():
    assert state({"keys": ["elsewhere"]})[0] == UNCHECKED
    # Another corpus, or the test's own segments and speakers under other names.
    for record in ({"keys": ["elsewhere"], "speakers": ["anna"]}, {"speakers": ["anna", "s2"]}):
        own, trunk = state(record), state({"keys": ["u3"], "trunk": {"keys": ["u3"], "init": record}})
        assert own == (UNCHECKED, [f"its model {NOT_LISTED}"])
        assert trunk == (UNCHECKED, [f"the network it was initialised from {NOT_LISTED}"])
    # All of them are in the test's lists.
    assert state({"keys": ["elsewhere"], "speakers": ["s2"]})[0] == CLEAN
    assert state({"keys": ["u3"], "init": {"speakers": ["s2", "sp0.9-s3"]}})[0] == CLEAN
    # The test's speakers are not known, so that anna may be one.
    assert state({"keys": ["elsewhere"], "speakers": ["anna"]}, corpus=Corpus(UTT2SPK))[0] == UNCHECKED
    assert state({"keys": ["u3"], "incomplete": True})[0] == UNCHECKED


def test_voxcelebs_names_tell_its_speakers_apart_and_no_others():
    utt2spk = {"u1": "id10270", "u2": "id10271"}
    corpus = Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",))
    assert state({"keys": ["e"], "speakers": ["id00012"]}, list(utt2spk), corpus)[0] == CLEAN
    assert state({"keys": ["e"], "speakers": ["id00012", "anna"]}, list(utt2spk), corpus)[0] == UNCHECKED
    assert state({"keys": ["u3"], "trunk": {"speakers": ["id00012"]}})[0] == UNCHECKED


def test_the_headline_says_where_leaks_are_unchecked():
    guard, trunk = Guard(), {"keys": ["e"], "speakers": ["anna"]}
    guard.check("x", {"trained_on": {"keys": ["u3"]}}, ["u1"], APART)
    assert guard.caveat == ""
    guard.check("x", {"trained_on": {"keys": ["u3"], "trunk": trunk}}, ["u1"], APART)
    assert guard.caveat == "leaks unchecked outside the test's corpus"
    guard.check("y", None, ["u1"], APART)
    assert guard.caveat == "leaks unchecked"
    leaking = Guard(i_know=True)
    leaking.check("x", {"trained_on": {"keys": ["u1"], "trunk": trunk}}, ["u1"], APART)
    assert leaking.caveat == "" and leaking.state == LEAKING


@pytest.mark.parametrize(
    ("speakers", "found"),
    [
        (["id10270"], LEAKING),
        (["Ses01F", "Ses01M"], LEAKING),
        (["Ses01F"], UNCHECKED),
        (["03", "04"], UNCHECKED),
        (["spk1", "F03"], UNCHECKED),
        (["x-Ses01F"], UNCHECKED),
    ],
)
def test_a_common_speaker_name_is_one_person_only_if_unique(speakers, found):
    utt2spk = {f"u{n}": name.removeprefix("x-") for n, name in enumerate(speakers)} | {"v": "other"}
    corpus = Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",))
    for trunk in ({"keys": ["e"], "speakers": speakers}, {"speakers": speakers}):
        assert state({"keys": ["v"], "trunk": trunk}, list(utt2spk)[:-1], corpus)[0] == found
    # Of the network itself, trained on more segments than a record lists: it is of this corpus.
    if not speakers[0].startswith("x-"):
        assert state({"speakers": speakers}, list(utt2spk)[:-1], corpus)[0] == LEAKING


def test_some_equal_speaker_numbers_of_two_corpora_are_chance():
    utt2spk = {f"u{n:02}": f"{n:02}" for n in range(1, 25)}
    corpus = Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",))
    trunk = {"keys": ["103-1240-0001"], "speakers": ["19", "26", "103", "118"]}
    found, why = state({"keys": ["u01"], "trunk": trunk}, ["u19"], corpus)
    assert found == UNCHECKED and "outside the test set's lists (103 and 2 more)" in why[0]
    # The same corpus under other names of its segments has them all.
    trunk["speakers"] = sorted(utt2spk.values())
    assert state({"keys": ["u01"], "trunk": trunk}, ["u19"], corpus)[0] == UNCHECKED


@pytest.mark.parametrize("form", ["sp0.9-{}", "sp1.1-{}", "rvb1-{}", "rvb2_{}", "{}-noise", "{}-music", "{}-babble",
                                  "{}-reverb", "{}-aug", "{}_sp0.9", "sp0.9-{}-noise", "x-{}", "{}-copy"])  # fmt: skip
def test_a_copy_is_its_recording_on_either_side(form):
    utt2spk = {"Ses01F-a": "Ses01F", "Ses01F-b": "Ses01F", "Ses02F-c": "Ses02F"}
    corpus, copy = Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",)), form.format("Ses01F-a")
    found, why = state({"keys": ["Ses02F-c", copy]}, ["Ses01F-a"], corpus)
    assert found == LEAKING and why[0] == f"test segment Ses01F-a in its training, as {copy}"
    # Another recording of the person.
    found, why = state({"keys": [copy]}, ["Ses01F-b"], corpus)
    assert found == LEAKING and why == ["test speaker Ses01F in its training"]
    assert state({"keys": [copy]}, ["Ses02F-c"], corpus)[0] == CLEAN
    # The test has the copies.
    copies = {form.format(key): "sp0.9-Ses01F" for key in utt2spk}
    assert state({"keys": ["Ses01F-a"]}, [copy], Corpus(copies, {"speaker": copies}, ("speaker",)))[0] == LEAKING


def test_labels_are_speakers_only_where_trials_are_scored():
    record = {"keys": ["u3"], "labels": {"s1": 4}}
    assert state(record)[0] == CLEAN
    record = {"keys": ["v9"], "labels": {"Ses01F": 4}}
    utt2spk = {"u1": "Ses01F"}
    trials = Corpus(utt2spk, {"speaker": utt2spk}, ("speaker",), trials=True)
    assert state(record, corpus=trials)[0] == LEAKING
    assert state(record | {"target": "label"}, corpus=trials)[0] == UNCHECKED


def test_without_utt2spk_speakers_stay_unchecked():
    found, why = state({"keys": ["u3"]}, corpus=Corpus(UTT2SPK, {}, ("speaker",)))
    assert (found, why) == (UNCHECKED, ["the speaker of 1 test segments is not known (u1)"])


def test_speakers_of_training_keys_come_from_the_folds_map():
    with pytest.raises(SertkError, match="x: test speaker s1 in its training"):
        Guard().check("x", {"trained_on": {"keys": ["u2"]}}, ["u1"], APART)
    assert state({"keys": ["u2"]}, corpus=Corpus(UTT2SPK, {"speaker": UTT2SPK}))[0] == CLEAN


def test_segments_that_chose_the_epoch_count_as_seen():
    said = {"keys": ["u3"], "select": "dev-session", "chosen_on": {"fold": "3", "keys": ["u2"]}}
    for record in (said, {"keys": ["u4"], "trunk": said}):
        with pytest.raises(SertkError, match="test segment u2 in its training"):
            Guard().check("x", {"trained_on": record}, ["u2"], Corpus(UTT2SPK))
    assert state(said) == (LEAKING, ["test speaker s1 in its training"])
    assert state(said, ["u4"])[0] == CLEAN
    strange = said | {"speakers": ["anna"], "chosen_on": {"keys": ["elsewhere"]}}
    assert state(strange, ["u4"])[0] == UNCHECKED
    strange["chosen_on"]["speakers"] = ["s3"]
    assert state(strange, ["u4"])[0] == UNCHECKED


def test_selection_on_the_test_is_stamped_through_a_chain():
    oracle = {"keys": ["u3"], "select": "oracle", "chosen_on": {"fold": "2", "keys": ["u2"]}}
    for record in (oracle, {"keys": ["u4"], "init": oracle}):
        guard = Guard()
        guard.check("x", {"trained_on": record}, ["u2"], APART)
        assert guard.stamps == ["LEAKY"] and not guard.leaks and guard.state == LEAKING
        with pytest.raises(SertkError, match="test segment u3"):
            guard.check("x", {"trained_on": record}, ["u3"], APART)
    found = {"guard": LEAKING, "leaks": [], "unchecked": []}
    assert guard_reasons(found)[0].startswith("leaking: an epoch was selected on the test set")


def test_one_line_is_said_of_one_reason_in_many_files():
    guard = Guard()
    for name in ("1/scores.ark", "2/scores.ark", "2/scores.ark"):
        guard.check(name, None, ["u1"], APART)
    assert guard.unchecked == ["1/scores.ark and 1 more: no manifest records what this was trained on"]


def test_stamps_come_once_each():
    guard = Guard()
    guard.stamp("PARTIAL", "PARTIAL")
    guard.stamp("SIMULATED", "PARTIAL")
    assert guard.stamps == ["PARTIAL", "SIMULATED"]
