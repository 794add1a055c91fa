"""Work that a real Slurm takes away: requeued or resubmitted, it ends with the same bytes (all slow)."""

import re
import subprocess

import pytest
from slurm_cluster import job_of
from support import body, wait_for
from toydata import NETWORK, write_toy_data

pytestmark = pytest.mark.slow

TRAIN = (
    "train-resnet",
    *map(str, NETWORK),
    *["--epochs", "10", "--copies", "8", "--checkpoint-every", "0", "scp:feats.scp", "utt2label"],
)


@pytest.fixture
def straight(checkout, tmp_path):
    """Run a binary on the toy task without any interruption: straight("train-resnet", …)."""
    write_toy_data(tmp_path)

    def call(*words):
        binary, *rest = " ".join(words).split()
        subprocess.run([checkout / "bin" / binary, *rest], cwd=tmp_path, check=True, capture_output=True)

    return call


def starts(log):
    return log.read_text().count("# Running on ")


def files(folder):
    """What a run gives, without its checkpoints, which have the time that it took."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.name == "final.pt" or path.suffix == ".ark"
    }


def preempt_until_it_ends(driver, cluster, log, marks):
    """Take the node away when each of `marks` stands in what a new start of the job has said; the driver's stderr."""

    def has_come(number, mark):
        said = log.read_text().split("# Running on ") if log.exists() else [""]
        return driver.poll() is not None or (len(said) > number and mark in said[-1])

    for number, mark in enumerate(marks, 1):
        wait_for(lambda number=number, mark=mark: has_come(number, mark))
        cluster.preempt(1)
    _, err = driver.communicate(timeout=600)
    return err


def test_a_preempted_training_is_requeued_to_the_same_bytes(start_driver, straight, cluster, tmp_path):
    straight(*TRAIN, "straight")
    driver = start_driver("t.log", *TRAIN, "taken")
    # Before it has loaded anything, in its first epoch, and later.
    err = preempt_until_it_ends(driver, cluster, tmp_path / "t.log", ("# Started", "40 segments", "epoch 4 of"))
    assert driver.returncode == 0, err
    assert starts(tmp_path / "t.log") >= 4
    assert files(tmp_path / "taken") == files(tmp_path / "straight")


def test_an_early_notice_checkpoints_and_requeues(start_driver, straight, cluster, tmp_path):
    straight(*TRAIN, "straight")
    log = tmp_path / "u.log"
    driver = start_driver("u.log", *TRAIN, "told")
    for number in (1, 2):
        wait_for(lambda number=number: log.exists() and starts(log) == number)
        cluster.run("scancel", "--batch", "--signal=USR1", job_of(tmp_path, "u.log"))
    _, err = driver.communicate(timeout=600)
    assert driver.returncode == 0, err
    assert log.read_text().count("# Ended (code 75)") == 2 and starts(log) == 3
    assert files(tmp_path / "told") == files(tmp_path / "straight") != {}


def test_preempted_draws_and_heads_end_with_the_same_bytes(start_driver, straight, cluster, tmp_path):
    straight(*TRAIN, "trunk")
    embed = "embed-segments --num-threads 1 --draws 300 --chunk-frames 24,32 trunk/final.pt scp:feats.scp"
    embed += " ark,scp:{0}/d.ark,{0}/d.scp"
    heads = "transfer-head --num-threads 1 --epochs 300 trunk/final.pt scp:straight/d.scp utt2label utt2fold {0}/heads"
    for folder in ("straight", "taken"):
        (tmp_path / folder).mkdir()
    for name, command in (("embed", embed), ("heads", heads)):
        straight(command.format("straight"))
        driver = start_driver(f"{name}.log", command.format("taken"))
        err = preempt_until_it_ends(driver, cluster, tmp_path / f"{name}.log", ("# Started", "segments"))
        assert driver.returncode == 0, err
        assert starts(tmp_path / f"{name}.log") >= 2
        assert files(tmp_path / "taken") == files(tmp_path / "straight") != {}


def test_two_ranks_in_a_task_resume_to_the_same_bytes(start_driver, cluster, tmp_path):
    """As egs/voxceleb --num-gpus 2 does it, over gloo."""
    write_toy_data(tmp_path)
    utils = {name: start_driver(f"{name}.log run-ranks 2", *TRAIN, name) for name in ("straight", "told")}
    log = tmp_path / "told.log"
    wait_for(lambda: log.exists() and "epoch 2 of" in log.read_text())
    cluster.run("scancel", "--batch", "--signal=USR1", job_of(tmp_path, "told.log"))
    for driver in utils.values():
        _, err = driver.communicate(timeout=600)
        assert driver.returncode == 0, err
    assert log.read_text().count("# Ended (code 75)") == 1
    assert files(tmp_path / "told") == files(tmp_path / "straight") != {}


CLUSTER = "egs/common/cluster"


@pytest.fixture
def submit(cluster, checkout, tmp_path):
    """Submit a job from tmp_path, with the checkout in SERTK_ROOT: submit("--mem=2G", script, …, NAME=value) -> its id."""

    def call(*words, **variables):
        environment = cluster.environment | {"SERTK_ROOT": str(checkout), "OMP_NUM_THREADS": "1"} | variables
        words = ["sbatch", "--parsable", *map(str, words)]
        return subprocess.run(
            words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    return call


def test_the_srun_example_resumes_to_the_same_bytes(submit, cluster, checkout, tmp_path):
    write_toy_data(tmp_path)
    # Two processes (gloo), on a machine without GPUs, over the task of the fixtures.
    asked = ["--ntasks-per-node=2", "--gpus-per-node=2", "--cpus-per-task=1", "--mem=3G", "--time=30"]
    jobs = {
        name: submit(*asked, f"--output={name}.log", checkout / CLUSTER / "train.sbatch", *TRAIN[1:], name)
        for name in ("straight", "told")
    }

    def over(name):
        return "wrote" in (tmp_path / f"{name}.log").read_text() if (tmp_path / f"{name}.log").exists() else False

    wait_for(lambda: over("straight"))
    wait_for(lambda: (tmp_path / "told.log").exists() and "epoch 2 of" in (tmp_path / "told.log").read_text())
    cluster.run("scancel", "--signal=USR1", jobs["told"])
    wait_for(lambda: over("told"))
    text = (tmp_path / "told.log").read_text()
    assert "run the same command again" in text and "resuming after epoch" in text, text
    assert files(tmp_path / "told") == files(tmp_path / "straight") != {}


def test_the_example_recipe_job_is_outlived_by_its_arrays(submit, cluster, checkout, tmp_path):
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "run.sh").write_text(
        '#!/usr/bin/env bash\nset -e\n. "$SERTK_ROOT/egs/common/path.sh"\n'
        '$train_cmd JOB=1:2 "$1/train.JOB.log" echo "job JOB" ";" sleep 10\necho all done\n'
    )
    (recipe / "run.sh").chmod(0o755)
    words = ["--mem=100M", "--output=driver.log", checkout / CLUSTER / "driver.sbatch", recipe, tmp_path / "log"]
    driver = submit(*words, train_cmd="run-slurm --mem 100M")
    job = job_of(tmp_path, "log/train.JOB.log")
    cluster.run("scancel", driver)
    wait_for(lambda: f"stopped by SIGTERM; job {job} keeps running" in (tmp_path / "driver.log").read_text())
    submit(*words, train_cmd="run-slurm --mem 100M")
    wait_for(lambda: "all done" in (tmp_path / "driver.log").read_text())
    # Waited for where it still ran, and in no case submitted again.
    text = (tmp_path / "driver.log").read_text()
    assert re.search(f"job {job} is in the queue already|all tasks ended with code 0 in job {job}", text), text
    assert " submitted, log " not in text
    assert [body(tmp_path / f"log/train.{n}.log") for n in (1, 2)] == [["job 1"], ["job 2"]]
