"""A run's folder: exclusive lock, finished check, resume, checkpoints and records."""

import json
import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from sertk.atomic import atomic_file, only_process_in, remove
from sertk.errors import SertkError
from sertk.models.modelfile import Model, load_model, save_model
from sertk.runs.card import write_conf
from sertk.runs.state import ROUNDING, differences, read_state, write_state
from sertk.training.progress import Progress

log = logging.getLogger("sertk")

# Environment variables with the id of a torchrun or Slurm job, and those that count its restarts.
RESTARTS = {"TORCHELASTIC_RUN_ID": "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID": "SLURM_RESTART_COUNT"}
# File that --restart leaves in the new folder: ids of the job that started the new run.
RESTART_FILE = "restarted"


class Run:
    """One training and its folder: state.pt and train.jsonl while it trains, final.pt once it is finished.

    Args:
        directory: the folder.
        settings: everything that the result depends on, settings and fingerprints, in plain types.
        rounding: names of settings that change the last bits only: a difference is a warning, not an error.
        retrain: if the folder's files have other settings, warn and train again (for runs of seconds); if False, raise an
            error (for runs of days).
    """

    def __init__(self, directory: Path, settings: dict, rounding: Set[str] = ROUNDING, retrain: bool = False) -> None:
        self.directory, self.settings, self.rounding, self.retrain = directory, settings, rounding, retrain
        self.final, self.state = directory / "final.pt", directory / "state.pt"

    def __str__(self) -> str:
        return str(self.directory)

    @contextmanager
    def lock(self, restart: bool = False) -> Iterator[None]:
        """Context manager that creates the folder and holds its lock.

        Args:
            restart: move an old run aside first.

        Raises:
            SertkError: another process holds the lock.
        """
        if restart and self.directory.is_dir():
            with only_process_in(self.directory):
                log.info("the old run is now %s", move_aside(self.directory))
        self.directory.mkdir(parents=True, exist_ok=True)
        with only_process_in(self.directory):
            jobs = [f"{name}={os.environ[name]}\n" for name in RESTARTS if name in os.environ]
            if restart and jobs:
                with atomic_file(self.directory / RESTART_FILE, "w") as file:
                    file.writelines(jobs)
            yield

    def finished(self) -> bool:
        """True if final.pt is the model of these settings.

        Raises:
            SertkError: it is the model of other settings and would be overwritten, and `retrain` is False.
        """
        if not self.final.exists():
            return False
        try:
            trained = load_model(self.final, heads=True).card.get("settings", {})
            reason = next(iter(differences(trained, self.settings, self.rounding)), "")
        except SertkError as error:  # a damaged model: nothing is lost
            log.warning("%s: trained again", error)
            return False
        if not reason:
            log.info("%s: finished with these settings and data, skipped", self.final)
            self._tidy()
            return True
        if self.retrain:
            log.warning("%s: trained again: %s", self.final, reason)
        elif not self.state.exists():  # else resume() compares the state
            raise SertkError(
                f"{self.final}: belongs to another run ({reason}) and would be overwritten (--restart true moves it aside)"
            )
        return False

    def resume(self) -> Progress:
        """Read the progress of the last checkpoint, an empty one if there is none.

        Raises:
            SertkError: the state is damaged or of other settings, and `retrain` is False.
        """
        if not self.state.exists():
            return Progress()
        try:
            settings, progress = read_state(self.state)
            changes = differences(settings, self.settings, self.rounding | {"epochs"})
            if changes:
                more = f"; and {len(changes) - 4} more" if len(changes) > 4 else ""
                raise SertkError(f"{self.state}: this run was started with {'; '.join(changes[:4])}{more}")
        except SertkError as error:
            if not self.retrain:
                raise SertkError(f"{error} (--restart true starts a new run and moves this one aside)") from None
            log.warning("%s: trained again", error)
            return Progress()
        for change in differences(settings, self.settings, {"epochs"}):
            log.warning("%s: this run was started with %s: the last bits will differ", self.state, change)
        return progress

    def checkpoint(self, progress: Progress) -> None:
        """Write the state that a rerun resumes from, and the epochs' records."""
        write_state(self.state, self.settings, progress)
        self.write_records(progress.history)

    def _tidy(self) -> None:
        """Finish what a kill between two files left undone: records older than the state, the state of a finished run."""
        if self.state.exists() and self.retrain:
            with suppress(SertkError), only_process_in(self.directory):
                remove(self.state)
        elif self.state.exists():
            self.write_records(read_state(self.state)[1].history)

    def write_conf(self, settings: dict) -> None:
        """Write DIR/train.conf: settings as lines of --name=value."""
        write_conf(self.directory / "train.conf", settings)

    def write_records(self, history: list[dict]) -> None:
        """Write DIR/train.jsonl: a line for every epoch."""
        with atomic_file(self.directory / "train.jsonl", "w") as file:
            file.writelines(json.dumps(record) + "\n" for record in history)

    def finish(self, model: Model, history: list[dict]) -> None:
        """Write the finished model. The state is kept for runs that may get more epochs (`retrain` False)."""
        self.write_records(history)
        save_model(self.final, model)
        if self.retrain:
            remove(self.state)
        log.info("wrote %s", self.final)


def stored_settings(directory: Path) -> dict:
    """Read the settings of the run in a folder, from its state or else its finished model; {} if there is neither.

    Raises:
        SertkError: the state is damaged.
    """
    if (directory / "state.pt").exists():
        try:
            return read_state(directory / "state.pt")[0]
        except SertkError as error:
            raise SertkError(f"{error} (--restart true starts a new run and moves this one aside)") from None
    try:
        return load_model(directory / "final.pt", heads=True).card.get("settings", {})
    except (FileNotFoundError, SertkError):
        return {}  # a damaged model: nothing is lost


def restarted_by_this_job(directory: Path) -> bool:
    """True if an earlier attempt of this torchrun or Slurm job has already restarted the run in `directory`."""
    try:
        jobs = dict(line.split("=", 1) for line in (directory / RESTART_FILE).read_text().splitlines())
    except (OSError, ValueError):
        return False
    return any(
        name in jobs and jobs[name] == os.environ.get(name) and os.environ.get(count, "0") != "0"
        for name, count in RESTARTS.items()
    )


def move_aside(directory: Path) -> Path:
    """Rename a run's folder to the next free DIR.old.N."""
    number = 1
    while (aside := directory.with_name(f"{directory.name}.old.{number}")).exists():
        number += 1
    return directory.rename(aside)
