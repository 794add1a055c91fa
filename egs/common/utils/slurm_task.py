"""One task of run-slurm's array, on its compute node: slurm_task.py NAME LOG LINE

Runs LINE like run-local, with its log; NAME is replaced by the task's number in both. Slurm's signals are passed on, so
that commands can checkpoint:
- USR1 (the time limit is near) goes to every process of the job with a handler for it, even if the handler is
  installed later: Slurm may send it seconds after the start, and processes without a handler would die of it;
- TERM (preempted, cancelled, over the time limit) goes to all processes; bash waits for its command and exits with
  the command's status.
If LINE exits with 75 (run again), the task is requeued, unless it was cancelled.
"""

import math
import os
import signal
import subprocess
import sys
import time

from jobs import RUN_AGAIN, Job, pass_on, stop, with_number

# bash runs a trap after the foreground command: exit with its status, or, if it is 0, with TERM's, since the rest of
# the line does not run.
END_ON_TERM = "trap 's=$?; exit $((s ? s : 143))' TERM; "
SECONDS_TO_CHECKPOINT = 600  # Slurm's KillWait or GraceTime is usually shorter


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
    """Wait for the job's bash, passing signals on."""
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
    """Requeue this task unless it was cancelled.

    After a preemption Slurm has often requeued it already and refuses; that is not an error.
    """
    me = os.environ["SLURM_JOB_ID"]
    shown = subprocess.run(
        ["squeue", "--noheader", "--jobs", me, "--Format", "State:20,Reason:40,PreemptTime:30"],
        stdout=subprocess.PIPE,
        text=True,
    )
    state, reason, preempted = (shown.stdout.split() + ["", "", ""])[:3]
    # Earlier preemptions of the task do not count.
    preempted_now = preempted >= time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(job.began)) and preempted != "N/A"
    if state == "RUNNING" or reason == "TimeLimit" or preempted_now:
        done = subprocess.run(["scontrol", "requeue", me], stderr=subprocess.PIPE, text=True)
        if done.returncode and state == "RUNNING":
            job.note(f"# Not requeued: {done.stderr.strip()}")


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:  # usually of the log, which has this line if Slurm could open it
        print(f"run-slurm: ERROR: {error}", file=sys.stderr)
        sys.exit(1)
