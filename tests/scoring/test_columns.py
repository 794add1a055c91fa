"""Columns on a terminal."""

from sertk.scoring.columns import aligned, cells


def test_columns_stand_below_each_other_whatever_the_script():
    rows = [
        ["", "生气/angry", "cole\u0301re", "\N{GRINNING FACE}"],
        ["生气/angry", "10", "2", "3"],
        ["sad", "1", "22", "100"],
    ]
    lines = aligned(rows)
    assert len({cells(line) for line in lines}) == 1 and cells(lines[0]) == 10 + 2 + 10 + 2 + 6 + 2 + 3
    assert lines[2] == "sad" + " " * 7 + " " * 11 + "1" + " " * 6 + "22" + "  100"


def test_rows_may_be_shorter_than_the_first():
    assert aligned([["a", "bb", "c"], ["mean", "1"]]) == ["a     bb  c", "mean   1"]
