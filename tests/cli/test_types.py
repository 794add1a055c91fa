"""Types of arguments and options."""

import click
import pytest

from sertk.cli.types import BOOL, FILE, NUMBERS, PAIRS, PRIORS, RSPECIFIER, WEIGHTS


@pytest.mark.parametrize(("word", "value"), [("true", True), ("T", True), ("1", True), ("f", False), ("False", False)])
def test_truth_values_are_kaldis(word, value):
    assert BOOL.convert(word, None, None) is value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (BOOL, "yes"),
        (NUMBERS, "3,x"),
        (NUMBERS, "0"),
        (NUMBERS, ""),
        (FILE, ""),
        (RSPECIFIER, "x"),
        (PRIORS, "1"),
        (PRIORS, "0.1,0.1"),
        (WEIGHTS, "-1"),
        (WEIGHTS, "inf"),
        (WEIGHTS, "1,x"),
        (PAIRS, "a"),
        (PAIRS, "a=1,a=2"),
    ],
)
def test_other_words_are_misuse(kind, word):
    with pytest.raises(click.BadParameter):
        kind.convert(word, None, None)


def test_numbers_are_separated_by_commas():
    assert NUMBERS.convert("3,4,6,3", None, None) == (3, 4, 6, 3)


def test_weights_and_pairs_are_separated_by_commas():
    assert WEIGHTS.convert("2,0,0.5", None, None) == (2, 0, 0.5)
    assert PAIRS.convert("emotion=label, speaker=a=b", None, None) == {"emotion": "label", "speaker": "a=b"}
