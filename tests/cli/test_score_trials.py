"""score-trials as a user calls it: figures, leaks, wrong calls."""

import json

import numpy as np
import pytest
from trialspeakers import Speakers

from sertk.scoring.speaker import eer, min_cllr, min_dcf


@pytest.fixture
def made(tmp_path):
    return Speakers(tmp_path)


def test_the_line_has_eer_and_both_costs(call, made, tmp_path):
    result = call("score-trials", "--json", tmp_path / "r.json", made.list, made.write())
    targets, nontargets = made.scores()
    value, costs = eer(targets, nontargets), [min_dcf(targets, nontargets, p) for p in (0.01, 0.05)]
    found = json.loads((tmp_path / "r.json").read_text())
    low, high = (100 * end for end in found["interval"]["eer"])
    assert low < 100 * value < high
    of_cost = found["interval"]["min_dcf"]["0.01"]
    assert of_cost[0] < costs[0] < of_cost[1]
    assert result.text == (
        f"%EER {100 * value:.2f} minDCF(0.01) {costs[0]:.4f} minDCF(0.05) {costs[1]:.4f} "
        f"minCllr {min_cllr(targets, nontargets):.4f} "
        f"[ 190 trials, 40 target, cosine, 95 % of the EER {low:.2f}-{high:.2f} "
        f"minDCF(0.01) {of_cost[0]:.4f}-{of_cost[1]:.4f} by 4 speakers (rough: fewer than 5 units), no leak ]\n"
    )
    assert result.err == ""
    assert found["eer"] == pytest.approx(value, abs=1e-9) and found["min_dcf"]["0.05"] == pytest.approx(costs[1])


def test_costs_are_those_of_the_priors_that_are_given(call, made, tmp_path):
    result = call("score-trials", "--p-target", "0.5,0.001", "--json", tmp_path / "r.json", made.list, made.write())
    costs = [min_dcf(*made.scores(), p) for p in (0.5, 0.001)]
    assert f" minDCF(0.5) {costs[0]:.4f} minDCF(0.001) {costs[1]:.4f} minCllr " in result.text
    assert list(json.loads((tmp_path / "r.json").read_text())["interval"]["min_dcf"]) == ["0.5", "0.001"]


def test_speakers_outside_the_lists_leave_trials_unchecked(call, made):
    table = made.write()
    assert call("score-trials", made.list, table).text.endswith(", no leak ]\n")
    made.list.with_name("utt2spk").write_text("".join(f"{name} {name[:3]}\n" for name in made.vectors))
    result = call("score-trials", made.list, table)
    assert result.text.endswith(", leaks unchecked ]\n")
    assert "its model had training speakers outside the test set's lists (libri)" in result.err


def test_voxcelebs_list_gives_the_same_figures(call, made, tmp_path):
    path = tmp_path / "veri_test2.txt"
    files = {name: f"{name.replace('-', '/')}.wav" for name in made.vectors}
    path.write_text("".join(f"{int(t)} {files[a]} {files[b]}\n" for a, b, t in made.pairs))
    table = made.write()
    assert call("score-trials", path, table).out == call("score-trials", made.list, table).out


def test_a_mean_is_subtracted_and_said(call, made):
    table = made.write()
    result = call("score-trials", "--mean", table, made.list, table)
    mean = np.mean([vector.astype(float) for vector in made.vectors.values()], axis=0)
    assert result.text.startswith(f"%EER {100 * eer(*made.scores(mean)):.2f} ")
    assert "cosine, mean subtracted" in result.text
    # The mean of the test's own embeddings is not known before the test is.
    assert result.text.endswith("] TRANSDUCTIVE\n")


@pytest.mark.parametrize(("name", "magic"), [("d.png", b"\x89PNG"), ("d.svg", b"<svg"), ("d.PDF", b"%PDF")])
def test_the_det_curve_is_drawn(call, made, tmp_path, name, magic):
    call("score-trials", "--det", tmp_path / name, made.list, made.write())
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_trials_without_embedding_are_counted_and_too_many_fail(call, made):
    del made.vectors["id0-vid-0"]
    table = made.write()
    result = call("score-trials", made.list, table, code=1)
    assert "19 of 190 trials have no embedding (id0-vid-0, …), more than --max-skip=0.05" in result.err
    result = call("score-trials", "--max-skip", 0.1, made.list, table)
    assert "171 trials, 36 target, cosine, 19 left out" in result.text
    assert "WARNING: id0-vid-0: no embedding" in result.err


def test_pairs_listed_again_are_told(call, made):
    made.list.write_text(made.list.read_text() + made.list.read_text().splitlines()[0] + "\n")
    assert "191 trials, 41 target, cosine, 1 repeated" in call("score-trials", made.list, made.write()).text


def test_training_utterances_are_refused_or_stamped(call, made):
    made.settings["trained_on"]["keys"].append("id2-vid-3")
    table = made.write()
    result = call("score-trials", made.list, table, code=1)
    assert "test segment id2-vid-3 in its training" in result.err and result.err.count("\n") == 1
    assert call("score-trials", "--i-know", "true", made.list, table).text.endswith("] LEAKY\n")


def test_training_speakers_are_refused_if_utt2spk_names_them(call, made):
    made.settings["trained_on"]["speakers"].append("id1")
    table = made.write()
    result = call("score-trials", "--utt2spk", made.root / "utt2spk", made.list, table, code=1)
    assert "test speaker id1 in its training" in result.err
    # The map beside the list is found; without one it is said that nobody looked.
    assert call("score-trials", made.list, table, code=1).err == result.err
    (made.root / "utt2spk").unlink()
    result = call("score-trials", "--json", made.root / "r.json", made.list, table)
    assert "leaks unchecked ]" in result.text and "no utt2spk" in result.err
    assert json.loads((made.root / "r.json").read_text())["guard"] == "unchecked"


def test_embeddings_that_do_not_say_their_training_are_marked(call, made):
    made.settings = {}
    result = call("score-trials", "--stamp", "SIMULATED", made.list, made.write())
    assert result.text.endswith("leaks unchecked ] SIMULATED\n") and "no manifest records" in result.err


def test_stamps_beside_trials_are_added(call, made):
    (made.list.parent / "PARTIAL").write_text("a folder is missing\n")
    result = call("score-trials", "--stamp", "SIMULATED", made.list, made.write())
    assert result.text.endswith("] SIMULATED PARTIAL\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{}/none", "scp:{}/e.scp"], 1, "none: cannot be read"),
        (["{}/trials", "scp:{}/none.scp"], 1, "none.scp"),
        (["{}/trials", "{}/e.scp"], 2, "bad rspecifier"),
        (["{}/utt2spk", "scp:{}/e.scp"], 1, "utt2spk:1: 'id0-vid-0 id0' is not a trial"),
        (
            ["--utt2spk", "{}/short", "{}/trials", "scp:{}/e.scp"],
            1,
            "short: id0-vid-1 is in the trials and not in this map",
        ),
        (["--mean", "ark:false |", "{}/trials", "scp:{}/e.scp"], 1, "false"),
        (["{}/trials"], 2, "EMBEDDINGS-R"),
        (["--p-target", "0.01,2", "{}/trials", "scp:{}/e.scp"], 2, "'0.01,2' is not a comma-separated list of"),
        (["--det", "{}/d.gif", "{}/trials", "scp:{}/e.scp"], 1, "d.gif: a picture's name ends in .png, .svg or .pdf"),
        (["--quality", "magnitude", "{}/trials", "scp:{}/e.scp"], 2, "--quality is for --calibration-trials"),
        (["--cohort-utt2spk", "{}/utt2spk", "{}/trials", "scp:{}/e.scp"], 2, "--cohort-utt2spk is for --cohort"),
        (["--top-n", "20", "{}/trials", "scp:{}/e.scp"], 2, "--top-n is for --cohort"),
        (["--norm-side", "both", "{}/trials", "scp:{}/e.scp"], 2, "--norm-side is for --cohort"),
        (["--utt2dur", "{}/d", "{}/trials", "scp:{}/e.scp"], 2, "--utt2dur is for --quality duration"),
        (["--top-n", "1", "{}/trials", "scp:{}/e.scp"], 2, "--top-n"),
        (["--scores", "{}/none/s", "{}/trials", "scp:{}/e.scp"], 1, "none/s: cannot be written"),
        (
            ["--i-know=1", "--calibration-trials", "{}/trials", "--quality", "cohort", "{}/trials", "scp:{}/e.scp"],
            1,
            "--quality cohort needs --cohort",
        ),
        (
            ["--i-know=1", "--calibration-trials", "{}/trials", "--quality", "noise", "{}/trials", "scp:{}/e.scp"],
            1,
            "--quality noise is none of duration, magnitude, cohort",
        ),
        (["{}/targets", "scp:{}/e.scp"], 1, "targets: all 40 trials are target"),
    ],
)
def test_wrong_calls_are_one_line_each(call, made, arguments, code, message):
    made.write()
    (made.root / "short").write_text("id0-vid-0 id0\n")
    targets = [line for line in made.list.read_text().splitlines(keepends=True) if line.endswith(" target\n")]
    (made.root / "targets").write_text("".join(targets))
    result = call("score-trials", *[word.format(made.root) for word in arguments], code=code)
    assert message in result.err and result.err.count("\n") == 1 and result.out == b""
