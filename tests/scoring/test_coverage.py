"""Coverage, false positives and power by the simulations of benchmarks/coverage.py (docs/reliability.md)."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from support import ROOT

spec = importlib.util.spec_from_file_location("coverage_benchmark", ROOT / "benchmarks" / "coverage.py")
coverage = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = coverage
spec.loader.exec_module(coverage)


def test_a_simulated_population_is_what_the_accuracies_tend_to():
    """The truth that is covered is the mean over many data sets."""
    design = replace(coverage.DESIGNS[3], luck=0.25)
    wanted = coverage.population(design, own=coverage.OWN)
    drawn = [[np.mean(a == layout.truth), np.mean([(a[0] == layout.truth)[layout.truth == k].mean() for k in range(4)])]
             for layout, (a, _) in coverage.systems(design, 300, seed=3)]  # fmt: skip
    error = np.std(drawn, axis=0) / np.sqrt(300)
    assert (np.abs(np.mean(drawn, axis=0) - wanted) < 4 * error).all()


# Two runs cannot show effects of whole runs that exceed those of many speakers (docs/reliability.md).
COVERED = [d for d in coverage.SINGLE if d.accuracy == 0.65] + [
    d for d in coverage.SEVERAL if (d.speakers, d.run, d.runs) != (24, 0.25, 2)
]


@pytest.mark.slow
@pytest.mark.parametrize("design", COVERED, ids=coverage.title)
def test_intervals_hold_the_population_as_often_as_they_say(design):
    """Within 2 points of 95 %, and what 600 data sets leave open: two standard deviations, 1.8 points."""
    found = coverage.coverage(design, sets=600)
    assert (np.abs(found["sertk"] - 95) <= 2 + 1.8).all(), found


@pytest.mark.slow
@pytest.mark.parametrize("luck", [0.0, 0.25])
@pytest.mark.parametrize("design", coverage.DESIGNS[3:], ids=lambda design: design.name)
def test_equal_systems_differ_one_time_in_twenty_at_most(design, luck):
    """6 % at most, and two standard deviations of 600 data sets; McNemar's test is fooled by speakers."""
    found = coverage.positives(replace(design, luck=luck), sets=600)
    assert found["sertk"] <= 6 + 1.8 and found["McNemar"] > 10, found


@pytest.mark.slow
def test_what_could_be_shown_is_shown_in_four_of_five_cases():
    """Three quarters to 85 %: the error that it is made of is estimated too."""
    design = coverage.DESIGNS[7]
    could = coverage.positives(design, sets=200)["could"]
    shown = coverage.positives(design, sets=200, seed=1, shift=coverage.shift_for(design, could / 100))["sertk"]
    assert 72 <= shown <= 88
