"""fuse-scores: the mean of systems in an experiment folder, which the leak guard checks like theirs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from experiment import LABELS, Experiment

from sertk.datadir.lists import read_list, write_list
from sertk.kaldi.tables import read_manifest, read_table, table_writer

FOLDS = ("1", "2", "3")


def scores(folder):
    return {key: row for fold in FOLDS for key, row in read_table(f"ark:{folder}/{fold}/scores.ark", kind="vector")}


def test_two_systems_are_averaged(call, box):
    call(
        "fuse-scores",
        "--average",
        "linear",
        "--weights",
        "3,1",
        "exp/folds",
        "exp/transfer",
        "exp/scratch",
        "exp/fusion",
    )
    one, other, fused = scores("exp/transfer"), scores("exp/scratch"), scores("exp/fusion")
    assert fused.keys() == one.keys()
    assert all(fused[key] == pytest.approx(0.75 * one[key] + 0.25 * other[key], abs=1e-6) for key in fused)
    settings = read_manifest("ark:exp/fusion/1/scores.ark").settings
    assert settings["fusion"] == {"average": "linear", "weights": {"exp/transfer": 0.75, "exp/scratch": 0.25}}
    assert [part["trained_on"]["fold"] for part in settings["fused"]] == ["1", "1"]
    lists = ("exp/folds/utt2label", "exp/folds/utt2fold")
    results = {}
    for system in ("fusion", "transfer"):
        call("score-loso", "--json", f"{system}.json", *lists, f"exp/{system}")
        results[system] = json.loads(Path(f"{system}.json").read_text())
    # The guard has seen the same networks.
    assert all(results["fusion"][name] == results["transfer"][name] for name in ("guard", "stamps", "select"))
    reasons = [{reason.partition(": ")[2] for reason in found["unchecked"]} for found in results.values()]
    assert reasons[0] == reasons[1] != set()
    # All folds or none: the last one has no place.
    before = Path("exp/fusion/1/scores.ark").read_bytes()
    shutil.rmtree("exp/fusion/3")
    Path("exp/fusion/3").write_text("")
    call("fuse-scores", "exp/folds", "exp/transfer", "exp/scratch", "exp/fusion", code=1)
    assert Path("exp/fusion/1/scores.ark").read_bytes() == before


def test_scores_of_a_trained_system_are_not_overwritten(call, box):
    """DIR was forgotten: the last system stands in its place."""
    before = Path("exp/scratch/1/scores.ark").read_bytes()
    err = call("fuse-scores", "exp/folds", "exp/transfer", "exp/seeds", "exp/scratch", code=1).err
    assert "exp/scratch: has models, such as exp/scratch/1/final.pt" in err
    assert Path("exp/scratch/1/scores.ark").read_bytes() == before


def test_runs_of_one_system_become_an_ensemble(call, box):
    for seed, name in enumerate(("transfer", "scratch")):
        shutil.copytree(f"exp/{name}", f"exp/seeds/seed{seed}")
    call("fuse-scores", "exp/folds", "exp/seeds", "exp/ensemble")
    one, other, fused = scores("exp/transfer"), scores("exp/scratch"), scores("exp/ensemble")
    for key, row in fused.items():
        product = np.sqrt(one[key] * other[key])
        assert row == pytest.approx(product / product.sum(), abs=1e-5)
    # A fusion with one of the runs: the ensemble has as much weight as that.
    call("fuse-scores", "--average", "linear", "exp/folds", "exp/seeds", "exp/transfer", "exp/fusion")
    key = next(iter(fused))
    expected = 0.75 * one[key] + 0.25 * other[key]
    assert scores("exp/fusion")[key] == pytest.approx(expected, abs=1e-6)


def test_a_leak_of_one_system_is_the_fusions(call, box):
    """One of two systems says that it was trained on what it is tested on."""
    shutil.copytree("exp/scratch", "exp/leaky")
    settings = read_manifest("ark:exp/leaky/2/scores.ark").settings
    rows = list(read_table("ark:exp/leaky/2/scores.ark", kind="vector"))
    settings["trained_on"]["keys"].append(rows[0][0])
    with table_writer("ark:exp/leaky/2/scores.ark", kind="vector", settings=settings) as write:
        for key, row in rows:
            write(key, row)
    call("fuse-scores", "exp/folds", "exp/transfer", "exp/leaky", "exp/fusion")
    result = call("score-loso", "exp/folds/utt2label", "exp/folds/utt2fold", "exp/fusion", code=1)
    assert f"exp/fusion/2/scores.ark: test segment {rows[0][0]} in its training" in result.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["exp/folds", "exp/transfer", "exp/fusion"], 1, "exp/transfer: a single run: there is nothing to fuse"),
        (["--weights", "1", "exp/folds", "exp/transfer", "exp/scratch", "x"], 1, "1 weights for 2 systems"),
        (
            ["--weights", "-1,1", "exp/folds", "exp/transfer", "exp/scratch", "x"],
            2,
            "not a comma-separated list of weights",
        ),
        (["--weights", "0,0", "exp/folds", "exp/transfer", "exp/scratch", "x"], 1, "and not all 0"),
        (
            ["exp/folds", "exp/transfer", "exp/scratch", "exp/scratch"],
            1,
            "exp/scratch: cannot be read and written at once",
        ),
    ],
)
def test_what_cannot_be_fused_is_one_line(call, box, words, code, message):
    assert message in call("fuse-scores", *words, code=code).err


@pytest.fixture
def three(here, call):
    """Folds of three sessions; `good`, a `sure` one that is too sure of itself, and `noise`, which knows nothing."""
    rng, good = np.random.default_rng(7), Experiment(here)
    noise = {utt: rng.dirichlet(np.full(3, 0.3)).astype(np.float32) for utt in good.posteriors}
    sure = {utt: (vector**2 / (vector**2).sum()) for utt, vector in good.posteriors.items()}
    for name, posteriors in (("good", good.posteriors), ("noise", noise), ("sure", sure)):
        good.posteriors = posteriors
        good.write(name)
    return good


def fusion_of(name, fold):
    return read_manifest(f"ark:{name}/{fold}/scores.ark").settings["fusion"]


def test_weights_of_a_fold_are_fitted_on_the_others(three, call):
    call("fuse-scores", "--weights", "folds", "folds", "good", "noise", "fusion")
    fitted = {fold: fusion_of("fusion", fold) for fold in FOLDS}
    assert all(how["weights"]["good"] > 0.8 and how["fitted_on"] == "folds" for how in fitted.values())
    head = call("score-loso", *three.arguments, "fusion").text.splitlines()[0]
    assert head.endswith("] CROSS-FITTED")
    # The labels of fold 2 have no part in its weights, only in those of the others.
    labels = read_list("folds/utt2label")
    turn = dict(zip(LABELS, (*LABELS[1:], LABELS[0])))
    write_list("folds/utt2label", {k: turn[v] if three.folds.utt2fold[k] == 2 else v for k, v in labels.items()})
    call("fuse-scores", "--weights", "folds", "folds", "good", "noise", "turned")
    assert fusion_of("turned", 2) == fitted["2"] and fusion_of("turned", 1) != fitted["1"]
    assert Path("turned/2/scores.ark").read_bytes() == Path("fusion/2/scores.ark").read_bytes()


def test_a_temperature_is_fitted_with_the_weights(three, call):
    """Too sure a system beside noise: as `good`, after the temperature."""
    call("fuse-scores", "--weights", "folds", "folds", "sure", "noise", "sure_fusion")
    call("fuse-scores", "--weights", "folds", "folds", "good", "noise", "good_fusion")
    one, other = fusion_of("sure_fusion", 1), fusion_of("good_fusion", 1)
    factors = [how["weights"][name] / how["temperature"] for how, name in ((one, "sure"), (other, "good"))]
    assert 2 * factors[0] == pytest.approx(factors[1], rel=0.01)


def inner(three, name, posteriors, leak=()):
    """name/FOLD/inner.ark: scores of the segments of the other folds."""
    for fold in (1, 2, 3):
        settings = json.loads(json.dumps(three.settings[fold]))
        settings["trained_on"]["keys"] += leak
        with table_writer(f"ark:{name}/{fold}/inner.ark", kind="vector", settings=settings) as write:
            for key, row in posteriors.items():
                if three.folds.utt2fold[key] != fold:
                    write(key, row)


def test_weights_are_fitted_on_inner_scores(three, call):
    """The inner scores say that `good` is useless and `noise` is not: they decide, and nothing is stamped."""
    right = {
        utt: (0.1 + 0.7 * (np.array(LABELS) == label)).astype(np.float32) for utt, label in three.utt2label.items()
    }
    result = call("fuse-scores", "--weights", "inner", "folds", "good", "noise", "fusion", code=1)
    assert "good/1/inner.ark: no predictions of the training segments" in result.err
    inner(three, "good", dict.fromkeys(right, np.full(3, 1 / 3, np.float32)))
    inner(three, "noise", right)
    call("fuse-scores", "--weights", "inner", "folds", "good", "noise", "fusion")
    assert all(fusion_of("fusion", fold)["weights"]["noise"] > 0.99 for fold in FOLDS)
    assert call("score-loso", *three.arguments, "fusion").text.splitlines()[0].endswith("]")
    inner(three, "noise", right, leak=["Ses01F-ang0"])
    call("fuse-scores", "--weights", "inner", "folds", "good", "noise", "fusion")
    assert "test segment Ses01F-ang0 in its training" in call("score-loso", *three.arguments, "fusion", code=1).err
    shutil.copy("noise/1/inner.ark", "noise/2/inner.ark")
    err = call("fuse-scores", "--weights", "inner", "folds", "good", "noise", "fusion", code=1).err
    said = "noise/2/inner.ark: scores of other segments than the training segments of fold 2, such as Ses01F-ang0: of another"
    assert said in err and "Train the heads again with this one (transfer-head --inner-scores true)" in err


def test_fitted_weights_are_of_logarithms_of_several_folds(three, call):
    words = ("--weights", "folds", "--average", "linear", "folds", "good", "noise", "fusion")
    assert "not with --average linear" in call("fuse-scores", *words, code=2).err
    write_list("folds/utt2fold", dict.fromkeys(three.folds.utt2fold, "1"))
    for name in ("good", "noise"):
        with table_writer(f"ark:{name}.ark", kind="vector") as write:
            for key, row in scores(name).items():
                write(key, row)
    err = call("fuse-scores", "--weights", "folds", "folds", "ark:good.ark", "ark:noise.ark", "fusion", code=1).err
    assert "it takes two folds or more" in err
