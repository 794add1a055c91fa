"""run-slurm on a real Slurm: tasks that fail, are cancelled, killed or cannot start, and its own restart (all slow)."""

import os
import re
import signal
import time

import pytest
from slurm_cluster import job_of
from support import body, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def run(start_driver):
    """Call run-slurm and wait for it: run("JOB=1:2 JOB.log sleep 3") -> (exit status, stderr)."""

    def call(*words):
        driver = start_driver(*words)
        _, err = driver.communicate(timeout=600)
        return driver.returncode, err

    return call


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


def test_a_cancelled_task_is_named_within_30_seconds(start_driver, cluster, tmp_path):
    driver = start_driver("JOB=1:2 c.JOB.log sleep 100")
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


def test_a_task_over_its_memory_or_time_is_named(start_driver, tmp_path):
    (tmp_path / "hog.py").write_text("import time\nx = bytearray(b'x') * 400_000_000\ntime.sleep(100)\n")
    time_out = start_driver("--time 1 time.log sleep 300")
    _, err = start_driver("--mem 50M mem.log python3 hog.py").communicate(timeout=60)
    # Without cgroups Slurm calls it FAILED, and kills all of it, so that no end line is written; why stands in the log.
    assert "the job failed, see mem.log (has no end line: the job was killed or never began); the end of" in err, err
    assert "exceeded memory limit" in err
    _, err = time_out.communicate(timeout=300)
    assert ": TIMEOUT, see time.log\n" in err and "the job failed, see time.log (TIMEOUT); the end of the first:" in err


def test_a_job_that_cannot_start_is_told_with_slurms_reason(start_driver, cluster, tmp_path):
    driver = start_driver(f"--num-threads {os.cpu_count() + 1} p.log true")
    job = job_of(tmp_path, "p.log")
    driver.stderr.readline()
    line = driver.stderr.readline()
    assert line.startswith(f"run-slurm: WARNING: job {job}_1 is pending, Slurm's reason is PartitionConfig"), line
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=60) == 130
    _, err = start_driver("--gpu 9 q.log true").communicate(timeout=60)
    assert (err.count("\n"), [path.name for path in tmp_path.glob("q.log*")]) == (1, [])


def test_a_log_that_the_node_cannot_write_is_named_as_such(start_driver, cluster, tmp_path):
    """The folder is gone when the task starts: as where the node does not mount it."""
    hold = cluster.run("sbatch", "--parsable", f"-n{os.cpu_count()}", "--wrap=sleep 100", "-o", "/dev/null").strip()
    driver = start_driver("gone/a.log true")
    job_of(tmp_path, "gone/a.log")
    for path in sorted((tmp_path / "gone").iterdir()):
        path.unlink()
    (tmp_path / "gone").rmdir()
    cluster.run("scancel", hold)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 1 and "see gone/a.log (is missing: its node could not write it)" in err, err


def test_more_tasks_than_max_array_size(start_driver, tmp_path):
    _, err = start_driver("JOB=1000:1001 m.JOB.log true").communicate(timeout=60)
    assert "is too long: this cluster's MaxArraySize is 1001" in err


def test_a_killed_drivers_array_is_continued_by_the_next(start_driver, run, tmp_path):
    words = "JOB=1:3 k.JOB.log echo JOB >> started; sleep 6"
    first = start_driver(words)
    job = job_of(tmp_path, "k.JOB.log")
    first.kill()
    first.wait()
    code, err = run(words)
    assert (code, err) == (0, f"run-slurm: job {job} is in the queue already\n")
    assert sorted((tmp_path / "started").read_text().split()) == ["1", "2", "3"]


def test_slurm_gives_notice_before_the_time_limit(run, tmp_path):
    (tmp_path / "told.sh").write_text(
        "trap 'echo told; exit 75' USR1\n[ -e once ] && exit\ntouch once; sleep 90 & wait\n"
    )
    code, err = run("--time 1 --notice 30 n.log bash told.sh")
    assert (code, len(err.splitlines())) == (0, 1)
    text = (tmp_path / "n.log").read_text()
    assert body(tmp_path / "n.log")[0] == "told" and "# Ended (code 75)" in text and "# Ended (code 0)" in text
    print("notice after", *re.findall(r"Ended \(code 75\).* time (\d+) s", text), "s of 60")
