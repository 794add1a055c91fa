"""Whether transfer helps, and how sure that is."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from report_folder import make

from sertk.errors import SertkError
from sertk.report.build import Choices, build_report
from sertk.report.differences import all_pairs, differences_table, pairs_of, rules, transfer_figure, verdict
from sertk.report.selection import selection_table
from sertk.report.systems import find_experiments
from sertk.report.tables import results_table
from sertk.scoring.evaluation import score_folder
from sertk.scoring.paired import Difference, compare, holm


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """exp1: a head, the same under two other rules, fine-tuned, from scratch; exp3: alone."""
    root = tmp_path_factory.mktemp("differences")
    corpus = make(root)
    corpus.write_system("exp1_finetune", 3.0, kind="init")
    corpus.write_system("exp1_dev-session", 1.9, select="dev-session")
    corpus.write_system("exp1_oracle", 2.2, select="oracle")
    return root


@pytest.fixture(scope="module")
def experiments(root):
    return find_experiments(root / "exp")


@pytest.fixture(scope="module")
def report(root):
    return build_report(root / "exp", Choices(cards=False, mistakes=0))


def test_each_system_is_held_against_the_one_without_transfer(experiments):
    pairs = pairs_of(experiments[0])
    assert [(pair.system.name, pair.other.name) for pair in pairs] == [
        ("exp1", "exp1_scratch"), ("exp1_finetune", "exp1_scratch")]  # fmt: skip
    assert all(pair.of_transfer and pair.drawn == "10 speakers in 5 folds" for pair in pairs)
    first, other = (pairs[0].system.results["pooled"], pairs[0].other.results["pooled"])
    assert pairs[0].found.ua.value == pytest.approx(first["ua"] - other["ua"])
    assert pairs[0].found.wa.value == pytest.approx(first["wa"] - other["wa"])
    assert pairs_of(experiments[1]) == []


def test_p_values_are_corrected_over_the_whole_report(experiments):
    """Twice the same experiment: four verdicts, not two and two."""
    pairs, test = all_pairs([experiments[0]] * 2), experiments[0].test
    speakers, fold = [key[:6] for key in test.keys], np.array([test.utt2fold[key] for key in test.keys])
    raw = [compare(test.truth, p.system.guess, p.other.guess, speakers, 4, fold).ua.p for _, p in pairs]
    assert len(raw) == 4 and [pair.p["ua"] for _, pair in pairs] == holm(raw) != raw
    found = pairs[1][1].found
    row = differences_table(pairs, ()).rows[1]
    ends = [f"{100 * end:+.1f}" for end in found.ua.interval]
    p = pairs[1][1].p["ua"]
    assert row[2:4] == [
        f"{100 * found.ua.value:+.1f} ({ends[0]} to {ends[1]})",
        f"{p:#.3g}" if p >= 0.001 else "< 0.001",
    ]
    assert row[4] == f"{100 * found.ua.detectable(4):.1f}" and row[7] == "1 : 1"
    assert "over the 4 comparisons of this report" in rules(pairs).text and "p < 0.05" in rules(pairs).text


def test_without_a_baseline_the_first_system_is_the_reference(experiments):
    few = replace(experiments[0], systems=[s for s in experiments[0].systems if s.name != "exp1_scratch"])
    pairs = pairs_of(few)
    assert [(pair.system.name, pair.other.name) for pair in pairs] == [("exp1", "exp1_finetune")]
    assert "Transfer" not in verdict(pairs[0]) and transfer_figure([(few, pair) for pair in pairs], ()) is None


def test_with_a_reference_all_are_compared_with_it_by_name(root):
    """The reference comes first, in headline and figures; what is from scratch is then a system like the others."""
    experiment, alone = find_experiments(root / "exp", against="exp1_finetune")
    assert [system.name for system in experiment.systems][:2] == ["exp1_finetune", "exp1"]
    assert (experiment.against, alone.against) == ("exp1_finetune", None)
    pairs = pairs_of(experiment)
    assert [(pair.system.name, pair.other.name) for pair in pairs] == [
        ("exp1", "exp1_finetune"), ("exp1_scratch", "exp1_finetune")]  # fmt: skip
    assert verdict(pairs[1]).startswith("exp1_scratch is worse than fine-tuned (exp1_finetune): UA -")
    found = build_report(root / "exp", Choices(cards=False, mistakes=0, against="exp1_finetune"))
    assert found.headlines[0].system.startswith("fine-tuned (exp1_finetune), ")
    assert found.sections[0].title == "Systems compared" and len(found.headlines[0].answers) == 3
    with pytest.raises(
        SertkError, match=r"no system exp2 to compare with \(there are exp1, exp1_scratch, exp1_finetune"
    ):
        find_experiments(root / "exp", against="exp2")


def test_imported_systems_say_nothing_of_transfer(experiments):
    """Their training is unknown: neither for nor against it."""
    pair = pairs_of(experiments[0])[0]
    other = replace(pair, system=replace(pair.system, what=""))
    assert (
        not other.of_transfer
        and verdict(other).startswith("exp1 ")
        and " than without transfer (exp1_scratch): " in verdict(other)
    )


def test_a_report_without_transfer_does_not_ask_for_it(tmp_path):
    corpus = make(tmp_path)
    shutil.rmtree(tmp_path / "exp/exp3")
    shutil.rmtree(tmp_path / "exp/exp1_scratch")
    corpus.write_system("exp1_other", 0.8, kind="")
    corpus.write_system("exp1_more", 1.2, kind="")
    for name in ("results.json", *"12345"):
        path = tmp_path / "exp/exp1" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = build_report(tmp_path / "exp", Choices(cards=False, mistakes=0))
    assert found.sections[0].title == "Systems compared"
    assert found.headlines[0].system.startswith("exp1_more, ")
    assert not any("transfer" in answer for answer in found.headlines[0].answers)


DRAWN = "by 10 speakers in 5 folds"
POWER = "the smallest detectable difference is 6.0 points (80 % power)"


@pytest.mark.parametrize(
    ("value", "p", "interval", "words"),
    [
        (0.05, 0.01, (0.01, 0.09), f"(frozen trunk, new head) helps: UA +5.0 (+1.0 to +9.0) points {DRAWN}, p = 0.0100; {POWER}"),
        (-0.05, 0.0496, (-0.09, -0.01), f"hurts: UA -5.0 (-9.0 to -1.0) points {DRAWN}, p = 0.0496;"),
        (0.05, 0.0504, (-0.01, 0.09), f"has no significant effect: UA +5.0 (-1.0 to +9.0) points {DRAWN}, p = 0.0504; {POWER}"),
        (0.2, 0.125, (0.18, 0.22), f"p = 0.125; {POWER} (the interval excludes 0, but p decides)"),
    ],
)  # fmt: skip
def test_the_verdict_is_of_ua_at_one_in_twenty(experiments, value, p, interval, words):
    """Four degrees of freedom: (2.7764 + 0.9410) standard errors of 1.614 points."""
    pair = pairs_of(experiments[0])[0]
    ua = Difference(value, interval, p, p, 0.06 / (2.7764 + 0.9410), 4, 0)
    found = replace(pair.found, ua=ua)
    assert words in verdict(replace(pair, found=found, p={"ua": p}))


def test_what_no_number_of_speakers_could_show_is_said(experiments):
    pair = pairs_of(experiments[0])[0]
    few = replace(pair, found=replace(pair.found, clusters=4, units=4), p={"ua": 0.125}, drawn="4 speakers")
    assert (
        verdict(few)
        .partition("; ")[2]
        .startswith("with 4 speakers no difference is detectable: the smallest possible p is 0.125")
    )
    # Six could alone, and cannot beside another verdict: Holm asks twice 2^-5.
    few = replace(few, found=replace(few.found, clusters=6), tests=2, drawn="6 speakers")
    assert "6 speakers no difference is detectable: the smallest possible p is 0.0625 after correction" in verdict(few)
    assert few.detectable is None and replace(few, tests=1).detectable > 0
    # Last in Holm's order, after an experiment of more speakers, it is significant: not "no difference is detectable".
    assert "detectable" not in verdict(replace(few, p={"ua": 0.031, "wa": 0.031}))


def test_the_pages_head_has_the_numbers_of_its_figure(report):
    exp1, exp3 = report.headlines
    assert exp1.answers[0].startswith("Transfer (frozen trunk, new head) ") and len(exp1.answers) == 3
    assert exp1.answers[2] == "For comparison: Padi et al. 2021: the system rebuilt here, UA 61.6, WA 66.0"
    assert exp3.answers[0].startswith("There is no system without transfer")
    figure = report.sections[0].items[1]
    assert "is not significant" in figure.notes[0]
    assert exp1.system == "frozen trunk, new head (exp1), one training run, leaks unchecked outside the test's corpus"
    assert all(sure.endswith(" by 10 speakers in 5 folds") for _, _, sure in exp1.figures)
    assert figure.name == "transfer" and "Exp 1: fine-tuned, UA +" in figure.alt


def test_three_rules_side_by_side_and_the_oracle_only_there(report, experiments):
    experiment = experiments[0]
    assert [system.name for system in experiment.picked] == ["exp1_oracle"]
    assert "exp1_oracle" not in [system.name for system in experiment.systems]
    table = selection_table(experiment)
    assert [row[1] for row in table.rows] == ["last", "dev-session", "oracle LEAKY"]
    assert table.stamps == ("LEAKY",) and [row[2] for row in table.rows] == ["3, 3, 3, 3, 3"] + ["2, 3, 2, 3, 2"] * 2
    last, oracle = experiment.systems[0].scored.guess, experiment.picked[0].scored.guess
    gain = np.mean(oracle == experiment.test.truth) - np.mean(last == experiment.test.truth)
    assert table.rows[2][6].startswith(f"{100 * gain:+.1f} (") and table.rows[0][5:] == ["–", "–"]
    assert "LEAKY" not in report.stamps
    shown = [item for section in report.sections if section.name != "selection" for item in section.items]
    assert not [item.title for item in shown if "LEAKY" in getattr(item, "stamps", ())]
    items = next(section for section in report.sections if section.name == "results").items
    results = next(item for item in items if hasattr(item, "rows"))
    assert any("epoch by dev-session" in row[0] for row in results.rows)
    assert not any("oracle" in row[0] for row in results.rows)


def test_with_i_know_the_oracle_stands_in_every_title(root):
    experiment = find_experiments(root / "exp", i_know=True)[0]
    table = results_table(experiment, "Table 3")
    assert "LEAKY" in table.stamps and any("oracle" in row[0] and "LEAKY" in row[0] for row in table.rows)


def test_an_oracle_alone_is_refused(call, root, tmp_path):
    result = call("make-report", "--cards", "false", root / "exp" / "exp1_oracle", tmp_path / "out", code=1)
    assert "exp1_oracle: its epochs were selected on the test set (oracle)" in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()
    assert find_experiments(root / "exp" / "exp1_oracle", i_know=True)[0].stamps == ("LEAKY",)


def test_a_system_of_several_runs_stands_in_every_table_as_one(tmp_path):
    corpus = make(tmp_path)
    for seed in (0, 1, 2):
        corpus.write_system(f"exp1_finetune/seed{seed}", 2.0 + seed / 2, kind="init")
    folds = tmp_path / "exp" / "exp1" / "folds"
    found = score_folder(folds / "utt2label", folds / "utt2fold", str(tmp_path / "exp" / "exp1_finetune"))
    (tmp_path / "exp" / "exp1_finetune" / "results.json").write_text(json.dumps(found))
    experiment = find_experiments(tmp_path / "exp")[0]
    system = next(system for system in experiment.systems if system.name == "exp1_finetune")
    assert system.guess.shape == (3, 80) and system.what == "fine-tuned" and len(system.histories) == 5
    pair = next(pair for pair in pairs_of(experiment) if pair.system is system)
    assert pair.found.runs == (3, 1) and pair.found.mcnemar_p is None
    page = build_report(tmp_path / "exp", Choices(cards=False, data=tmp_path / "data"))
    tables = {item.name: item for section in page.sections for item in section.items if hasattr(item, "rows")}
    assert [row[1] for row in tables["runs-exp1"].rows] == ["seed0", "seed1", "seed2", "± runs"]
    assert tables["runs-exp1"].rows[1][2] == f"{100 * found['runs']['ua'][1]:.2f}"
    card = dict(tables["card-exp1_finetune"].rows)
    assert card["training runs"] == "seed0, seed1, seed2; below: seed0"
    assert card["settings (train.conf)"] == "--epochs=3 --learning-rate=0.01"
    row = next(row for row in tables["results-exp1"].rows if "fine-tuned" in row[0])
    assert row[-1].startswith("mean of 3 training runs, ")
    assert next(row for row in tables["differences"].rows if "fine-tuned" in row[1])[7:] == ["3 : 1", "–", "–"]
    # McNemar's test is of single runs: without any there are no columns for it.
    several = [(experiment, pair) for pair in pairs_of(experiment) if pair.system is system]
    table = differences_table(several, ())
    assert table.columns[-1] == "training runs" and table.rows[0][-1] == "3 : 1" and len(table.notes) == 2
