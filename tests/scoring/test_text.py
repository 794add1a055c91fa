"""Results as text."""

import re

import numpy as np
import pytest

from sertk.scoring.results import evaluate
from sertk.scoring.text import as_text, p_value


def example(num=60, folds=3, classes=3):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, num)
    posteriors = rng.dirichlet(np.ones(classes), num)
    posteriors[np.arange(num), truth] += 0.5
    return truth, posteriors / posteriors.sum(axis=1, keepdims=True), np.arange(num) % folds + 1, ["ang", "neu", "sad"]


def test_the_interval_of_the_headline_names_its_unit_and_number():
    truth, posteriors, fold, labels = example()
    few = {"utt2spk": [str(n % 2) for n in range(60)]}
    head = as_text(evaluate(truth, posteriors, fold, labels, few)).splitlines()[0]
    assert re.search(
        r"95 % of the pooled UA [\d.]+-[\d.]+ WA [\d.]+-[\d.]+ by 2 speakers \(rough: fewer than 5 units\) \]", head
    )
    nested = {"utt2spk": [str(n % 6) for n in range(60)]}  # two speakers in each of three folds
    found = evaluate(truth, posteriors, fold, labels, nested)
    assert found["unit"] == "utt2spk" and "by 6 speakers in 3 folds (rough" in as_text(found).splitlines()[0]
    assert "* fewer than 5 units" in as_text(found)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0496, "0.0496"), (0.04999, "< 0.05"), (0.05, "0.0500"), (0.05001, "> 0.05"), (0.03, "0.0300"), (0.125, "0.125"),
     (0.9996, "1.00"), (1.0, "1.000"), (0.00123, "0.00123"), (0.0009, "< 0.001")],
)  # fmt: skip
def test_p_has_three_digits_and_stays_on_its_side(value, text):
    assert p_value(value) == text
