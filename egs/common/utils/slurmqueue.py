"""Asking Slurm about a job array: by squeue alone, since many clusters keep no accounts (sacct)."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# What squeue calls a task that will not run again by itself.
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"}
OVER |= {"PREEMPTED", "REVOKED"}
LONGEST_WAIT = 10  # seconds between two looks at the queue
SECONDS_TO_APPEAR = 15  # a log written on another node is seen here so late


class SlurmError(Exception):
    """Slurm said no."""


def slurm(*words: str, script: str = "", environment=None, keep_open=()) -> str:
    """The stdout of one of Slurm's programs.

    Args:
        script: its stdin.
        environment: ours where there is none.
        keep_open: file descriptors that it inherits.

    Raises:
        SlurmError: with its last line on stderr, where it failed or is not there.
    """
    try:
        done = subprocess.run(words, input=script, capture_output=True, text=True, env=environment, pass_fds=keep_open)
    except FileNotFoundError:
        raise SlurmError(f"there is no {words[0]} on PATH: is this a machine of the cluster?") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise SlurmError(f"{words[0]}: {lines[-1].removeprefix(f'{words[0]}: error: ')}")
    return done.stdout


def tasks_of(array: str) -> dict[int, tuple[str, str]]:
    """State and reason of every task of an array that Slurm knows of, those that ended a moment ago among them.

    Raises:
        SlurmError: where Slurm does not answer.
    """
    try:
        shown = slurm("squeue", "--noheader", "--array", "--states=all", "--jobs", array, "--format=%K|%T|%r")
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return {}
        raise
    tasks = {}
    for line in shown.splitlines():
        number, state, reason = line.split("|", 2)
        if number.isdigit():
            tasks[int(number)] = state, reason
    return tasks


def find_array(name: str) -> str | None:
    """The id of our array of that (unique) name which has tasks that are not over."""
    for line in slurm("squeue", "--noheader", "--me", "--array", "--format=%F|%T|%j").splitlines():
        array, state, found = line.split("|", 2)
        if found == name and state not in OVER:
            return array
    return None


def has_ended_well(log: str) -> bool:
    """Whether the last start of a job that a log tells of has ended with code 0."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()
    except OSError:
        return False
    ends = [line for line in lines if re.match(r"# (Running on \S+$|Ended \((code|signal) )", line)]
    return bool(ends) and ends[-1].startswith("# Ended (code 0) at ")


class Watch:
    """Which tasks of an array are still to end, and which have failed.

    Args:
        array: its id.
        logs: the log of every task by its number.
        tell: is given a line for a person about everything that goes wrong, at once.
    """

    def __init__(self, array: str, logs: dict[int, str], tell: Callable[[str], None]):
        self.array, self.logs, self.tell = array, logs, tell
        self.left, self.failed = set(logs), {}
        self.told, self.gone_since = set(), {}

    def look(self) -> bool:
        """Ask Slurm; True while tasks are left."""
        try:
            tasks = tasks_of(self.array)
        except SlurmError as error:
            # The controller is restarted, or busy: the tasks go on without it.
            self._tell_once("deaf", f"{error}; asking again")
            return True
        self.told.discard("deaf")
        for number in sorted(self.left):
            state, reason = tasks.get(number, ("", ""))
            if state == "COMPLETED" or (not state and has_ended_well(self.logs[number])):
                self.left.discard(number)
            elif state in OVER:
                self._fail(number, state)
            elif (
                not state
                and time.monotonic() - self.gone_since.setdefault(number, time.monotonic()) > SECONDS_TO_APPEAR
            ):
                self._fail(number, "gone from the queue")
            elif state == "PENDING" and re.search("held", reason, re.I):
                self._tell_once(number, f"job {self.array}_{number} is held ({reason}): scontrol release lets it go on")
        return bool(self.left)

    def _fail(self, number: int, how: str):
        self.left.discard(number)
        self.failed[number] = how
        self.tell(f"job {self.array}_{number}: {how}, see {self.logs[number]}")

    def _tell_once(self, what, message: str):
        if what not in self.told:
            self.told.add(what)
            self.tell(message)


def cancel(array: str, interrupted: Callable[[float], bool]):
    """Cancel an array and wait until its tasks have ended, or until interrupted(seconds), which waits, says so."""
    for _ in range(60):
        try:
            if all(state in OVER for state, _ in tasks_of(array).values()):
                return
            slurm("scancel", array)
        except SlurmError as error:
            print(f"run-slurm: WARNING: {error}", file=sys.stderr)
        if interrupted(1):
            return
