"""One task of run-slurm's array, on its compute node: slurm_task.py NAME LOG LINE

Runs LINE as run-local does, with its log, NAME standing for the task's number in both. What Slurm asks for is passed
on, so that a command that can checkpoint does:
- USR1 (the time limit is near) goes to every process of the job that has a handler for it, also to one that has its
  handler only later: Slurm sends it early, seconds after the start, and others would die of it;
- TERM (preempted, cancelled, over the time limit) goes to all of them; bash waits for what it runs and ends with
  that one's status.
When LINE ends with 75, "run me again", the task is put back into the queue, unless it was cancelled.
"""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs import Job, stop, with_number

RUN_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
# bash runs a trap when the command in the foreground has ended: its status, or TERM's where it ended well, since
# what the line has behind it does not run.
END_ON_TERM = "trap 's=$?; exit $((s ? s : 143))' TERM; "
SECONDS_TO_CHECKPOINT = 600  # Slurm's own KillWait or GraceTime is nearly always shorter


def main(name: str, log: str, line: str) -> int:
    number = int(os.environ["SLURM_ARRAY_TASK_ID"])
    handled = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    job = Job(with_number(log, name, number), with_number(line, name, number), dict(os.environ), set(), END_ON_TERM)
    wait(job, handled)
    stop([job])
    code = job.process.returncode
    if code == RUN_AGAIN:
        run_again(job)
    return code if code >= 0 else 128 - code


def wait(job: Job, signals: set):
    """Wait for the job's bash to end, passing signals on."""
    near_the_end, told, deadline = False, set(), math.inf
    while job.process.poll() is None and time.monotonic() < deadline:
        received = signal.sigtimedwait(signals, 0.5)
        number = received.si_signo if received else None
        if number in (signal.SIGTERM, signal.SIGINT):
            job.send(signal.SIGTERM)
            deadline = min(deadline, time.monotonic() + SECONDS_TO_CHECKPOINT)
        near_the_end |= number == signal.SIGUSR1
        if near_the_end:
            pass_on(signal.SIGUSR1, job.process.pid, told)


def pass_on(number: int, ancestor: int, told: set[tuple[int, str]]):
    """Send a signal to the descendants of a process that handle it or wait for it, to each once."""
    parents, starts = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # After the name in brackets: state, parent, …; the 22nd field of all is when the process started.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], starts[int(entry.name)] = int(fields[1]), fields[19]
            except OSError:
                pass  # it has ended
    family, new = set(), {ancestor}
    while new:
        family |= new
        new = {pid for pid, parent in parents.items() if parent in new}
    for process in {(pid, starts.get(pid, "")) for pid in family} - told:
        if handles(process[0], number):
            told.add(process)
            try:
                os.kill(process[0], number)
            except ProcessLookupError:
                pass


def handles(pid: int, number: int) -> bool:
    """Whether a process catches a signal, or blocks it, as those do that wait for it (srun)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt:", "SigBlk:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def run_again(job: Job):
    """Put this task back into the queue, unless somebody cancelled it.

    In a preemption Slurm has often put it there already, and refuses; that is no failure.
    """
    me = os.environ["SLURM_JOB_ID"]
    shown = subprocess.run(
        ["squeue", "--noheader", "--jobs", me, "--Format", "State:20,Reason:40,PreemptTime:30"],
        stdout=subprocess.PIPE,
        text=True,
    )
    state, reason, preempted = (shown.stdout.split() + ["", "", ""])[:3]
    # An earlier preemption of the same task is no reason.
    preempted_now = preempted >= time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(job.began)) and preempted != "N/A"
    if state == "RUNNING" or reason == "TimeLimit" or preempted_now:
        done = subprocess.run(["scontrol", "requeue", me], stderr=subprocess.PIPE, text=True)
        if done.returncode and state == "RUNNING":
            job.note(f"# Not put back into the queue: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
