"""score-trials as a user calls it."""

import json

import numpy as np
import pytest

from sertk.kaldi.tables import table_writer
from sertk.scoring.speaker import act_dcf, cllr, eer, min_cllr, min_dcf


class Speakers:
    """Four speakers of five utterances, every pair a trial; 20 dimensions, moved away from the origin."""

    def __init__(self, root):
        self.root, rng = root, np.random.default_rng(0)
        voices = rng.normal(0, 1, (4, 20))
        self.vectors = {
            f"id{s}-vid-{n}": (voices[s] + rng.normal(0, 1.2, 20) + 2).astype(np.float32)
            for s in range(4)
            for n in range(5)
        }
        names = list(self.vectors)
        self.pairs = [(a, b, a[:3] == b[:3]) for i, a in enumerate(names) for b in names[i + 1 :]]
        self.settings = {"trained_on": {"keys": ["libri-1"], "speakers": ["libri"]}}
        self.list = root / "trials"
        self.list.write_text("".join(f"{a} {b} {'target' if t else 'nontarget'}\n" for a, b, t in self.pairs))
        listed = [*((name, name[:3]) for name in names), ("libri-1", "libri")]
        (root / "utt2spk").write_text("".join(f"{name} {speaker}\n" for name, speaker in listed))

    def write(self):
        with table_writer(
            f"ark,scp:{self.root}/e.ark,{self.root}/e.scp", kind="vector", settings=self.settings
        ) as write:
            for name, vector in self.vectors.items():
                write(name, vector)
        return f"scp:{self.root}/e.scp"

    def scores(self, mean=0.0):
        rows = {name: vector.astype(float) - mean for name, vector in self.vectors.items()}
        rows = {name: row / np.linalg.norm(row) for name, row in rows.items()}
        scored = [(rows[a] @ rows[b], t) for a, b, t in self.pairs]
        return [s for s, t in scored if t], [s for s, t in scored if not t]


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


def write_others(root, name, speakers, seed=1, model=None, dim=20):
    """Ten utterances of each of some speakers, with a list of all their pairs."""
    rng = np.random.default_rng(seed)
    vectors = {}
    for speaker in speakers:
        voice = rng.normal(0, 1, dim)
        vectors |= {f"{speaker}-{n}": (voice + rng.normal(0, 1.2, dim) + 2).astype(np.float32) for n in range(10)}
    (root / name).mkdir()
    settings = {"model": model} if model else {}
    with table_writer(f"ark,scp:{root}/{name}/e.ark,{root}/{name}/e.scp", kind="vector", settings=settings) as write:
        for key, vector in vectors.items():
            write(key, vector)
    keys = list(vectors)
    pairs = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :]]
    spk = {key: key.rpartition("-")[0] for key in keys}
    lines = (f"{a} {b} {'target' if spk[a] == spk[b] else 'nontarget'}\n" for a, b in pairs)
    (root / name / "trials").write_text("".join(lines))
    (root / name / "utt2spk").write_text("".join(f"{key} {speaker}\n" for key, speaker in spk.items()))
    return vectors, f"scp:{root}/{name}/e.scp"


def test_as_norm_by_speaker_means_equals_it_written_out(call, made, tmp_path):
    vectors, cohort = write_others(tmp_path, "cohort", [f"c{n}" for n in range(30)])
    result = call("score-trials", "--cohort", cohort, "--cohort-utt2spk", tmp_path / "cohort/utt2spk", "--top-n", 12,
                  "--scores", tmp_path / "scores", made.list, made.write())  # fmt: skip
    means = np.array([np.mean([vectors[f"c{n}-{k}"] for k in range(10)], axis=0) for n in range(30)], np.float64)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    expected = []
    for a, b, _ in made.pairs:
        sides = [made.vectors[name].astype(float) / np.linalg.norm(made.vectors[name].astype(float)) for name in (a, b)]
        highest = [np.sort(means @ side)[-12:] for side in sides]
        expected.append(np.mean([(sides[0] @ sides[1] - high.mean()) / high.std() for high in highest]))
    lines = [line.split() for line in (tmp_path / "scores").read_text().splitlines()]
    assert [tuple(line[:2]) for line in lines] == [(a, b) for a, b, _ in made.pairs]
    assert [float(line[2]) for line in lines] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert ", cosine, AS-Norm by the top 12 of 30, " in result.text and result.err == ""


def test_a_small_cohort_is_used_as_a_whole_and_told(call, made, tmp_path):
    _, cohort = write_others(tmp_path, "cohort", ["c0", "c1"])
    result = call("score-trials", "--cohort", cohort, "--norm-side", "enrol", made.list, made.write())
    assert "AS-Norm by the top 20 of 20 of the enrol side" in result.text
    assert "WARNING: the cohort has 20 vectors, fewer than --top-n=300" in result.err


def test_a_cohort_with_test_speakers_is_refused(call, made, tmp_path):
    _, cohort = write_others(tmp_path, "cohort", ["c0", "id2"])
    words = ("--cohort", cohort, "--cohort-utt2spk", tmp_path / "cohort/utt2spk", made.list, made.write())
    result = call("score-trials", *words, code=1)
    assert "the cohort has speaker id2 of the trials" in result.err and result.err.count("\n") == 1
    assert call("score-trials", "--i-know", "true", *words).text.endswith("leaks ] LEAKY\n")
    own = call("score-trials", "--cohort", made.write(), made.list, made.write(), code=1)
    assert "the cohort has utterance id0-vid-0 and 19 more of the trials" in own.err


def test_a_cohort_without_speakers_leaves_trials_unchecked(call, made, tmp_path):
    """Unless the network was trained on it: the guard knows its training speakers."""
    _, cohort = write_others(tmp_path, "cohort", ["c0", "c1"])
    result = call("score-trials", "--cohort", cohort, made.list, made.write())
    assert (
        ", leaks unchecked ]" in result.text
        and "the speakers of the cohort, or of the trials, are unknown" in result.err
    )
    known = call(
        "score-trials", "--cohort", cohort, "--cohort-utt2spk", tmp_path / "cohort/utt2spk", made.list, made.write()
    )
    assert known.text.endswith(", no leak ]\n")
    table = made.write()
    with table_writer(f"ark:{tmp_path}/own.ark", kind="vector", settings=made.settings) as write:
        for n, key in enumerate(["libri-1", "libri"]):
            write(key, np.arange(20, dtype=np.float32) * (-1) ** n + 1)
    assert call("score-trials", "--cohort", f"ark:{tmp_path}/own.ark", made.list, table).text.endswith(", no leak ]\n")


def test_calibrated_scores_have_cllr_and_actual_costs(call, made, tmp_path):
    _, others = write_others(tmp_path, "cal", [f"c{n}" for n in range(12)])
    table = made.write()
    words = ("--calibration-trials", tmp_path / "cal/trials", "--calibration-embeddings", others,
             "--scores", tmp_path / "llr", "--json", tmp_path / "r.json")  # fmt: skip
    result = call("score-trials", *words, made.list, table)
    found = json.loads((tmp_path / "r.json").read_text())
    llrs = np.array([float(line.split()[2]) for line in (tmp_path / "llr").read_text().splitlines()])
    target = np.array([t for *_, t in made.pairs])
    kinds = llrs[target], llrs[~target]
    assert found["cllr"] == pytest.approx(cllr(*kinds), abs=1e-6) and found["cllr"] < 1
    assert found["interval"]["cllr"][0] < found["cllr"] < found["interval"]["cllr"][1]
    assert found["act_dcf"]["0.05"] == pytest.approx(act_dcf(*kinds, 0.05))
    assert (
        f" actDCF(0.05) {found['act_dcf']['0.05']:.4f} minCllr {found['min_cllr']:.4f} Cllr {found['cllr']:.4f} ["
        in result.text
    )
    assert "calibrated on score of 7140 other trials, " in result.text
    assert found["eer"] == pytest.approx(eer(*made.scores()), abs=1e-9)  # a rising map changes no order
    assert list(found["calibration"]["weights"]) == ["score"] and found["calibration"]["speakers"] == 12


def test_qualities_come_from_durations_embeddings_and_cohort(call, made, tmp_path):
    vectors, others = write_others(tmp_path, "cal", [f"c{n}" for n in range(12)])
    _, cohort = write_others(tmp_path, "cohort", [f"d{n}" for n in range(12)], seed=2)
    durations = (f"{key} {2 + n % 7}.5\n" for n, key in enumerate([*vectors, *made.vectors]))
    (tmp_path / "utt2dur").write_text("".join(durations))
    words = ("--calibration-trials", tmp_path / "cal/trials", "--calibration-embeddings", others, "--cohort", cohort,
             "--top-n", 20, "--utt2dur", tmp_path / "utt2dur", "--json", tmp_path / "r.json")  # fmt: skip
    table = made.write()
    result = call("score-trials", *words, "--quality", "duration,magnitude,cohort", made.list, table)
    assert "calibrated on score and duration and magnitude and cohort of" in result.text
    weights = json.loads((tmp_path / "r.json").read_text())["calibration"]["weights"]
    sides = [f"{side} {name}" for name in ("duration", "magnitude", "cohort") for side in ("lower", "higher")]
    assert list(weights) == ["score", *sides] and all(weights.values())
    (tmp_path / "utt2dur").write_text("c0-0 2\n")
    result = call("score-trials", *words, "--quality", "duration", made.list, table, code=1)
    assert "utt2dur: c0-1 is in the trials and not in this map" in result.err


def test_calibration_on_test_speakers_is_refused(call, made, tmp_path):
    _, others = write_others(tmp_path, "cal", ["c0", "id1"])
    words = (
        "--calibration-trials",
        tmp_path / "cal/trials",
        "--calibration-embeddings",
        others,
        made.list,
        made.write(),
    )
    result = call("score-trials", *words, code=1)
    assert "cal/trials: the calibration has speaker id1 of the trials" in result.err and result.err.count("\n") == 1
    assert call("score-trials", "--i-know", "true", *words).text.endswith("leaks ] LEAKY\n")
    (tmp_path / "cal/utt2spk").unlink()  # neither known to be apart nor known to be the same
    result = call("score-trials", *words)
    assert "leaks unchecked ]" in result.text and "the speakers of the calibration trials" in result.err


def test_calibration_on_training_speakers_is_told(call, made, tmp_path):
    made.settings["trained_on"]["speakers"].append("c0")
    (made.root / "utt2spk").write_text((made.root / "utt2spk").read_text() + "libri-2 c0\n")
    _, others = write_others(tmp_path, "cal", ["c0", "c1"])
    settings = {"trained_on": made.settings["trained_on"]}
    with table_writer(f"ark:{tmp_path}/own.ark", kind="vector", settings=settings) as write:
        from sertk.kaldi.tables import read_table

        for key, vector in read_table(others, kind="vector"):
            write(key, vector)
    result = call("score-trials", "--calibration-trials", tmp_path / "cal/trials", "--calibration-embeddings",
                  f"ark:{tmp_path}/own.ark", made.list, made.write())  # fmt: skip
    assert "calibrated on score of 190 other trials of training speakers" in result.text


def test_tables_of_another_network_are_refused(call, made, tmp_path):
    made.settings["model"] = "this"
    _, others = write_others(tmp_path, "other", ["c0", "c1"], model="another")
    table = made.write()
    for words in (("--cohort", others), ("--mean", others),
                  ("--calibration-trials", tmp_path / "other/trials", "--calibration-embeddings", others)):  # fmt: skip
        result = call("score-trials", *words, made.list, table, code=1)
        assert f"{others}: embeddings of another network than {table}" in result.err


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
