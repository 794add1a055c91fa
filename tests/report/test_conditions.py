"""Sections on protocol and perturbed audio, of the files that egs/benchmark/local/differences.py writes."""

import json

import pytest
from report_folder import make

from sertk.errors import SertkError
from sertk.report.build import Choices, build_report
from sertk.report.conditions import conditions_sections


def condition(name, ua, difference=None, stamps=()):
    row = {"name": name, "ua": ua, "wa": ua - 0.1, "stamps": list(stamps), "differences": {}}
    row["intervals"] = {"ua": [ua - 0.05, ua + 0.05], "wa": [None, None]}
    if difference is not None:
        found = {"value": difference, "interval": [difference - 0.02, difference + 0.02], "p": 0.01, "holm": 0.04}
        row["differences"] = {"ua": found, "wa": found}
    return row


def put(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"title": "toy", "units": "24 speakers in 6 folds", "conditions": rows}))


def test_each_condition_is_a_row_with_its_difference(tmp_path):
    put(tmp_path / "inflation/svm.json", condition("speakers apart", 0.5),
        condition("speakers shared", 0.6, 0.1, ["SPEAKER-DEPENDENT"]))  # fmt: skip
    put(tmp_path / "inflation/net.json", condition("speakers apart", 0.4),
        condition("apart, epoch selected on the test", 0.45, 0.05, ["LEAKY"]))  # fmt: skip
    protocol, perturbed = conditions_sections(tmp_path)
    assert protocol.title == "Effect of the protocol" and perturbed.items == []
    drawn, table = protocol.items
    assert drawn.stamps == table.stamps == ("LEAKY", "SPEAKER-DEPENDENT") and "LEAKY" in drawn.svg
    assert "svm, speakers shared +10.0 (+8.0 to +12.0)" in drawn.alt and "24 speakers in 6 folds" in table.notes[1]
    none = ["–", "–"]
    assert table.rows == [
        ["net", "speakers apart", "40.0 (35.0–45.0)", *none, "30.0 (–)", *none],
        ["net", "apart, epoch selected on the test LEAKY", "45.0 (40.0–50.0)", "+5.0 (+3.0 to +7.0)", "0.0400",
         "35.0 (–)", "+5.0 (+3.0 to +7.0)", "0.0400"],
        ["svm", "speakers apart", "50.0 (45.0–55.0)", *none, "40.0 (–)", *none],
        ["svm", "speakers shared SPEAKER-DEPENDENT", "60.0 (55.0–65.0)", "+10.0 (+8.0 to +12.0)", "0.0400",
         "50.0 (–)", "+10.0 (+8.0 to +12.0)", "0.0400"],
    ]  # fmt: skip


def test_the_report_has_the_sections_and_is_not_stamped_by_them(tmp_path):
    make(tmp_path)
    rows = condition("clean", 0.5), condition("noise, 0 dB", 0.3, -0.2, ["LEAKY"])
    put(tmp_path / "exp/robustness/exp1.json", *rows)
    report = build_report(tmp_path / "exp", Choices(cards=False, mistakes=0))
    assert "Perturbed test audio" in [section.title for section in report.sections] and report.stamps == ()


@pytest.mark.parametrize(
    "content",
    [
        '{"units": "x", "conditions": [{"name": "clean"}]}',
        "[]",
        '{"conditions": 3}',
        '{"units": "x", "conditions": []}',
    ],
)
def test_other_files_are_one_line(tmp_path, content):
    (tmp_path / "robustness").mkdir()
    (tmp_path / "robustness/svm.json").write_text(content)
    with pytest.raises(SertkError, match=r"svm\.json: (not what local/differences\.py writes|not a JSON object)"):
        conditions_sections(tmp_path)
