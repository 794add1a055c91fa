"""Tables of results."""

import json
from dataclasses import replace

from sertk.report.figures import confusion_figure
from sertk.report.tables import counts_table, folds_table, results_table


def test_a_corpus_without_published_figures_is_not_numbered(experiments):
    """Tables and figures have the paper's numbers beside its figures only; nothing is compared with nothing."""
    paper = experiments[0]
    other = replace(paper, known=None)
    assert counts_table([paper], ()).title.startswith("Table 2. ") and len(counts_table([paper], ()).columns) == 5
    table = counts_table([other], ())
    assert table.title == "Segments of each emotion" and table.columns == ["experiment", "emotion", "segments"]
    assert table.rows[0] == ["exp1", "ang", "20"] and table.notes == ()
    figure = confusion_figure([other], "f", ())
    assert figure.title == "Confusion matrices" and "Shown: exp1, frozen trunk, new head (exp1)." in figure.notes
    assert results_table(other, "t").rows[0][0] == "frozen trunk, new head (exp1)"


def test_beside_published_rows_it_is_plain_whose_a_system_is(experiments):
    first, second = experiments[0].systems
    scored = [
        replace(run, settings={name: {"imported": {"tables": []}} for name in run.settings}) for run in second.runs
    ]
    beside = replace(experiments[0], systems=[first, replace(second, what="", runs=scored)])
    names = [row[0] for row in results_table(beside, "t").rows]
    assert "sertk: frozen trunk, new head (exp1)" in names and "imported: exp1_scratch" in names


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
