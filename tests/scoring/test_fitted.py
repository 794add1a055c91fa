"""Temperatures of results.json."""

import json
import math

import pytest

from sertk.errors import SertkError
from sertk.scoring.fitted import fitted_temperature


def test_temperature_of_a_fold_else_the_geometric_mean(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"calibration": {"temperatures": {"1": 0.5, "2": 8.0, "3": 2.0}}}))
    assert fitted_temperature(path, "2") == 8
    assert fitted_temperature(path) == fitted_temperature(path, "9") == pytest.approx(2)


@pytest.mark.parametrize(
    "calibration",
    [
        None,
        {"temperatures": {}},
        *({"temperatures": {"1": x, "2": 1}} for x in (0, -1, math.nan, math.inf, "x", None, [1])),
    ],
)
def test_other_files_are_refused(tmp_path, calibration):
    (tmp_path / "r.json").write_text(json.dumps({"calibration": calibration}))
    for fold in ("1", "3"):
        with pytest.raises(SertkError, match=r"r\.json: not a results\.json of score-loso with temperatures"):
            fitted_temperature(tmp_path / "r.json", fold)


def test_temperatures_of_other_labels_are_refused(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"labels": ["ang", "sad"], "calibration": {"temperatures": {"1": 2, "2": 2}}}))
    assert fitted_temperature(path, "1", ["ang", "sad"]) == 2
    with pytest.raises(SertkError, match="the scores of ang sad; the model has ang neu"):
        fitted_temperature(path, "1", ["ang", "neu"])
