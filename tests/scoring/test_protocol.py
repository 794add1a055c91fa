"""The leak guard, told and untold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.errors import SertkError
from sertk.scoring.protocol import Guard, fold_members

names = st.sets(st.text("abc", min_size=1, max_size=2), max_size=6)


@given(names, names)
def test_a_leak_is_an_overlap_and_nothing_else(trained, tested):
    guard = Guard(i_know=True)
    guard.check("x", {"trained_on": {"keys": sorted(trained)}}, {"keys": tested})
    assert bool(guard.leaks) == bool(trained & tested) == ("LEAKY" in guard.stamps)


def test_the_message_names_the_first_and_counts_the_rest():
    with pytest.raises(SertkError, match=r"x: test speaker s1 and 2 more in its training \(--i-know true"):
        Guard().check("x", {"trained_on": {"speakers": ["s3", "s2", "s1"]}}, {"speakers": ["s1", "s2", "s3", "s4"]})


@pytest.mark.parametrize("settings", [None, {}, {"labels": ["a"]}, {"trained_on": {"fold": 1}}])
def test_what_does_not_say_its_training_is_noted_once(settings):
    guard = Guard()
    for _ in range(2):
        guard.check("x", settings, {"keys": ["u1"]})
    assert guard.unknown == ["x"] and not guard.stamps


def test_every_network_of_a_chain_is_looked_at():
    chain = {"keys": ["u1"], "trunk": {"keys": ["u2"], "init": {"keys": ["u3"]}}}
    for key in ("u1", "u2", "u3"):
        with pytest.raises(SertkError, match=key):
            Guard().check("x", {"trained_on": chain}, {"keys": [key]})


def test_what_a_scheme_holds_out_is_what_is_compared():
    scheme = {"scheme": "loso", "speaker_independent": True, "speakers": {"1": ["s1"]}, "sessions": {"1": ["S1"]}}
    assert fold_members(scheme, 1, ["u1"]) == {"keys": ["u1"], "speakers": ["s1"], "sessions": ["S1"]}
    assert fold_members(scheme | {"scheme": "speaker"}, 1, ["u1"]) == {"keys": ["u1"], "speakers": ["s1"]}
    assert fold_members(scheme | {"scheme": "stratified", "speaker_independent": False}, 1, ["u1"]) == {"keys": ["u1"]}
    assert fold_members({}, 1, ["u1"]) == {"keys": ["u1"]}


def test_stamps_come_once_each():
    guard = Guard()
    guard.stamp("PARTIAL", "PARTIAL")
    guard.stamp("SIMULATED", "PARTIAL")
    assert guard.stamps == ["PARTIAL", "SIMULATED"]
