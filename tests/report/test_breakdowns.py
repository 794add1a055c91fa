"""Breakdowns: segments counted once, systems side by side, raters."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sertk.report.breakdowns import breakdown_tables, breakdowns, gaps_table, raters_table
from sertk.report.data import Data


def test_breakdowns_count_every_segment_once(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        found = breakdowns(experiment.systems[0], experiment, data)
    assert list(found) == ["gender", "dialogs", "raters who agree", "frames", "speaker"]
    assert all(sum(part["segments"] for part in parts.values()) == 80 for parts in found.values())
    assert list(found["dialogs"]) == ["improvised", "scripted"]
    right = experiment.systems[0].scored.guess == experiment.test.truth
    women = np.array([key[5] == "F" for key in experiment.test.keys])  # Ses01F-…
    assert found["gender"]["female"]["wa"] == pytest.approx(right[women].mean())


def test_systems_stand_side_by_side_in_one_breakdown(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        table, *folded = breakdown_tables(experiment, data)
    assert table.columns[3:] == ["frozen trunk, new head: UA [%] (95 %)", "frozen trunk, new head: WA [%] (95 %)",
                                 "without transfer: UA [%] (95 %)", "without transfer: WA [%] (95 %)"]  # fmt: skip
    # Two systems trained alike are told apart by their names.
    alike = replace(experiment, systems=[replace(system, what="fine-tuned") for system in experiment.systems])
    with Data(root / "data") as data:
        assert breakdown_tables(alike, data)[0].columns[3::2] == ["exp1: UA [%] (95 %)", "exp1_scratch: UA [%] (95 %)"]
    row = next(row for row in table.rows if row[1] == "female")
    women = np.array([key[5] == "F" for key in experiment.test.keys])
    for cell, system in zip(row[4::2], experiment.systems, strict=True):
        right = (system.scored.guess == experiment.test.truth)[women].mean()
        assert re.fullmatch(rf"{100 * right:.2f} \(\d+\.\d–\d+\.\d\)", cell)
    # One speaker has no interval.
    assert next(row for row in table.rows if row[1] == "Ses01F")[4].count("(") == 0
    assert [part.folded for part in folded] == [True, True]


def test_gaps_between_women_and_men_are_tested(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        table = gaps_table(experiment, data)
    assert [row[1:3] for row in table.rows[:1]] == [["gender", "UA"]] and len(table.rows) == 2 * len(experiment.systems)
    with Data(root / "data") as data:
        parts = breakdowns(experiment.systems[0], experiment, data)["gender"]
    gap = abs(parts["female"]["ua"] - parts["male"]["ua"])
    assert table.rows[0][5] == f"{100 * gap:.2f}" and "(5 speakers)" in table.rows[0][3]
    assert "speakers by gender: female 5, male 5" in table.notes


def test_the_raters_who_agree_are_a_row_for_each_system(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        rows = raters_table(experiment, data).rows
    # Every other segment of the made folder has two votes for anger, the others one for anger, one for sadness.
    assert [(row[1], row[4]) for row in rows] == [("40", "40"), ("40", "40")]
    posteriors = experiment.systems[0].scored.posteriors
    ang, sad = (np.log(posteriors[:, experiment.test.labels.index(label)]) for label in ("ang", "sad"))
    both = np.array([int(key[-3:]) % 2 == 0 for key in experiment.test.keys])
    assert rows[0][7] == f"{-np.where(both, (ang + sad) / 2, ang).mean():.3f}"
    assert rows[0][8] == f"{both.mean() * np.log(2):.3f}"
