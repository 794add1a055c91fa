"""The folder of a run: which process may write in it, whether the run is finished, and what --restart does with an old one."""

import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from sertk.atomic import atomic_file, only_process_in
from sertk.errors import SertkError
from sertk.models.modelfile import load_model
from sertk.runs.state import difference, set_aside

log = logging.getLogger("sertk")

# What starts a call again names it, and counts how often.
STARTERS = {"TORCHELASTIC_RUN_ID": "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID": "SLURM_RESTART_COUNT"}
# In a folder that was begun again under one of them: its name.
MARK = "restarted"


def restart_was_done(directory: Path) -> bool:
    """Whether torchrun or Slurm has started this very call before, and it has begun `directory` again then."""
    try:
        done = dict(line.split("=", 1) for line in (directory / MARK).read_text().splitlines())
    except (OSError, ValueError):
        return False
    return any(
        name in done and done[name] == os.environ.get(name) and os.environ.get(count, "0") != "0"
        for name, count in STARTERS.items()
    )


@contextmanager
def claimed(directory: Path, restart: bool) -> Iterator[None]:
    """A context in which this process alone writes in a run's folder, which is made; `restart` keeps an old one aside.

    Raises:
        SertkError: where another process is writing in it.
    """
    if restart and directory.is_dir():
        with only_process_in(directory):
            log.info("the old run is now %s", set_aside(directory))
    directory.mkdir(parents=True, exist_ok=True)
    with only_process_in(directory):
        names = [f"{name}={os.environ[name]}\n" for name in STARTERS if name in os.environ]
        if restart and names:
            with atomic_file(directory / MARK, "w") as file:
                file.writelines(names)
        yield


def is_finished(directory: Path, shape: dict, machine: Set[str]) -> bool:
    """Whether the model of a run of this `shape`, but for what is named in `machine`, is there.

    One of another run is let be as long as it has a state, which will be compared too.

    Raises:
        SertkError: where it has none: it would be overwritten.
    """
    final = directory / "final.pt"
    if not final.exists():
        return False
    try:
        said = difference(load_model(final).card.get("settings", {}), shape, machine)
    except SertkError as error:  # damaged: there is nothing to lose
        log.warning("%s: made anew", error)
        return False
    if said and not (directory / "state.pt").exists():
        raise SertkError(
            f"{final}: is of another run ({said}) and would be overwritten (--restart true keeps it aside)"
        )
    return not said
