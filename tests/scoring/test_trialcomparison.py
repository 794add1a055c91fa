"""Comparison of systems on trials: differences, text, what is refused."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.scoring.backend import ScoredTrials
from sertk.scoring.leaveout import LeftOut, difference
from sertk.scoring.paired import holm
from sertk.scoring.speaker import eer
from sertk.scoring.trialcomparison import compare_trials, trial_comparison_text
from sertk.scoring.trials import read_trials, speaker_indices
from sertk.scoring.trialscores import write_scores

RESULTS = {"mean": None, "norm": None, "calibration": None, "stamps": [], "leaks": []}
TRAINED = {"trained_on": {"keys": ["z-0"], "speakers": ["z"]}}


@pytest.fixture
def folder(tmp_path):
    """Twelve speakers of four utterances, all pairs; scores of a good system and two like one another."""
    rng = np.random.default_rng(0)
    names = [f"s{speaker}-{n}" for speaker in range(12) for n in range(4)]
    lines = [
        f"{a} {b} {'target' if a[:-2] == b[:-2] else 'nontarget'}\n" for i, a in enumerate(names) for b in names[:i]
    ]
    (tmp_path / "trials").write_text("".join(lines))
    (tmp_path / "utt2spk").write_text("".join(f"{name} {name[:-2]}\n" for name in [*names, "z-0 "][:-1]) + "z-0 z\n")
    trials = read_trials(tmp_path / "trials")
    for name, distance in (("good", 4.0), ("poor", 1.0), ("other", 1.0)):
        scores = rng.normal(size=len(trials.target)) + distance * trials.target
        save(tmp_path / name, trials, scores)
    return tmp_path


def save(path, trials, scores, **changed):
    scored = ScoredTrials(trials, trials, scores, None, None, {}, "e", TRAINED)
    write_scores(path, scored, RESULTS | changed)


def compared(folder, *names, **options):
    return compare_trials(folder / "trials", [folder / name for name in names], **options)[0]


def test_a_better_system_is_shown_to_be_better(folder):
    results = compared(folder, "good", "poor", "other")
    assert results["guard"] == "clean" and results["speakers"] == 12 and results["trials"] == 48 * 47 // 2
    first, second = (comparison["EER"] for comparison in results["comparisons"])
    assert first["value"] < 0 and first["interval"][1] < 0 and first["p"] < 0.001
    assert [first["holm"], second["holm"]] == holm([first["p"], second["p"]])
    text = trial_comparison_text(results)
    assert "A is better than B1 (EER, p < 0.001)" in text and "A-B2 minDCF(0.05)" in text
    assert text.startswith("EER and detection costs [ 1128 trials, 72 target, by 12 speakers ]\nleak guard: clean")


def test_figures_are_those_of_the_systems_alone(folder):
    results = compared(folder, "poor", "other")
    trials = read_trials(folder / "trials")
    speakers = dict(line.split() for line in (folder / "utt2spk").read_text().splitlines())
    figures = []
    for name, system in zip(("poor", "other"), results["systems"]):
        scores = np.array([float(line.split()[2]) for line in (folder / name).read_text().splitlines()])
        assert system["EER"] == pytest.approx(eer(scores[trials.target], scores[~trials.target]))
        figures.append(LeftOut(scores, trials.target, *speaker_indices(trials, speakers)).eers())
    expected = difference(*figures)
    found = results["comparisons"][0]["EER"]
    assert (found["value"], found["p"], found["error"]) == pytest.approx((expected.value, expected.p, expected.error))
    assert found["detectable"] == pytest.approx((2.200985 + 0.875530) * expected.error, rel=1e-5)  # t of 11 degrees
    assert "A is not shown to be better or worse than B" in trial_comparison_text(results)


def test_only_trials_that_all_have_scored_are_compared(folder):
    lines = (folder / "poor").read_text().splitlines(keepends=True)
    (folder / "poor").write_text("".join(lines[3:]))
    results = compared(folder, "good", "poor")
    assert results["left_out"] == 3 and results["trials"] == 1125 and "3 left out ]" in trial_comparison_text(results)
    assert results["guard"] == "unchecked"  # the manifest was of the whole file
    (folder / "poor").write_text("".join(lines[100:]))
    with pytest.raises(SertkError, match="poor: 100 of 1128 trials have no score"):
        compared(folder, "good", "poor")


def test_cllr_is_compared_if_all_are_calibrated(folder):
    trials = read_trials(folder / "trials")
    for name, slope in (("a", 1.0), ("b", 3.0)):
        save(folder / name, trials, slope * (8.0 * trials.target - 4), calibration={"trials": 10})
    assert "Cllr" in compared(folder, "a", "b")["comparisons"][0]
    assert "Cllr" not in compared(folder, "a", "good")["comparisons"][0]


def test_leaks_and_stamps_of_the_scores_go_along(folder):
    trials = read_trials(folder / "trials")
    scores = np.arange(1128.0)
    save(folder / "leaky", trials, scores, leaks=["e: a test speaker"], stamps=["SIMULATED", "LEAKY"])
    with pytest.raises(SertkError, match="leaky: e: a test speaker"):
        compared(folder, "good", "leaky")
    results = compared(folder, "good", "leaky", i_know=True, stamps=["PARTIAL"])
    assert results["stamps"] == ["PARTIAL", "LEAKY", "SIMULATED"] and results["guard"] == "leaking"


def test_speakers_must_be_known(folder):
    (folder / "utt2spk").rename(folder / "elsewhere")
    with pytest.raises(SertkError, match="by speakers: name their utt2spk with --clusters"):
        compared(folder, "good", "poor")
    assert compared(folder, "good", "poor", utt2spk=folder / "elsewhere")["speakers"] == 12
