"""A stand-in for sbatch, squeue, scontrol and scancel that really runs an array's tasks, as processes of this machine.

Linked under these names; STANDIN_SLURM is the folder of its state: a folder for each array with sbatch's words in
`call.json` and for each task its state, and `<task>.requeue` or `<task>.cancel` for what it was asked. Beside it, files
that a test makes: `deaf` (no answers), `forgotten` (no array is known), `reason` (why nothing starts), `maxarray`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ["STANDIN_SLURM"])


def main(program, words):
    options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "scancel": scancel, "controller": controller}[program](
        words, options
    )


def sbatch(words, options):
    if (STATE.parent / "maxarray").exists() and max(numbers(options["--array"])) >= max_array():
        sys.exit("sbatch: error: Batch job submission failed: Invalid job array specification")
    array = str(1 + sum(1 for _ in STATE.iterdir()))
    folder = STATE.parent / f"array.{array}"
    folder.mkdir()
    (folder / "script").write_text(sys.stdin.read())
    for number in numbers(options["--array"]):
        (folder / str(number)).write_text("PENDING")
    (folder / "call.json").write_text(json.dumps([words, options]))
    folder.rename(STATE / array)
    subprocess.Popen(
        [sys.executable, __file__, "controller", array],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    print(array)


def put(path, text):
    """Write a file that other processes read at any time: whole, or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def max_array():
    return int((STATE.parent / "maxarray").read_text())


def numbers(spec):
    for part in spec.split("%")[0].split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def controller(words, _):
    folder = STATE / words[0]
    _, options = json.loads((folder / "call.json").read_text())
    waiting = list(numbers(options["--array"]))
    at_once = int((options["--array"].split("%") + ["100"])[1])
    running, starts = {}, dict.fromkeys(waiting, 0)
    for other in options.get("--dependency", "afterany:").split(":")[1:]:
        while other and any(is_active(path) for path in tasks(STATE / other)):
            time.sleep(0.02)
    while waiting or running:
        starts_tasks = not (STATE.parent / "reason").exists()
        for number in [n for n in waiting if (folder / f"{n}.cancel").exists()]:
            waiting.remove(number)
            put(folder / str(number), "CANCELLED")
        while starts_tasks and waiting and len(running) < at_once:
            number = waiting.pop(0)
            running[number] = start(folder, options, number, starts[number])
            starts[number] += 1
        for number, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[number]
            if (folder / f"{number}.cancel").exists():
                put(folder / str(number), "CANCELLED")
            elif (folder / f"{number}.requeue").exists():
                (folder / f"{number}.requeue").unlink()
                put(folder / str(number), "PENDING")
                waiting.append(number)
            else:
                put(folder / str(number), "FAILED" if process.returncode else "COMPLETED")
        time.sleep(0.02)


def start(folder, options, number, restarts):
    put(folder / str(number), "RUNNING")
    with open(options["--output"].replace("%a", str(number)).replace("%%", "%"), "ab") as out:
        process = subprocess.Popen(
            ["bash", folder / "script"],
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=os.environ
            | {
                "SLURM_JOB_ID": f"{folder.name}000{number}",
                "SLURM_ARRAY_TASK_ID": str(number),
                "SLURM_RESTART_COUNT": str(restarts),
            },
        )
    put(folder / f"{number}.pid", str(process.pid))
    return process


def tasks(folder):
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def is_active(path):
    return path.read_text() in ("PENDING", "RUNNING")


def task_of(job):
    """The path of a task from SLURM_JOB_ID, and of its folder."""
    array, number = re.fullmatch(r"(\d+)000(\d+)", job).groups()
    return STATE / array / number


def squeue(words, options):
    if (STATE.parent / "deaf").exists():
        sys.exit("squeue: error: Unable to contact slurm controller (connect failure)")
    if "--me" in words:
        for folder in STATE.iterdir():
            name = json.loads((folder / "call.json").read_text())[1]["--job-name"]
            for state in sorted({path.read_text() for path in tasks(folder)}):
                print(f"{folder.name}|{state}|{name}")
        return
    jobs = words[words.index("--jobs") + 1]
    if "--Format" in words:
        print(f"{task_of(jobs).read_text():20}{'None':40}{'N/A':30}")
        return
    assert options["--format"] == "%K|%T|%r"
    if (STATE.parent / "forgotten").exists():
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    states = {path.name: path.read_text() for path in tasks(STATE / jobs)}
    pending = [name for name, state in states.items() if state == "PENDING"]
    if pending:  # one line for all of them
        print(f"{','.join(pending)}|PENDING|{reason(STATE / jobs)}")
    for name, state in states.items():
        if state != "PENDING":
            print(f"{name}|{state}|None")


def reason(folder):
    if (folder / "held").exists():
        return "launch failed requeued held"
    if (STATE.parent / "reason").exists():
        return (STATE.parent / "reason").read_text()
    return "Dependency" if "--dependency" in (folder / "call.json").read_text() else "Resources"


def scontrol(words, _):
    if words[:2] == ["show", "config"]:
        print(f"MaxArraySize            = {max_array()}")
        return
    assert words[0] == "requeue"
    path = task_of(words[1])
    path.with_name(f"{path.name}.requeue").touch()


def scancel(words, _):
    for path in tasks(STATE / words[0]):
        if is_active(path):
            path.with_name(f"{path.name}.cancel").touch()
            pid = path.with_name(f"{path.name}.pid")
            if pid.exists() and path.read_text() == "RUNNING":
                os.kill(int(pid.read_text()), signal.SIGTERM)


if __name__ == "__main__":
    name = Path(sys.argv[0]).stem
    if sys.argv[1:2] == ["controller"]:
        main(sys.argv[1], sys.argv[2:])
    else:
        main(name, sys.argv[1:])
