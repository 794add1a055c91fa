"""Temperatures of results.json."""

import json

import pytest

from sertk.errors import SertkError
from sertk.scoring.fitted import fitted_temperature


def test_temperature_of_a_fold_else_the_geometric_mean(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"calibration": {"temperatures": {"1": 0.5, "2": 8.0, "3": 2.0}}}))
    assert fitted_temperature(path, "2") == 8
    assert fitted_temperature(path) == fitted_temperature(path, "9") == pytest.approx(2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"calibration": {"temperatures": {}}}', '{"calibration": null}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(SertkError, match=r"r\.json: not a results\.json of score-loso with temperatures"):
        fitted_temperature(tmp_path / "r.json", "1")
