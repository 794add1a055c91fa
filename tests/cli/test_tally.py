"""Counts of processed and skipped items."""

import pytest

from sertk.cli.tally import Tally, progress
from sertk.errors import SertkError


def test_too_many_skipped_is_an_error():
    with (
        pytest.raises(SertkError, match=r"in.scp: 2 of 3 skipped, more than --max-skip=0.5 allows"),
        Tally("in.scp", 0.5) as tally,
    ):
        tally.done()
        tally.skip("a", "too short")
        tally.skip("b", "silent")


def test_nothing_processed_is_an_error():
    with pytest.raises(SertkError, match=r"nothing was processed .*a: too short"), Tally("in.scp", 1) as tally:
        tally.skip("a", "too short")


def test_progress_without_a_terminal_is_the_items_themselves():
    items = [1, 2]
    assert progress(items) is items
