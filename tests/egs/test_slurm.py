"""run-slurm on a real Slurm: what fails is named soon, what is taken away goes on, to the same bytes (all slow)."""

import os
import re
import signal
import subprocess
import time

import pytest
from support import body, wait_for
from toydata import NETWORK, write_toy_data

pytestmark = pytest.mark.slow


@pytest.fixture
def start(cluster, checkout, start_slurm):
    """Start a driver: start("JOB=1:2 JOB.log sleep 3") -> Popen."""
    utils = checkout / "egs" / "common" / "utils"
    environment = cluster.environment | {
        "PATH": f"{checkout / 'bin'}:{utils}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    return lambda *words: start_slurm(utils / "run-slurm", environment, words)


@pytest.fixture
def run(start):
    """Call run-slurm and wait for it: run("JOB=1:2 JOB.log sleep 3") -> (exit status, stderr)."""

    def call(*words):
        driver = start(*words)
        _, err = driver.communicate(timeout=600)
        return driver.returncode, err

    return call


def job_of(folder, name):
    """The id in a state file, once it is there."""
    found = []

    def there():
        file = folder / f"{name}.slurm"
        found[:] = re.findall(r'"array": "(\d+)"', file.read_text()) if file.exists() else []
        return found

    wait_for(there)
    return found[0]


def starts(log):
    return log.read_text().count("# Running on ")


def test_a_failing_task_names_its_log_and_the_others_run(run, tmp_path):
    code, err = run(
        "--mem 100M --gpu 1 --num-threads 1 JOB=1:4 log/a.JOB.log echo gpu $CUDA_VISIBLE_DEVICES; [ JOB != 3 ]"
    )
    assert code == 1
    submitted, *lines = err.splitlines()
    assert re.fullmatch(r"run-slurm: job \d+ \(4 tasks\) submitted, log log/a\.JOB\.log", submitted)
    assert re.fullmatch(r"run-slurm: WARNING: job \d+_3: FAILED, see log/a\.3\.log", lines[0])
    assert lines[1] == "run-slurm: ERROR: 1 of 4 jobs failed, see log/a.3.log; the end of the first:"
    assert {body(tmp_path / f"log/a.{n}.log")[0] for n in range(1, 5)} <= {"gpu 0", "gpu 1"}
    assert [path.name for path in (tmp_path / "log").glob("*.slurm")] == []


def test_a_cancelled_task_is_named_within_30_seconds(start, cluster, tmp_path):
    driver = start("JOB=1:2 c.JOB.log sleep 100")
    job = job_of(tmp_path, "c.JOB.log")
    wait_for(lambda: all((tmp_path / f"c.{n}.log").read_text().count("#") > 3 for n in "12"))
    time.sleep(20)  # by now the driver looks at the queue at its slowest
    cluster.run("scancel", f"{job}_2")
    began = time.monotonic()
    assert driver.stderr.readline() == f"run-slurm: job {job} (2 tasks) submitted, log c.JOB.log\n"
    line = driver.stderr.readline()
    seconds = time.monotonic() - began
    print(f"a cancelled task was named after {seconds:.1f} s")
    assert line == f"run-slurm: WARNING: job {job}_2: CANCELLED, see c.2.log\n" and seconds < 30
    driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 143 and "cancelling job" in err
    assert cluster.run("squeue", "--noheader", "--jobs", job, check=False) == ""


def test_a_task_over_its_memory_or_time_is_named(start, tmp_path):
    (tmp_path / "hog.py").write_text("import time\nx = bytearray(b'x') * 400_000_000\ntime.sleep(100)\n")
    time_out = start("--time 1 time.log sleep 300")
    _, err = start("--mem 50M mem.log python3 hog.py").communicate(timeout=60)
    # Without cgroups Slurm calls it FAILED, and kills all of it, so that no end line is written; why stands in the log.
    assert "the job failed, see mem.log (has no end line: the job was killed or never began); the end of" in err, err
    assert "exceeded memory limit" in err
    _, err = time_out.communicate(timeout=300)
    assert ": TIMEOUT, see time.log\n" in err and "the job failed, see time.log (TIMEOUT); the end of the first:" in err


def test_a_job_that_cannot_start_is_told_with_slurms_reason(start, cluster, tmp_path):
    driver = start(f"--num-threads {os.cpu_count() + 1} p.log true")
    job = job_of(tmp_path, "p.log")
    driver.stderr.readline()
    line = driver.stderr.readline()
    assert line.startswith(f"run-slurm: WARNING: job {job}_1 is pending, Slurm's reason is PartitionConfig"), line
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=60) == 130
    _, err = start("--gpu 9 q.log true").communicate(timeout=60)
    assert (err.count("\n"), [path.name for path in tmp_path.glob("q.log*")]) == (1, [])


def test_a_log_that_the_node_cannot_write_is_named_as_such(start, cluster, tmp_path):
    """The folder is gone when the task starts: as where the node does not mount it."""
    hold = cluster.run("sbatch", "--parsable", f"-n{os.cpu_count()}", "--wrap=sleep 100", "-o", "/dev/null").strip()
    driver = start("gone/a.log true")
    job_of(tmp_path, "gone/a.log")
    for path in sorted((tmp_path / "gone").iterdir()):
        path.unlink()
    (tmp_path / "gone").rmdir()
    cluster.run("scancel", hold)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 1 and "see gone/a.log (is missing: its node could not write it)" in err, err


def test_more_tasks_than_max_array_size(start, tmp_path):
    _, err = start("JOB=1000:1001 m.JOB.log true").communicate(timeout=60)
    assert "is too long: this cluster's MaxArraySize is 1001" in err


def test_a_killed_drivers_array_is_continued_by_the_next(start, run, tmp_path):
    words = "JOB=1:3 k.JOB.log echo JOB >> started; sleep 6"
    first = start(words)
    job = job_of(tmp_path, "k.JOB.log")
    first.kill()
    first.wait()
    code, err = run(words)
    assert (code, err) == (0, f"run-slurm: job {job} is in the queue already\n")
    assert sorted((tmp_path / "started").read_text().split()) == ["1", "2", "3"]


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


def test_a_preempted_training_is_requeued_to_the_same_bytes(start, straight, cluster, tmp_path):
    straight(*TRAIN, "straight")
    driver = start("t.log", *TRAIN, "taken")
    # Before it has loaded anything, in its first epoch, and later.
    err = preempt_until_it_ends(driver, cluster, tmp_path / "t.log", ("# Started", "40 segments", "epoch 4 of"))
    assert driver.returncode == 0, err
    assert starts(tmp_path / "t.log") >= 4
    assert files(tmp_path / "taken") == files(tmp_path / "straight")


def test_an_early_notice_checkpoints_and_requeues(start, straight, cluster, tmp_path):
    straight(*TRAIN, "straight")
    log = tmp_path / "u.log"
    driver = start("u.log", *TRAIN, "told")
    for number in (1, 2):
        wait_for(lambda number=number: log.exists() and starts(log) == number)
        cluster.run("scancel", "--batch", "--signal=USR1", job_of(tmp_path, "u.log"))
    _, err = driver.communicate(timeout=600)
    assert driver.returncode == 0, err
    assert log.read_text().count("# Ended (code 75)") == 2 and starts(log) == 3
    assert files(tmp_path / "told") == files(tmp_path / "straight") != {}


def test_slurm_gives_notice_before_the_time_limit(run, tmp_path):
    (tmp_path / "told.sh").write_text(
        "trap 'echo told; exit 75' USR1\n[ -e once ] && exit\ntouch once; sleep 90 & wait\n"
    )
    code, err = run("--time 1 --notice 30 n.log bash told.sh")
    assert (code, len(err.splitlines())) == (0, 1)
    text = (tmp_path / "n.log").read_text()
    assert body(tmp_path / "n.log")[0] == "told" and "# Ended (code 75)" in text and "# Ended (code 0)" in text
    print("notice after", *re.findall(r"Ended \(code 75\).* time (\d+) s", text), "s of 60")


def test_preempted_draws_and_heads_end_with_the_same_bytes(start, straight, cluster, tmp_path):
    straight(*TRAIN, "trunk")
    embed = "embed-segments --num-threads 1 --draws 300 --chunk-frames 24,32 trunk/final.pt scp:feats.scp"
    embed += " ark,scp:{0}/d.ark,{0}/d.scp"
    heads = "transfer-head --num-threads 1 --epochs 300 trunk/final.pt scp:straight/d.scp utt2label utt2fold {0}/heads"
    for folder in ("straight", "taken"):
        (tmp_path / folder).mkdir()
    for name, command in (("embed", embed), ("heads", heads)):
        straight(command.format("straight"))
        driver = start(f"{name}.log", command.format("taken"))
        err = preempt_until_it_ends(driver, cluster, tmp_path / f"{name}.log", ("# Started", "segments"))
        assert driver.returncode == 0, err
        assert starts(tmp_path / f"{name}.log") >= 2
        assert files(tmp_path / "taken") == files(tmp_path / "straight") != {}


def test_two_ranks_in_a_task_resume_to_the_same_bytes(start, cluster, tmp_path):
    """As egs/voxceleb --num-gpus 2 does it, over gloo."""
    write_toy_data(tmp_path)
    utils = {name: start(f"{name}.log run-ranks 2", *TRAIN, name) for name in ("straight", "told")}
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
