"""The leak guard, told and untold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.errors import SertkError
from sertk.scoring.protocol import Guard, held_apart

names = st.sets(st.text("abc", min_size=1, max_size=2), max_size=6)


@given(names, names)
def test_a_leak_is_an_overlap_and_nothing_else(trained, tested):
    guard = Guard(i_know=True)
    guard.check("x", {"trained_on": {"keys": sorted(trained)}}, tested)
    assert bool(guard.leaks) == bool(trained & tested) == ("LEAKY" in guard.stamps)


def test_the_message_names_the_first_and_counts_the_rest():
    with pytest.raises(SertkError, match=r"x: test speaker s1 and 2 more in its training \(--i-know true"):
        said = {"trained_on": {"speakers": ["s3", "s2", "s1"]}}
        Guard().check("x", said, ["u1", "u2", "u3"], {"speaker": {"u1": "s1", "u2": "s2", "u3": "s3"}})


@pytest.mark.parametrize("settings", [None, {}, {"labels": ["a"]}, {"trained_on": {"fold": 1}}])
def test_what_does_not_say_its_training_is_noted_once(settings):
    guard = Guard()
    for _ in range(2):
        guard.check("x", settings, ["u1"])
    assert guard.unknown == ["x"] and not guard.stamps


def test_every_network_of_a_chain_is_looked_at():
    chain = {"keys": ["u1"], "trunk": {"keys": ["u2"], "init": {"keys": ["u3"]}}}
    for key in ("u1", "u2", "u3"):
        with pytest.raises(SertkError, match=key):
            Guard().check("x", {"trained_on": chain}, [key])


def test_a_schemes_promise_is_what_is_held_apart():
    assert held_apart({"scheme": "loso"}) == ("speaker", "session")
    assert held_apart({"scheme": "speaker"}) == ("speaker",)
    assert held_apart({"scheme": "stratified"}) == held_apart({}) == ()


def test_speakers_of_training_keys_are_looked_up_and_another_corpuss_are_not():
    utt2spk = {"u1": "s1", "u2": "s1", "u3": "s2"}
    with pytest.raises(SertkError, match="x: test speaker s1 in its training"):
        Guard().check("x", {"trained_on": {"keys": ["u2"]}}, ["u1"], {"speaker": utt2spk})
    Guard().check(
        "x", {"trained_on": {"keys": ["u3", "s1-1"], "trunk": {"speakers": ["s1"]}}}, ["u1"], {"speaker": utt2spk}
    )
    Guard().check("x", {"trained_on": {"keys": ["u2"]}}, ["u1"])


def test_segments_that_chose_the_epoch_count_as_seen():
    said = {"keys": ["u1"], "select": "dev-session", "chosen_on": {"fold": "3", "keys": ["u2"]}}
    for record in (said, {"keys": ["u9"], "trunk": said}):
        with pytest.raises(SertkError, match="test segment u2 in its training"):
            Guard().check("x", {"trained_on": record}, ["u2", "u3"])
    with pytest.raises(SertkError, match="test speaker s1 in its training"):
        Guard().check("x", {"trained_on": said}, ["u3"], {"speaker": {"u2": "s1", "u3": "s1"}})
    guard = Guard()
    guard.check("x", {"trained_on": said}, ["u3"])
    assert guard.stamps == []


def test_what_the_test_itself_chose_is_stamped_through_a_chain_and_its_training_still_refused():
    oracle = {"keys": ["u1"], "select": "oracle", "chosen_on": {"fold": "2", "keys": ["u2"]}}
    for record in (oracle, {"keys": ["u9"], "init": oracle}):
        guard = Guard()
        guard.check("x", {"trained_on": record}, ["u2"])
        assert guard.stamps == ["LEAKY"] and not guard.leaks
        with pytest.raises(SertkError, match="test segment u1"):
            guard.check("x", {"trained_on": record}, ["u1"])


def test_stamps_come_once_each():
    guard = Guard()
    guard.stamp("PARTIAL", "PARTIAL")
    guard.stamp("SIMULATED", "PARTIAL")
    assert guard.stamps == ["PARTIAL", "SIMULATED"]
