import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sertk.data.keyed_random import Draws, permutation


def test_the_stream_is_splitmix64():
    # Reference values of splitmix64 for the seed 1234567 (Vigna's splitmix64.c, as listed by Rosetta Code).
    draws = Draws()
    draws._state = 1234567
    assert [draws._next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_are_a_function_of_their_parts():
    def first(*parts):
        return Draws(*parts).integer(0, 1 << 60)

    assert first(0, "a", 1) == first(0, "a", 1)
    different = [
        first(0, "a", 1),
        first(1, "a", 1),
        first(0, "b", 1),
        first(0, "a", 2),
        first(0, "a1"),
        first(0, "a", "1"),
    ]
    assert len(set(different)) == len(different)


@given(st.integers(-50, 50), st.integers(0, 7))
def test_integers_include_both_bounds(low, width):
    draws = Draws(0, low)
    seen = {draws.integer(low, low + width) for _ in range(400)}
    assert seen == set(range(low, low + width + 1))


def test_integers_are_uniform():
    draws = Draws(1)
    counts = np.bincount([draws.integer(0, 9) for _ in range(20000)])
    assert abs(counts - 2000).max() < 200  # 4.7 standard deviations


@given(st.integers(0, 300), st.integers(0, 5))
def test_a_permutation_holds_every_number_once(count, seed):
    assert sorted(permutation(count, seed, "order")) == list(range(count))


def test_permutations_differ_from_epoch_to_epoch():
    assert (permutation(100, 0, 1) != permutation(100, 0, 2)).any()
    assert (permutation(100, 0, 1) == permutation(100, 0, 1)).all()
