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

from jobs import RUN_AGAIN, Job, pass_on, stop, with_number

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
            pass_on(signal.SIGUSR1, [job.process.pid], told)


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
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:  # of the log, mostly: where Slurm could open it this line stands in it
        print(f"run-slurm: ERROR: {error}", file=sys.stderr)
        sys.exit(1)
