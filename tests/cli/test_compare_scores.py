"""compare-scores as a user calls it."""

import json

import numpy as np
import pytest
from experiment import LABELS, Experiment
from scipy import stats

from sertk.scoring.paired import holm


@pytest.fixture
def two(tmp_path):
    """The same test scored by a better system (a) and by a worse one (b)."""
    made = Experiment(tmp_path, skill=3.0)
    made.write("a")
    worse = Experiment(tmp_path, skill=0.5, seed=1)
    worse.write("b")
    return made, worse


def compare(call, made, *options, systems=("a", "b"), code=0):
    sources = [system if ":" in system else made.root / system for system in systems]
    return call("compare-scores", *options, made.arguments[0], *sources, code=code)


def right(made):
    return np.array([LABELS[int(np.argmax(made.posteriors[utt]))] == label for utt, label in made.utt2label.items()])


def test_figures_are_accuracies_difference_and_scipys_test(call, two, tmp_path):
    text = compare(call, two[0], "--clusters", tmp_path / "utt2spk", "--json", tmp_path / "r.json").text
    found = json.loads((tmp_path / "r.json").read_text())
    a, b = map(right, two)
    assert [system["wa"] for system in found["systems"]] == [pytest.approx(a.mean()), pytest.approx(b.mean())]
    comparison = found["comparisons"][0]
    assert comparison["wa"]["value"] == pytest.approx(a.mean() - b.mean())
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert (comparison["only_a"], comparison["only_b"]) == (only_a, only_b)
    assert comparison["mcnemar_p"] == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    assert comparison["wa"]["permuted"] == pytest.approx(2 / 2**6)  # every one of six speakers is better with A
    assert comparison["wa"]["p"] >= comparison["wa"]["permuted"]
    assert comparison["clusters"] == 6
    assert "pooled WA and UA [ 54 segments, by 6 speakers in 3 folds, loso, speaker-independent ]" in text
    assert f"A-B WA {100 * (a.mean() - b.mean()):+.2f}" in " ".join(text.split())


def test_several_comparisons_are_corrected_with_holm(call, two, tmp_path):
    Experiment(tmp_path, skill=1.5, seed=2).write("c")
    text = compare(call, two[0], "--json", tmp_path / "r.json", systems=("a", "b", "c")).text
    found = json.loads((tmp_path / "r.json").read_text())["comparisons"]
    raw = [comparison["ua"]["p"] for comparison in found]
    assert [comparison["holm"]["ua"] for comparison in found] == pytest.approx(holm(raw))
    assert (
        "p (Holm)" in text
        and "B2" in text
        and "no corrected p below 0.0625 is possible: no difference is detectable" in text
    )
    assert [comparison["ua"]["detectable"] for comparison in found] == [None, None]


def test_speakers_are_drawn_unless_they_are_unknown(call, two, tmp_path):
    default = compare(call, two[0], "--json", tmp_path / "r.json")
    assert default.err == "" and default.out == compare(call, two[0], "--clusters", tmp_path / "utt2spk").out
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["drawn"] == "utt2spk" and list(found["sensitivity"]) == ["utt2session"]
    assert "A-B UA by 3 sessions" in default.text
    (tmp_path / "folds" / "utt2spk").unlink()
    (tmp_path / "folds" / "utt2session").unlink()
    result = compare(call, two[0])
    assert result.err.count("segments are treated as independent") == 1
    assert "by 54 segments" in result.text and result.text.splitlines()[0].endswith("] SPEAKERS-UNKNOWN")


def test_few_speakers_cannot_show_anything_and_it_is_said(call, two, tmp_path):
    text = compare(call, two[0], "--clusters", tmp_path / "folds" / "utt2session").text
    assert "with 3 sessions no p below 0.25 is possible: no difference is detectable" in text
    assert "McNemar (assumes independent segments)" in text and "UA at p < 0.05 decides" in text


def test_several_runs_of_a_system_are_one_system(call, two, tmp_path):
    for seed in (1, 2):
        Experiment(tmp_path, skill=3.0, seed=seed).write(f"many/seed{seed}")
    text = compare(call, two[0], "--json", tmp_path / "r.json", systems=("many", "b")).text
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["comparisons"][0]["runs"] == [2, 1] and [system["runs"] for system in found["systems"]] == [2, 1]
    assert "one training run of a system" in text and found["comparisons"][0]["mcnemar_p"] is None
    assert "one training run" not in compare(call, two[0], systems=("many", "many")).text


def test_the_same_seed_gives_the_same_bytes(call, two):
    assert compare(call, two[0], "--seed", 4).out == compare(call, two[0], "--seed", 4).out


def test_scores_of_other_folds_are_refused(call, two, tmp_path):
    other = Experiment(tmp_path / "other", scheme="stratified")
    other.write("c")
    scripts = sorted((tmp_path / "other" / "c").glob("*/scores.scp"))
    (tmp_path / "c.scp").write_text("".join(path.read_text() for path in scripts))
    result = compare(call, two[0], systems=("a", f"scp:{tmp_path}/c.scp"), code=1)
    assert "model, utt2fold has it in" in result.err and result.err.count("\n") == 1
    # Without a utt2fold to hold them against, against each other.
    for name in ("utt2fold", "utt2spk", "utt2session"):
        (tmp_path / "folds" / name).unlink()
    result = compare(call, two[0], systems=("a", f"scp:{tmp_path}/c.scp"), code=1)
    assert "were scored with different folds" in result.err and result.err.count("\n") == 1


def test_folds_that_are_only_numbered_otherwise_are_the_same(call, two, tmp_path):
    renumbered = Experiment(tmp_path / "other", skill=1.0)
    for fold, settings in renumbered.settings.items():
        settings["trained_on"]["fold"] = fold % 3 + 1
    renumbered.write("c")
    (tmp_path / "folds" / "utt2fold").unlink()
    assert "A-B WA" in compare(call, two[0], systems=("a", str(tmp_path / "other" / "c"))).text


def test_a_system_selected_on_the_test_is_not_compared(call, two, tmp_path):
    picked = Experiment(tmp_path, skill=2.0, seed=2)
    picked.settings[2]["trained_on"]["select"] = "oracle"
    picked.write("c")
    result = compare(call, two[0], systems=("a", "c"), code=1)
    assert f"{tmp_path}/c: its epochs were selected on the test set (oracle)" in result.err
    assert result.err.count("\n") == 1
    text = compare(call, two[0], "--i-know", "true", systems=("a", "c")).text
    assert text.splitlines()[0].endswith("] LEAKY")


@pytest.mark.parametrize("leaking", ["a", "b"])
def test_a_leak_in_either_system_is_refused(call, tmp_path, leaking):
    for name in "ab":
        made = Experiment(tmp_path)
        if name == leaking:
            made.settings[1]["trained_on"]["speakers"].append("Ses01F")
        made.write(name)
    result = compare(call, made, code=1)
    assert f"{leaking}/1/scores.ark: test speaker Ses01F in its training" in result.err
    assert compare(call, made, "--i-know", "true").text.splitlines()[0].endswith("] LEAKY")


@pytest.mark.parametrize(
    ("systems", "options", "code", "message"),
    [
        (("a",), [], 2, "B…"),
        (("a", "none:x"), [], 1, "bad rspecifier 'none:x'"),
        (("a", "scp:none.scp"), [], 1, "none.scp"),
        (("a", "folds"), [], 1, "neither scores.ark nor 1/scores.ark"),
        (("a", "b"), ["--clusters", "none"], 1, "none: cannot be read"),
        (("a", "b"), ["--labels", "{}/two"], 1, "label 'sad' is not one of ang neu"),
    ],
)
def test_wrong_calls_are_one_line_each(call, two, tmp_path, systems, options, code, message):
    (tmp_path / "two").write_text("ang\nneu\n")
    result = compare(call, two[0], *[word.format(tmp_path) for word in options], systems=systems, code=code)
    assert message in result.err and result.err.count("\n") == 1 and result.out == b""


def test_systems_are_compared_on_trials(call, box):
    trials, scores = "data/voxceleb1_test/trials", ("exp/resnet34/asnorm.scores", "exp/resnet34/plain.scores")
    result = call("compare-scores", "--json", "c.json", "--det", "d.svg", trials, *scores)
    assert result.text.startswith("EER and detection costs [ ") and "A-B EER" in result.text
    assert json.loads((box / "c.json").read_text())["primary"] == "EER"
    assert "plain.scores, EER" in (box / "d.svg").read_text()
    assert "--labels is for emotions" in call("compare-scores", "--labels", "x", trials, *scores, code=2).err
    emotions = ("exp/folds/utt2label", "exp/transfer", "exp/scratch")
    assert "--det is for a trial list" in call("compare-scores", "--det", "d.png", *emotions, code=2).err
