"""The grid of run_ablation.sh as job arrays of a real Slurm, and what it gives when everything goes wrong (all slow)."""

import os
import random
import re
import signal
import subprocess
import time

import pytest
from toydata import NETWORK, write_toy_data

from sertk.datadir.lists import read_list, write_list

pytestmark = pytest.mark.slow
LABELS = "ang ang\nhap hap\nneu neu\nsad sad\n"
OPTIONS = ["--num-folds", "2", "--frames", "24", "--masks", "masks", "--pooling", "pooled"]


@pytest.fixture
def recipe(checkout, tmp_path):
    """A recipe with the toy task's data, confs and speaker network, its work in tmp_path."""
    data, conf = tmp_path / "data" / "all", tmp_path / "conf"
    data.mkdir(parents=True)
    conf.mkdir()
    write_toy_data(data)
    keys = read_list(data / "utt2label")
    write_list(data / "utt2spk", {key: key[:4] for key in keys})
    network = "".join(
        f"{name}={value}\n" for name, value in zip(NETWORK[::2], NETWORK[1::2]) if name != "--num-threads"
    )
    (conf / "scratch.conf").write_text(f"{network}--epochs=4\n--copies=2\n--checkpoint-every=0\n")
    (conf / "draws.conf").write_text("--draws=4\n--chunk-frames=24,32\n")
    (conf / "head.conf").write_text("--epochs=4\n")
    (conf / "labels.exp1").write_text(LABELS)
    (tmp_path / "speakers").mkdir()
    others = write_toy_data(tmp_path / "speakers", speaker="other")  # the guard against leaks looks at names
    words = [
        "--config",
        conf / "scratch.conf",
        f"scp:{others}/feats.scp",
        others / "utt2label",
        tmp_path / "exp" / "resnet34",
    ]
    subprocess.run([checkout / "bin" / "train-resnet", *words], check=True, capture_output=True)
    return tmp_path


def start(recipe, checkout, environment, *words):
    common = checkout / "egs" / "common"
    path = f"{common / 'steps'}:{common / 'utils'}:{checkout / 'bin'}:{checkout / '.venv' / 'bin'}:{os.environ['PATH']}"
    with open(recipe / "driver.log", "ab") as log:
        return subprocess.Popen(
            ["run_ablation.sh", *OPTIONS, *words],
            cwd=recipe,
            env=environment | {"PATH": path, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "LC_ALL": "C"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def results(recipe):
    """All that the cells give: networks, scores, results."""
    ablation = recipe / "exp" / "ablation"
    wanted = {"final.pt", "scores.ark", "results.json", "RESULTS"}
    return {
        str(path.relative_to(ablation)): path.read_bytes()
        for path in sorted(ablation.glob("exp1/**/*"))
        if path.name in wanted
    }


def disturb(cluster, driver, rng) -> str:
    """Do one of five bad things; what it was, "" where there was nothing to do it to."""
    shown = cluster.run("squeue", "--noheader", "--array", "--partition=main", "--format=%F_%K %T", check=False)
    running = [line.split()[0] for line in shown.splitlines() if line.endswith("RUNNING")]
    what = rng.choice(["preemption", "requeue", "cancellation", "driver kill", "notice"])
    if what == "driver kill":
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    elif not running:
        return ""
    elif what == "preemption":
        cluster.preempt(0.5)
    else:
        words = {
            "requeue": ["scontrol", "requeue"],
            "cancellation": ["scancel"],
            "notice": ["scancel", "--batch", "--signal=USR1"],
        }
        cluster.run(*words[what], rng.choice(running), check=False)
    return what


def test_the_grid_survives_thirty_preemptions_and_kills(recipe, checkout, cluster):
    straight = start(recipe, checkout, os.environ | {"SERTK_ROOT": str(checkout)}, "--cmd", "run-local")
    assert straight.wait() == 0, (recipe / "driver.log").read_text()
    wanted = results(recipe)
    assert sum(name.endswith("scores.ark") for name in wanted) == 4  # two cells, two folds each
    ablation, aside = recipe / "exp" / "ablation", iter(range(1000))
    ablation.rename(recipe / f"grid.{next(aside)}")

    rng, done, began = random.Random(0), [], time.monotonic()
    cmd = "run-slurm --mem 2G --notice 5"
    driver = start(recipe, checkout, cluster.environment, "--cmd", cmd)
    while True:
        time.sleep(rng.uniform(1, 5) if len(done) < 30 else 1)
        if len(done) < 30 and driver.poll() is None:
            what = disturb(cluster, driver, rng)
            done += [what] if what else []
        if driver.poll() is not None:
            if driver.returncode == 0:
                assert results(recipe) == wanted
                if len(done) >= 30:
                    break
                ablation.rename(recipe / f"grid.{next(aside)}")  # too quick for so many blows: all of it again
            driver = start(
                recipe, checkout, cluster.environment, "--cmd", cmd
            )  # killed, or a cancelled cell has failed
    print({what: done.count(what) for what in sorted(set(done))}, f"{time.monotonic() - began:.0f} s")
    assert re.search(r"is in the queue already", (recipe / "driver.log").read_text())
