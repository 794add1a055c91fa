"""Tables of results."""

import json

from sertk.report.tables import folds_table


def test_scripts_that_the_training_has_too_stand_beside_the_fold(experiments):
    experiment = experiments[0]
    scheme = experiment.systems[0].scheme
    scheme["scripts"] = {str(n): {"scripted": 8, "shared": n} for n in range(1, 6)}
    table = folds_table(experiment.systems[0], experiment)
    assert [row[-1] for row in table.rows] == ["1 of 8", "2 of 8", "3 of 8", "4 of 8", "5 of 8", ""]
    assert table.columns[-1] == "shared script" and "the words are not" in table.notes[0]
    del scheme["scripts"]
    assert "shared script" not in folds_table(experiment.systems[0], experiment).columns


def test_table_3_has_published_rows_and_those_of_results_json(page, stamped_folder):
    text = page[1]
    found = json.loads((stamped_folder / "exp" / "exp1" / "results.json").read_text())
    ours = next(line for line in text.splitlines() if "sertk: frozen trunk, new head (exp1)" in line).split("|")
    mean, deviation, pooled = found["mean"], found["deviation"], found["pooled"]
    low, high = (100 * end for end in found["intervals"]["utt2spk"]["wa"])
    wanted = [100 * mean["ua"], 100 * deviation["ua"], 100 * mean["wa"], 100 * deviation["wa"]]
    assert [cell.strip(" *") for cell in ours[2:6]] == [f"{value:.2f}" for value in wanted]
    assert ours[7].strip(" *") == f"{100 * pooled['wa']:.1f} ({low:.1f}–{high:.1f})"
    assert "| BLSTM + attention \\[18\\] | 49.96 | – | 59.33 |" in text
    assert "| Padi et al. 2021: the system rebuilt here | 64.14 | – | 63.61 |" in text
    assert "| emotion2vec | – | – | 71.79 |" in text
    assert "say nothing about people" in text
