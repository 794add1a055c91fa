"""What a run leaves behind after every epoch, for those who look at it or average its models."""

import logging
from collections.abc import Callable
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import Model, save_model

log = logging.getLogger("sertk")


class Keeper:
    """Keeps the models of the last epochs as DIR/epoch.N.pt.

    Args:
        directory: of the run.
        number: how many to keep.
        model: gives the model as it is after an epoch.
    """

    def __init__(self, directory: Path, number: int, model: Callable[[int], Model]) -> None:
        self.directory, self.number, self.model = directory, number, model

    def __call__(self, history: list[dict]) -> None:
        """Called after every epoch with the records so far, before its checkpoint: a killed run does it again."""
        epoch = len(history)
        save_model(self.directory / f"epoch.{epoch}.pt", self.model(epoch))
        for path in self.directory.glob("epoch.*.pt"):
            number = path.name.removeprefix("epoch.").removesuffix(".pt")
            if number.isdecimal() and int(number) <= epoch - self.number:  # epoch.mean.pt is somebody's
                path.unlink()


class Board:
    """Writes the epochs' records as TensorBoard's events, anew when a run goes on: nothing is there twice.

    Args:
        directory: for the events.

    Raises:
        SertkError: where TensorBoard is not installed.
    """

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SertkError("--tensorboard: the package is not installed (pip install tensorboard)") from None
        self.directory, self.written = directory, 0
        self.writer: SummaryWriter | None = SummaryWriter(str(directory), purge_step=1)

    def __call__(self, history: list[dict]) -> None:
        if not self.writer:
            return
        try:
            for record in history[self.written :]:
                for name, value in record.items():
                    if name != "epoch":
                        self.writer.add_scalar(name, value, record["epoch"])
            self.writer.flush()
        except OSError as error:  # a full disk: the training is worth more than its picture
            log.warning("--tensorboard %s: no more is written: %s", self.directory, error.strerror or error)
            self.writer = None
        self.written = len(history)
