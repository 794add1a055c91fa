"""Tables of results."""

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
