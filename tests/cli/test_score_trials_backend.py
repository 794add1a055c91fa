"""score-trials with a cohort (AS-Norm) and with trials to calibrate on."""

import json

import numpy as np
import pytest
from trialspeakers import Speakers, write_others

from sertk.kaldi.tables import read_table, table_writer
from sertk.scoring.speaker import act_dcf, cllr, eer


@pytest.fixture
def made(tmp_path):
    return Speakers(tmp_path)


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
