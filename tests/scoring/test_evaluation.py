"""score_folder: what it adds to the figures of a system."""

import pytest
from experiment import Experiment

from sertk.errors import SertkError
from sertk.scoring.evaluation import score_folder


def test_results_name_scheme_selection_and_leak_state(tmp_path):
    made = Experiment(tmp_path)
    for settings in made.settings.values():
        settings["trained_on"]["select"] = "dev-session"
    results = score_folder(*made.arguments, str(made.write()), stamps=["PARTIAL"])
    assert results["title"] == ["loso", "speaker-independent", "epoch by dev-session"]
    assert (results["guard"], results["stamps"], results["select"]) == ("clean", ["PARTIAL"], "dev-session")


def test_a_leak_is_an_error_or_a_stamp(tmp_path):
    made = Experiment(tmp_path)
    made.settings[2]["trained_on"]["keys"] += [utt for utt, fold in made.folds.utt2fold.items() if fold == 2]
    source = str(made.write())
    with pytest.raises(SertkError, match=r"2/scores.*test segment .* in its training"):
        score_folder(*made.arguments, source)
    results = score_folder(*made.arguments, source, i_know=True)
    assert results["guard"] == "leaking" and results["stamps"] == ["LEAKY"] and "test segment" in results["leaks"][0]
