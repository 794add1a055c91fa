"""What a run leaves behind after every epoch, for those who look at it or average its models."""

from collections.abc import Callable
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import Model, save_model


class Keeper:
    """Keeps the models of the last epochs as DIR/epoch.N.pt.

    Args:
        directory: of the run.
        number: how many to keep.
        model: gives the model as it is after an epoch.
    """

    def __init__(self, directory: Path, number: int, model: Callable[[int], Model]):
        self.directory, self.number, self.model = directory, number, model

    def __call__(self, history: list[dict]) -> None:
        """Called after every epoch with the records so far, before its checkpoint: a killed run does it again."""
        epoch = len(history)
        save_model(self.directory / f"epoch.{epoch}.pt", self.model(epoch))
        wanted = {f"epoch.{n}.pt" for n in range(epoch - self.number + 1, epoch + 1)}
        for path in self.directory.glob("epoch.*.pt"):
            if path.name not in wanted:
                path.unlink()


class Board:
    """Writes the epochs' records as TensorBoard's events, anew when a run goes on: nothing is there twice.

    Args:
        directory: for the events.

    Raises:
        SertkError: where TensorBoard is not installed.
    """

    def __init__(self, directory: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SertkError("--tensorboard: the package is not installed (pip install tensorboard)") from None
        self.writer, self.written = SummaryWriter(str(directory), purge_step=1), 0

    def __call__(self, history: list[dict]) -> None:
        for record in history[self.written :]:
            for name, value in record.items():
                if name != "epoch":
                    self.writer.add_scalar(name, value, record["epoch"])
        self.writer.flush()
        self.written = len(history)
