"""Building a report: what a folder must have."""

import pytest

from sertk.errors import SertkError
from sertk.report.build import Choices, build_report


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(SertkError, match=str(tmp_path)):
        build_report(tmp_path, Choices())


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(SertkError, match="nowhere"):
        build_report(tmp_path / "nowhere", Choices())
