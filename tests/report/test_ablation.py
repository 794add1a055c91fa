"""Fig. 4 from the cells of an ablation."""

import json

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.report.ablation import ablation_figure, parts_table, read_cells

RESULTS = {
    "scheme": "stratified",
    "stamps": ["SPEAKER-DEPENDENT"],
    "unit": "utt2spk",
    "intervals": {"utt2spk": {"clusters": 10, "units": 10, "wa": [0.35, 0.55]}},
}


def put(folder, cell, accuracies, **results):
    folder.mkdir(parents=True)
    folds = {str(n): {"wa": wa} for n, wa in enumerate(accuracies, 1)}
    (folder / "results.json").write_text(json.dumps(RESULTS | {"folds": folds} | results))
    (folder / "cell.json").write_text(json.dumps(cell))


def cell(transfer, masks, pooling, seed=0):
    return {"experiment": "exp1", "transfer": transfer, "masks": masks, "pooling": pooling, "seed": seed}


def test_bars_are_means_and_deviations_over_folds_of_all_seeds(tmp_path):
    put(tmp_path / "a" / "0", cell(True, True, True), [0.6, 0.7])
    wider = {"utt2spk": {"clusters": 10, "units": 10, "wa": [0.25, 0.65]}}
    put(tmp_path / "a" / "1", cell(True, True, True, 1), [0.8, 0.9], intervals=wider)
    put(tmp_path / "b", cell(False, False, True), [0.4, 0.5])
    found = ablation_figure(read_cells(tmp_path, {"exp1": "Exp 1"}))
    assert found.stamps == ("SPEAKER-DEPENDENT",)
    deviation = f"{100 * np.std([0.6, 0.7, 0.8, 0.9], ddof=1):.2f}"
    assert found.table.rows == [
        ["Exp 1", "SP", "45.00", "7.07", "2", "35.0–55.0"],
        ["Exp 1", "TL + Aug + SP", "75.00", deviation, "4", "30.0–60.0"],
    ]
    assert found.table.columns[-1] == "95 % by 10 speakers" and "conservative" in found.notes[1]
    assert "of 2 seeds" in found.notes[0] and "SPEAKER-DEPENDENT" in found.svg


def test_what_a_part_adds_is_of_cells_that_differ_in_it_alone(tmp_path):
    for name, parts, wa in (
        ("a", (1, 1, 1), 0.8),
        ("b", (0, 1, 1), 0.7),
        ("c", (1, 0, 1), 0.75),
        ("d", (0, 0, 1), 0.73),
    ):
        put(tmp_path / name, cell(*map(bool, parts)), [wa - 0.01, wa + 0.01])
    table = parts_table(read_cells(tmp_path, {}))
    # Transfer: 80 - 70 and 75 - 73; masks: 80 - 75 and 70 - 73; pooling is in all of them.
    assert table.rows == [
        ["exp1", "transfer (TL)", "+6.00", "+2.00", "+10.00", "2"],
        ["exp1", "masks (Aug)", "+1.00", "-3.00", "+5.00", "2"],
    ]
    assert table.stamps == ("SPEAKER-DEPENDENT",)


def test_cells_of_different_or_unknown_schemes_are_refused(tmp_path):
    assert read_cells(tmp_path, {}) is None
    put(tmp_path / "a", cell(True, True, True), [0.6])
    put(tmp_path / "b", cell(False, True, True), [0.6], scheme="loso")
    with pytest.raises(SertkError, match="cells of one figure were scored with different schemes"):
        read_cells(tmp_path, {})
    (tmp_path / "b" / "cell.json").write_text('{"experiment": "exp1"}')
    with pytest.raises(SertkError, match="lacks 'transfer'"):
        read_cells(tmp_path, {})
