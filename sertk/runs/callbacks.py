"""Per-epoch callbacks: keep recent models, write TensorBoard events."""

import logging
from collections.abc import Callable
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import Model, save_model

log = logging.getLogger("sertk")


class KeepModels:
    """Keeps the models of the last epochs as DIR/epoch.N.pt.

    Args:
        directory: folder of the run.
        number: how many to keep.
        model: function of an epoch, from 1, that returns the model as it is now.
    """

    def __init__(self, directory: Path, number: int, model: Callable[[int], Model]) -> None:
        self.directory, self.number, self.model = directory, number, model

    def __call__(self, history: list[dict]) -> None:
        """Save the epoch's model and remove old ones. Called before the checkpoint, so a killed run repeats it."""
        epoch = len(history)
        save_model(self.directory / f"epoch.{epoch}.pt", self.model(epoch))
        for path in self.directory.glob("epoch.*.pt"):
            number = path.name.removeprefix("epoch.").removesuffix(".pt")
            if number.isdecimal() and int(number) <= epoch - self.number:  # epoch.mean.pt is the user's own
                path.unlink()


class TensorBoardWriter:
    """Writes the epochs' records as TensorBoard events. A resumed run replaces the events of the run before.

    Args:
        directory: for the events.

    Raises:
        SertkError: TensorBoard is not installed.
    """

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SertkError("--tensorboard: the package is not installed (pip install tensorboard)") from None
        self.directory, self.written = directory, 0
        self.writer: SummaryWriter | None = SummaryWriter(str(directory), purge_step=1)

    def __call__(self, history: list[dict]) -> None:
        """Write the records that are not written yet."""
        if not self.writer:
            return
        try:
            for record in history[self.written :]:
                for name, value in record.items():
                    if name != "epoch":
                        self.writer.add_scalar(name, value, record["epoch"])
            self.writer.flush()
        except OSError as error:  # a full disk must not end the training
            log.warning("--tensorboard %s: writing stopped: %s", self.directory, error.strerror or error)
            self.writer = None
        self.written = len(history)
