"""The grid of Fig. 4 with the real binaries on a toy task, interrupted at will and as arrays of a real Slurm (all slow)."""

import os
import random
import signal
import subprocess
import time

import pytest
from support import ROOT
from toydata import NETWORK, write_toy_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SCRIPT = str(ROOT / "egs" / "mini" / "local" / "run_ablation.sh")
CONFS = {
    "draws": "--draws=2\n--chunk-frames=24,32\n",
    "head": "--epochs=2\n--batch-size=8\n",
    "scratch": "--channels=2\n--blocks=1,1,1,1\n--embedding-dim=8\n--chunk-frames=24,32\n--epochs=2\n--batch-size=8\n",
}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A data folder, a speaker network that has not heard its segments, and confs."""
    root = tmp_path_factory.mktemp("ablation")
    data = write_toy_data(root)
    keys = sorted(line.split()[0] for line in (data / "utt2label").read_text().splitlines())
    (data / "utt2spk").write_text("".join(f"{key} {key[:4]}\n" for key in keys))
    (data / "utt2dialog").write_text((data / "utt2spk").read_text())
    (data / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in keys))
    for name, text in CONFS.items():
        (root / f"{name}.conf").write_text(text)
    renamed = root / "speakers"
    renamed.mkdir()
    for name in ("feats.scp", "utt2spk"):
        (renamed / name).write_text("".join(f"x{line}\n" for line in (data / name).read_text().splitlines()))
    network = [*NETWORK, "--epochs", 1, "--batch-size", 8]
    words = ["train-resnet", *network, f"scp:{renamed}/feats.scp", renamed / "utt2spk", root / "resnet34"]
    subprocess.run([ROOT / "bin" / words[0], *map(str, words[1:])], env=ENVIRONMENT, check=True, timeout=300)
    return root


def call(recipe, work, *words, environment=ENVIRONMENT):
    """Start run_ablation.sh for four cells of two folds in `work`."""
    (work / "data").mkdir(parents=True, exist_ok=True)
    if not (work / "data" / "all").exists():
        (work / "data" / "all").symlink_to(recipe)
    confs = [word for name in CONFS for word in (f"--{name}-conf", recipe / f"{name}.conf")]
    line = [SCRIPT, "--work", work, "--init", recipe / "resnet34" / "final.pt", "--experiments", "exp1", *confs,
            "--masks", "plain", "--frames", "24", "--num-folds", "2", *words]  # fmt: skip
    return subprocess.Popen(list(map(str, line)), env=environment, start_new_session=True, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


@pytest.fixture(scope="module")
def straight(recipe):
    """What an undisturbed run leaves: the scores of every fold of every cell, by path."""
    driver = call(recipe, recipe / "straight")
    out, err = driver.communicate(timeout=3000)
    assert driver.returncode == 0, out + err
    return scores(recipe / "straight")


def scores(work):
    folder = work / "exp" / "ablation"
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("scores.ark"))}


def test_an_undisturbed_run_has_every_cell_in_its_figure(recipe, straight):
    assert len(straight) == 4 * 2
    report = (recipe / "straight" / "exp" / "report" / "report.md").read_text()
    for name in ("none", "SP", "TL", "TL + SP"):
        assert f"| exp1 | {name} |" in report
    again = call(recipe, recipe / "straight")
    out, err = again.communicate(timeout=600)
    assert again.returncode == 0
    assert "==" not in out, out + err


def test_stopped_drivers_and_jobs_end_in_the_same_scores(recipe, straight):
    rng, stops = random.Random(0), 0
    while True:
        driver = call(recipe, recipe / "stopped")
        try:
            out, err = driver.communicate(timeout=rng.uniform(1, 12) if stops < 20 else 3000)
            break
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
            driver.communicate(timeout=60)
            stops += 1
    print(f"{stops} times stopped")
    assert driver.returncode == 0, out + err
    assert scores(recipe / "stopped") == straight


def test_the_grid_on_a_real_slurm_ends_in_the_same_scores(recipe, straight, cluster):
    environment = cluster.environment | {"OMP_NUM_THREADS": "1"}
    submit = call(recipe, recipe / "arrays", "--cmd", "run-slurm", "--submit", environment=environment)
    out, err = submit.communicate(timeout=600)
    assert submit.returncode == 0 and "submitted: trunk " in out, out + err
    requeues = 0
    while rows := squeue(environment, "%A %t"):
        running = [job for job, state in rows if state == "R"]
        if running and requeues < 8:
            subprocess.run(["scontrol", "requeue", running[0]], env=environment, capture_output=True)
            requeues += 1
        time.sleep(5)
    print(f"{requeues} tasks requeued")
    status = call(recipe, recipe / "arrays", "--status", environment=environment)
    assert "queued" in status.communicate(timeout=60)[0]
    assert status.returncode == 0
    assert scores(recipe / "arrays") == straight


def squeue(environment, wanted):
    done = subprocess.run(["squeue", "--me", "--array", "--noheader", f"--format={wanted}"], env=environment, text=True,
                          capture_output=True, check=True)  # fmt: skip
    return [line.split() for line in done.stdout.splitlines()]
