"""slurmqueue and the logs of jobs: states of tasks, and which have failed."""

import doctest

import pytest
from support import ROOT


@pytest.fixture
def queue(monkeypatch):
    """The module slurmqueue, whose squeue answers what `queue.shown` is."""
    monkeypatch.syspath_prepend(ROOT / "egs" / "common" / "utils")
    import slurmqueue

    monkeypatch.setattr(slurmqueue, "slurm", lambda *words, **_: slurmqueue.shown)
    monkeypatch.setattr(slurmqueue, "SECONDS_TO_APPEAR", 0)
    return slurmqueue


def test_squeue_may_name_tasks_in_any_of_its_forms(queue):
    assert doctest.testmod(queue).failed == 0
    queue.shown = "[40-1000%20]|PENDING|Priority\n3|RUNNING|None\n1-2|COMPLETED|None\nN/A|RUNNING|None\n"
    tasks = queue.tasks_of("7")
    assert len(tasks) == 964 and tasks[999] == ("PENDING", "Priority") and tasks[3] == ("RUNNING", "None")
    queue.shown = "1,3,5,...|PENDING|Priority\n"
    with pytest.raises(queue.SlurmError, match="cannot read the task numbers"):
        queue.tasks_of("7")


def test_tasks_that_squeue_misses_leave_the_array_in_doubt(queue, tmp_path):
    watch = queue.Watch("7", {n: str(tmp_path / f"{n}.log") for n in (1, 2)}, lambda line: None)
    (tmp_path / "1.log").write_text("# Running on x\n# Ended (code 0) at now\n")
    queue.shown = ""
    while watch.look():
        pass
    assert watch.failed == {2: "gone from the queue"} and watch.unsure == {2}


def test_a_thousand_failures_one_by_one_are_told_in_three_lines(queue):
    told = []
    watch = queue.Watch("7", {n: f"{n}.log" for n in range(1, 1001)}, told.append)
    for n in range(1, 1001):
        queue.shown = "".join(f"{m}|{'FAILED' if m <= n else 'RUNNING'}|None\n" for m in range(n, 1001))
        if n < 5 or n == 1000:
            watch.look()
    assert told == [
        "job 7_1: FAILED, see 1.log",
        "job 7_2: FAILED, see 2.log",
        "more of its tasks failed; all are listed at the end",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "x.log (is missing: its node could not write it)"),
        ("", "x.log (is empty: the job did not start, or its node could not write it)"),
        ("# Running on n1\nhalf", "x.log (has no end line: the job was killed or never began); the end of the first:"),
        ("# Running on n1\n# Ended (code 1) at noon\n", "x.log; the end of the first:"),
    ],
)
def test_a_log_that_is_not_whole_is_named_as_such(queue, monkeypatch, tmp_path, capsys, text, fault):
    import jobs

    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "x.log").write_text(text)
    call = jobs.parse(["x.log", "true"], {"--num-threads": "", "--max-jobs-run": ""}, "")
    assert jobs.report_failed("run-slurm", call, {1: ""}) == 1
    assert capsys.readouterr().err.splitlines()[0] == f"run-slurm: ERROR: the job failed, see {fault}"


def test_a_full_disk_is_named_with_the_log(queue):
    import jobs

    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        jobs.Job("/dev/full", "true", {}, set())
