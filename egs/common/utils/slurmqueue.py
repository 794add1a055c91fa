"""State of a Slurm job array, from squeue alone, since many clusters have no accounting (sacct)."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jobs import last_mark, short_spans

# States in which a task will not run again by itself.
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"}
OVER |= {"PREEMPTED", "REVOKED"}
LONGEST_WAIT = 10  # seconds between two polls of the queue
SECONDS_TO_APPEAR = 15  # until a log written on another node is visible here
FAILURES_TOLD = 2  # individually; then one line for the rest
GONE = "gone from the queue"


class SlurmError(Exception):
    """A program of Slurm failed."""


def slurm(*words: str, script: str = "", environment=None, keep_open=()) -> str:
    """Return the stdout of one of Slurm's programs.

    Args:
        words: Program and arguments.
        script: Its stdin.
        environment: Its environment; default ours.
        keep_open: File descriptors that it inherits.

    Raises:
        SlurmError: If it failed (with its last line on stderr) or is missing.
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
    """Return state and reason of every task of an array that Slurm knows, including recently ended ones.

    squeue prints one line for all tasks that have not started. Its --array would split them, but only up to the
    MaxArraySize of this machine's slurm.conf, which may differ from the controller's.

    Raises:
        SlurmError: If Slurm does not answer, or in another format.
    """
    whole = os.environ | {"SLURM_BITSTR_LEN": "0"}  # otherwise long lists of numbers end in "..."
    words = ("squeue", "--noheader", "--states=all", "--jobs", array, "--format=%K|%T|%r")
    try:
        shown = slurm(*words, environment=whole)
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return {}
        raise
    tasks = {}
    for line in shown.splitlines():
        numbers, state, reason = (line.split("|", 2) + ["", ""])[:3]
        if numbers != "N/A":
            tasks |= dict.fromkeys(numbers_of(numbers), (state, reason))
    return tasks


def numbers_of(text: str) -> list[int]:
    """Return the numbers in squeue's %K.

    >>> numbers_of("3"), numbers_of("1-3,7%2"), numbers_of("1-9:4")
    ([3], [1, 2, 3, 7], [1, 5, 9])

    Raises:
        SlurmError: If it is not such a list.
    """
    found = []
    for part in text.strip("[]").partition("%")[0].split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if not span:
            raise SlurmError(f"squeue: cannot read the task numbers {text}")
        found += range(int(span[1]), int(span[2] or span[1]) + 1, int(span[3] or 1))
    return found


def find_array(name: str) -> str | None:
    """Return the id of our array of this (unique) name if it has unfinished tasks."""
    for line in slurm("squeue", "--noheader", "--me", "--format=%F|%T|%j").splitlines():
        array, state, found = line.split("|", 2)
        if found == name and state not in OVER:
            return array
    return None


def submitted(state: Path) -> tuple[set[int], set[int]]:
    """Return the tasks of the array in a LOG.slurm, and those in the queue (all, if Slurm does not answer)."""
    noted = {}
    for line in state.read_text().splitlines() if state.exists() else ():
        noted |= json.loads(line) if line.endswith("}") else {}
    tasks = set(noted.get("tasks", ()))
    try:
        found = tasks_of(noted["array"]) if "array" in noted else {}
    except SlurmError as error:
        print(f"WARNING: {error}; job {noted['array']} is assumed to be in the queue", file=sys.stderr)
        return tasks, tasks
    return tasks, {number for number, (how, _) in found.items() if how not in OVER}


def has_ended_well(log: str) -> bool:
    """Return whether the last start of the job in a log ended with code 0."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()
    except OSError:
        return False
    return last_mark(lines).startswith("# Ended (code 0) at ")


class Watch:
    """Unfinished and failed tasks of an array.

    Args:
        array: Its id.
        logs: Number → log of every task.
        tell: Called at once with a line for each problem; of many failures only the first.

    Attributes:
        left: Numbers of unfinished tasks.
        failed: Number → state of failed tasks.
        unsure: Tasks that Slurm no longer lists and whose logs do not end with code 0.
    """

    def __init__(self, array: str, logs: dict[int, str], tell: Callable[[str], None]):
        self.array, self.logs, self.tell = array, logs, tell
        self.left, self.failed, self.unsure = set(logs), {}, set()
        self.told, self.failures_told, self.gone_since = set(), 0, {}

    def look(self) -> bool:
        """Poll Slurm; return True while tasks are left."""
        try:
            tasks = tasks_of(self.array)
        except SlurmError as error:
            # The controller is restarting or busy; the tasks run without it.
            self._tell_once("deaf", f"{error}; asking again")
            return True
        self.told.discard("deaf")
        ended: dict[str, list[int]] = {}
        waiting: dict[str, list[int]] = {}
        now = time.monotonic()
        for number in sorted(self.left):
            state, reason = tasks.get(number, ("", ""))
            if state == "COMPLETED" or (not state and has_ended_well(self.logs[number])):
                self.left.discard(number)
            elif state in OVER:
                ended.setdefault(state, []).append(number)
            elif state == "PENDING":
                waiting.setdefault(reason, []).append(number)
            if state:
                self.gone_since.pop(number, None)
            elif number in self.left and now - self.gone_since.setdefault(number, now) > SECONDS_TO_APPEAR:
                ended.setdefault(GONE, []).append(number)
        for state, numbers in ended.items():
            self._fail(numbers, state)
        for reason, numbers in waiting.items():
            if is_unusual(reason):
                self._tell_once(reason, f"job {self._name(numbers)} {pending(reason, self.array)}")
        return bool(self.left)

    def _fail(self, numbers: list[int], how: str):
        self.left -= set(numbers)
        self.failed |= dict.fromkeys(numbers, how)
        self.unsure |= set(numbers if how == GONE else ())
        if self.failures_told < FAILURES_TOLD:
            log = self.logs[numbers[0]]
            see = f"see {log}" if len(numbers) == 1 else f"see {log} and the others'"
            self.tell(f"job {self._name(numbers)}: {how}, {see}")
        elif self.failures_told == FAILURES_TOLD:
            self.tell("more of its tasks failed; all are listed at the end")
        self.failures_told += 1

    def _name(self, numbers: list[int]) -> str:
        found = short_spans(numbers)
        return f"{self.array}_{found}" if len(numbers) == 1 else f"{self.array}_[{found}]"

    def _tell_once(self, what: str, message: str):
        if what not in self.told:
            self.told.add(what)
            self.tell(message)


def is_unusual(reason: str) -> bool:
    """Return whether a task is pending for a reason other than priority, resources, dependencies or limits."""
    return reason not in ("", "None", "Priority", "Resources", "Dependency", "JobArrayTaskLimit", "BeginTime")


def pending(reason: str, array: str) -> str:
    """Describe a task that waits for an unusual reason."""
    if re.search("held", reason, re.I):
        return f"is held ({reason}): scontrol release resumes it"
    return f"is pending, Slurm's reason is {reason}: if it can never start, scancel {array} and change the request"


def first_reasons(array: str) -> set[str]:
    """Return the unusual reasons for which a new array waits; Slurm takes a moment to set them."""
    for _ in range(8):
        found = {reason for state, reason in tasks_of(array).values() if state == "PENDING"}
        if found != {"None"}:
            break
        time.sleep(0.25)
    return {reason for reason in found if is_unusual(reason)}


def cancel(array: str, interrupted: Callable[[float], bool]):
    """Cancel an array and wait until its tasks have ended or interrupted(seconds), which waits, returns True."""
    for _ in range(60):
        try:
            if all(state in OVER for state, _ in tasks_of(array).values()):
                return
            slurm("scancel", array)
        except SlurmError as error:
            print(f"run-slurm: WARNING: {error}", file=sys.stderr)
        if interrupted(1):
            return
