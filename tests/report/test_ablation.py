"""Fig. 4 from the cells of an ablation."""

import json

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.report.ablation import ablation_figure

RESULTS = {"scheme": "stratified", "stamps": ["SPEAKER-DEPENDENT"]}


def put(folder, cell, accuracies, **results):
    folder.mkdir(parents=True)
    folds = {str(n): {"wa": wa} for n, wa in enumerate(accuracies, 1)}
    (folder / "results.json").write_text(json.dumps(RESULTS | {"folds": folds} | results))
    (folder / "cell.json").write_text(json.dumps(cell))


def cell(transfer, masks, pooling, seed=0):
    return {"experiment": "exp1", "transfer": transfer, "masks": masks, "pooling": pooling, "seed": seed}


def test_bars_are_means_and_deviations_over_the_folds_of_all_seeds(tmp_path):
    put(tmp_path / "a" / "0", cell(True, True, True), [0.6, 0.7])
    put(tmp_path / "a" / "1", cell(True, True, True, 1), [0.8, 0.9])
    put(tmp_path / "b", cell(False, False, True), [0.4, 0.5])
    found = ablation_figure(tmp_path, {"exp1": "Exp 1"})
    assert found.stamps == ("SPEAKER-DEPENDENT",)
    deviation = f"{100 * np.std([0.6, 0.7, 0.8, 0.9], ddof=1):.2f}"
    assert found.table.rows == [
        ["Exp 1", "SP", "45.00", "7.07", "2"],
        ["Exp 1", "TL + Aug + SP", "75.00", deviation, "4"],
    ]
    assert "of 2 seeds" in found.notes[0] and "SPEAKER-DEPENDENT" in found.svg


def test_cells_of_different_schemes_or_without_a_word_are_refused(tmp_path):
    assert ablation_figure(tmp_path, {}) is None
    put(tmp_path / "a", cell(True, True, True), [0.6])
    put(tmp_path / "b", cell(False, True, True), [0.6], scheme="loso")
    with pytest.raises(SertkError, match="one figure cannot hold different protocols"):
        ablation_figure(tmp_path, {})
    (tmp_path / "b" / "cell.json").write_text('{"experiment": "exp1"}')
    with pytest.raises(SertkError, match="lacks 'transfer'"):
        ablation_figure(tmp_path, {})
