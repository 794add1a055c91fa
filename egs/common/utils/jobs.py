"""Shared by run-local and run-slurm: arguments of a call, the line for bash, a job with its log.

Not part of the sertk package, since a compute node runs a recipe's jobs with a bare python3.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUN_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
LOGS_NAMED = 5  # individually; of more failed jobs only the numbers
SECONDS_TO_END = 10  # between TERM and KILL: enough for a checkpoint


def stopping_signals() -> set[signal.Signals]:
    """Return INT, TERM and HUP, except those that are ignored (nohup)."""
    asked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    return {number for number in asked if signal.getsignal(number) != signal.SIG_IGN}


class Misuse(Exception):
    """Wrong usage."""


@dataclass(frozen=True)
class Call:
    """The arguments of a runner; in `log` and `line`, `name` stands for a job's number, one of `numbers`."""

    options: dict
    name: str
    numbers: list[int]
    log: str
    line: str

    def log_of(self, number: int) -> str:
        return with_number(self.log, self.name, number)

    def line_of(self, number: int) -> str:
        return with_number(self.line, self.name, number)


def with_number(text: str, name: str, number: int) -> str:
    return text.replace(name, str(number)) if name else text


def answer(words: list[str], usage: str):
    """Exit if the arguments ask for the usage or the version, or, with status 2, if there are none."""
    if words and words[0] not in ("-h", "--help", "--version"):
        return
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… --help | head` ends silently
    if words[:1] == ["--version"]:
        module = (Path(__file__).resolve().parents[3] / "sertk" / "__init__.py").read_text()
        print(f"{Path(sys.argv[0]).name} (sertk) {module.split('__version__ = ')[1].split()[0][1:-1]}")
    else:
        print(usage.strip(), file=sys.stdout if words else sys.stderr)
    sys.exit(0 if words else 2)


def kaldis_option(word: str, words: list[str]) -> list[str] | None:
    """Translate an option of queue.pl or GridEngine, which run.pl and slurm.pl accept too; None for other options.

    Args:
        word: The option.
        words: The following arguments, from which its values are removed.

    Raises:
        Misuse: If a value is missing.
    """
    values = {"-V": 0, "-cwd": 0, "-l": 1, "-sync": 1, "-S": 1, "-pe": 2, "-tc": 1, "--pick": 1, "--config": 1}.get(
        word
    )
    if values is None:
        return None
    if len(words) < values:
        raise Misuse(f"{word} needs a value")
    taken, words[:values] = words[:values], []
    return ["--max-jobs-run", *taken] if word == "-tc" else []


def parse(words: list[str], options: dict, usage: str, unknown=kaldis_option) -> Call:
    """Parse a runner's arguments: [--option VALUE…] [JOB=1:N] LOG COMMAND…

    Args:
        words: The arguments.
        usage: Text of --help, which exits.
        options: Options and their defaults; one whose default is a list may be repeated, and its values may begin with
            a dash.
        unknown: Function of (option, following arguments, from which it removes the option's values) that returns the
            equivalent arguments, or None.

    Raises:
        Misuse: With the reason.
    """
    answer(words, usage)
    words, options, name, numbers = list(words), dict(options), "", [1]
    while words and (words[0].startswith("-") or re.fullmatch(r"\w+=\d+(:\d+)?(,\d+(:\d+)?)*", words[0])):
        word = words.pop(0)
        answer([word], usage)
        name_of_option, equals, value = word.partition("=")
        if equals and name_of_option in options:
            word, words[:0] = name_of_option, [value]
        if word in options:
            many = isinstance(options[word], list)
            if not words or (words[0].startswith("-") and not many):
                raise Misuse(f"{word} needs a value")
            value = words.pop(0)
            if word == "--max-jobs-run" and value.isdecimal() and options[word].isdecimal():
                value = min(value, options[word], key=int)  # of a step and its caller, as in run.pl
            options[word] = options[word] + [value] if many else value
        elif word.startswith("-"):
            meant = unknown(word, words)
            if meant is None:
                raise Misuse(f"there is no option {word}")
            words[:0] = meant
        else:
            name, _, span = word.partition("=")
            ends = [part.split(":") for part in span.split(",")]
            numbers = sorted({number for part in ends for number in range(int(part[0]), int(part[-1]) + 1)})
            if not numbers or numbers[0] < 1:
                raise Misuse(f"{word} is not NAME=1:N")
    if len(words) < 2:
        raise Misuse("expected: [JOB=1:N] LOG COMMAND…")
    log, *command = words
    if re.fullmatch(r"\w+=[^/.]*", log):  # "JOB=1:$nj" without nj would be a log of that name
        raise Misuse(f"{log} is not NAME=1:N")
    if len(numbers) > 1 and name not in log:
        raise Misuse(f"{len(numbers)} jobs cannot share the log {log}: it needs {name} in its name")
    for option in ("--num-threads", "--max-jobs-run"):
        if options[option] and not re.fullmatch("[1-9][0-9]*", options[option]):
            raise Misuse(f"{option} is a number, not '{options[option]}'")
    return Call(options, name, numbers, log, " ".join(map(quoted, command)))


def quoted(word: str) -> str:
    """Quote an argument for bash by the rule of Kaldi's run.pl."""
    if re.fullmatch(r"\S+", word):
        return word
    return f"'{word}'" if '"' in word else f'"{word}"'


def jobs_environment(options: dict) -> dict[str, str]:
    """Return the environment of the jobs: ours, with --num-threads as OMP_NUM_THREADS."""
    threads = {"OMP_NUM_THREADS": options["--num-threads"]} if options["--num-threads"] else {}
    return os.environ | threads


@contextmanager
def naming(path: str | Path):
    """Add `path` to an OSError that names no file (a full disk)."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def make_folder(folder: Path):
    """Make a folder and its parents; raise NotADirectoryError if a file is in the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "Not a folder", str(folder)) from None


def empty_log(log: str):
    make_folder(Path(log).parent)
    with open(log, "wb"):
        pass


class Job:
    """A bash in its own process group, with a log in run.pl's format.

    Args:
        log: File to which the job's output is appended.
        line: Line for bash.
        environment: Environment of the job.
        mask: Signals that are blocked in the job.
        prelude: Run by bash before `line`, not shown in the log.
    """

    def __init__(self, log: str, line: str, environment: dict[str, str], mask, prelude: str = ""):
        self.log, self.began = log, time.time()
        self.note(f"# Running on {socket.gethostname()}\n# Started at {date()}\n# {line}\n#")
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", prelude + line],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
            )

    def note_end(self):
        code = self.process.wait()
        how = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
        self.note(f"# Ended ({how}) at {date()}, elapsed time {time.time() - self.began:.0f} seconds")

    def send(self, number: int) -> bool:
        """Signal the whole group; return False if no process is left."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def note(self, text: str):
        with naming(self.log), open(self.log, "a") as log:
            log.write(text + "\n")


def stop(running: list[Job]):
    """End all processes of all jobs: TERM, then KILL after SECONDS_TO_END."""
    left = [job for job in running if job.send(signal.SIGTERM)]
    deadline = time.monotonic() + SECONDS_TO_END
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [job for job in left if job.process.poll() is None or job.send(0)]
    for job in left:
        job.send(signal.SIGKILL)
    for job in running:
        job.note_end()


def pass_on(number: int, ancestors: list[int], told: set[tuple[int, str]]):
    """Send a signal once to each of some processes and their descendants that handles it or waits for it."""
    parents, starts = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # After the name in brackets: state, parent, …; field 22 of all is the start time.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], starts[int(entry.name)] = int(fields[1]), fields[19]
            except OSError:
                pass  # the process has ended
    family, new = set(), set(ancestors)
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
    """Return whether a process catches a signal or blocks it, as processes do that wait for it (srun)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt:", "SigBlk:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def date() -> str:
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def spans(numbers) -> str:
    """Format numbers for sbatch's --array.

    >>> spans([1, 2, 3, 5, 7, 8])
    '1-3,5,7-8'
    """
    ends = []
    for number in sorted(numbers):
        if ends and ends[-1][1] == number - 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in ends)


def short_spans(numbers) -> str:
    """Return the spans of numbers, truncated after LOGS_NAMED of them."""
    found = spans(numbers).split(",")
    return ",".join(found[:LOGS_NAMED] + ["…"] * (len(found) > LOGS_NAMED))


def log_fault(log: str) -> str:
    """Return the problem of the log of a finished job; "" if it has an end line."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "is missing: its node could not write it"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not lines:
        return "is empty: the job did not start, or its node could not write it"
    return "" if last_mark(lines).startswith("# Ended") else "has no end line: the job was killed or never began"


def last_mark(lines: list[str]) -> str:
    """Return the last line of a log that marks the start or the end of its job."""
    return next((line for line in reversed(lines) if re.match(r"# (Running on \S+$|Ended \(code )", line)), "")


def report_failed(program: str, call: Call, failed: dict[int, str]) -> int:
    """Print the failed jobs and the end of the first one's log, at most ten lines; return the exit status.

    Args:
        program: Name of the runner.
        call: Its arguments.
        failed: Number → how the job failed, "" if by its exit status.
    """
    if not failed:
        return 0
    numbers = sorted(failed)
    some = f"{len(failed)} of {len(call.numbers)} jobs" if len(call.numbers) > 1 else "the job"
    few = len(failed) <= LOGS_NAMED
    if few:
        notes = {n: "; ".join(filter(None, [failed[n], log_fault(call.log_of(n))])) for n in numbers}
        named = " ".join(call.log_of(n) + (f" ({notes[n]})" if notes[n] else "") for n in numbers)
    else:
        kinds = {note: list(failed.values()).count(note) for note in sorted(set(failed.values()) - {""})}
        told = "".join(f"; {number} {note}" for note, number in kinds.items())
        named = f"{call.log} for {call.name}={short_spans(numbers)}{told}"
    first = call.log_of(numbers[0])
    fault = log_fault(first)
    try:
        lines = Path(first).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    ends = "; the end of the first:" if lines else "" if few else f"; the first, {first}, {fault}"
    print(f"{program}: ERROR: {some} failed, see {named}{ends}", file=sys.stderr)
    for line in lines[-10 if few else -5 :]:
        print(f"  {line}", file=sys.stderr)
    return 1


def report_misuse(program: str, error: Misuse) -> int:
    print(f"{program}: ERROR: {error} (see {program} --help)", file=sys.stderr)
    return 2
