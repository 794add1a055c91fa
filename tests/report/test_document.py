"""Parts of a report: per cents, intervals, stamps."""

import pytest

from sertk.report.document import interval, percent, stamped


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(0.61614, 2, "61.61"), (0.5, 0, "50"), (1.0, 1, "100.0"), (None, 2, "–")]
)
def test_fractions_are_shown_in_per_cent(value, digits, text):
    assert percent(value, digits) == text


def test_an_interval_without_an_end_is_a_dash():
    assert interval((0.5, 0.625)) == "50.0–62.5"
    assert interval((None, 0.625)) == interval((0.5, None)) == "–"


def test_stamps_follow_the_title():
    assert stamped("Table 3", ["PARTIAL", "LEAKY"]) == "Table 3 [PARTIAL] [LEAKY]"
    assert stamped("Table 3", []) == "Table 3"
