"""Transfer learning: new heads on a frozen trunk, trained from the trunk's draws (Padi et al. 2021, section 3.2)."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sertk.data.loader import prefetch
from sertk.data.sampler import Batch, Sampler
from sertk.errors import SertkError
from sertk.models.modelfile import finite
from sertk.models.pooledhead import PooledHead
from sertk.models.resnet import Head, NetworkSpec, ResNet
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead
from sertk.training.freezing import decay_groups, sgd
from sertk.training.loop import seeded
from sertk.training.model_selection import selected_epoch
from sertk.training.progress import Progress, Stopped, StopRequested, never
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

# Function of segments and versions, (batch,) indices each, that returns the draws of an epoch, (batch, dim) float32.
EpochVectors = Callable[[np.ndarray, np.ndarray], Tensor]


@dataclass
class EpochSums:
    """Sums over the batches of an epoch, on the device.

    Args:
        loss: summed over the vectors, float64.
        correct: number of correctly classified vectors.
    """

    loss: Tensor
    correct: Tensor

    @classmethod
    def zeros(cls, device: torch.device, *heads: int) -> "EpochSums":
        """Zeros for one head, or for several. Shape: () or (heads,)."""
        return cls(*(torch.zeros(heads, dtype=kind, device=device) for kind in (torch.float64, torch.int64)))


class HeadTraining:
    """A head in training on some of the segments.

    Args:
        spec: of the head on vectors, or of the network whose head it is.
        members: (segments,) indices of the training segments among all.
        targets: of all segments.
        settings: how to train.
        device: where to compute.
        scorer: scores the head after every epoch: its figures join the epoch's record, and the head of the epoch with the
            highest dev_ua is kept (see model_selection).
        frames: of the chunks, where the draws are maps and the head pools them; 0: the draws are what the head takes.
        standardise: mean and deviation of the training vectors, for a head on vectors that standardises them.

    Raises:
        SertkError: there is one training segment only.
    """

    def __init__(
        self,
        spec: NetworkSpec | HeadSpec,
        members: np.ndarray,
        targets: Targets,
        settings: HeadSettings,
        device: torch.device,
        scorer: Callable[[Head], dict] | None = None,
        standardise: tuple[np.ndarray, np.ndarray] | None = None,
        frames: int = 0,
    ) -> None:
        self.spec, self.settings, self.device, self.scorer = spec, settings, device, scorer
        if settings.class_weights == "balanced":
            targets = targets.balanced(spec.num_labels, members)
        self.members, self.targets = members, targets.to(device)
        self.head = seeded(lambda: new_head(spec, frames), settings.seed)
        if standardise:
            self.head.standardise(*standardise)
        self.head.to(device).train()
        self.best: Head | None = None
        groups = decay_groups(self.head, settings.weight_decay, settings.decay_all)
        self.optimiser = sgd(groups, settings)
        self.schedule = settings.learning_rates()
        # One chunk length will do here: the draws have theirs.
        classes = targets.labels[members].numpy() if settings.sampling == "balanced" else None
        self.sampler = Sampler(settings.seed, len(members), settings.versions, 1, settings.batch_size, (1,), classes)
        self.history: list[dict] = []
        if self.sampler.smallest_batch() < 2:
            raise SertkError(f"{len(members)} training segment makes a batch of one: BatchNorm needs at least two")

    def train_epoch(self, vectors: EpochVectors, stop_requested: StopRequested = never) -> dict:
        """Train for one epoch.

        Args:
            vectors: the draws of this epoch.
            stop_requested: checked before every batch.

        Returns:
            the epoch's record: loss, accuracy, learning_rate.

        Raises:
            Stopped: `stop_requested` returned True.
            SertkError: the loss or the weights are NaN or infinite.
        """
        sums = EpochSums.zeros(self.device)
        self.train_batches(vectors, sums, stop_requested=stop_requested)
        return self.finish_epoch(sums)

    def train_batches(
        self, vectors: EpochVectors, sums: EpochSums, first: int = 0, stop_requested: StopRequested = never
    ) -> None:
        """Train on the batches of an epoch from number `first` on, and add to its sums; else as train_epoch."""
        epoch = len(self.history) + 1

        def prepare(batch: Batch) -> tuple[np.ndarray, Tensor]:
            segments = self.members[batch.items[:, 0]]
            return segments, vectors(segments, batch.items[:, 1])

        for batch, (segments, pooled) in enumerate(prefetch(prepare, self.sampler.batches(epoch, first)), first):
            if stop_requested():
                raise Stopped(f"in epoch {epoch}")
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate(batch)
            targets = self.targets.of(torch.from_numpy(segments).to(self.device, non_blocking=True))
            logits = self.head(pooled)
            loss = targets.loss(logits, self.settings.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            (loss / len(segments)).backward()
            self.optimiser.step()
            sums.loss += loss.detach()
            sums.correct += targets.correct(logits)

    def rate(self, batch: int) -> float:
        """Learning rate of a batch of the next epoch."""
        return self.schedule.rate(len(self.history) + 1, batch, self.sampler.num_batches())

    def finish_epoch(self, sums: EpochSums) -> dict:
        """Score the head after the last batch of an epoch; returns the epoch's record, see train_epoch."""
        epoch, rate = len(self.history) + 1, self.rate(self.sampler.num_batches() - 1)
        self.optimiser.zero_grad(set_to_none=True)  # frees memory for the other heads
        items = self.sampler.num_items
        record = {
            "epoch": epoch,
            "loss": float(sums.loss) / items,
            "accuracy": int(sums.correct) / items,
            "learning_rate": rate,
        }
        if not math.isfinite(record["loss"]) or not finite(self.head):
            what = "weights are NaN or infinite" if math.isfinite(record["loss"]) else f"the loss is {record['loss']}"
            raise SertkError(f"epoch {epoch}: {what} (learning rate {rate:g})")
        self.history.append(record)
        if self.scorer:
            record |= self.scorer(self.head)
            if selected_epoch(self.history) == epoch:
                self.best = copy.deepcopy(self.head)
        return record

    def progress(self) -> Progress:
        """History, weights and momenta after the last epoch, for a checkpoint."""
        tensors = {"head": self.head.state_dict(), "optimiser": self.optimiser.state_dict()}
        return Progress(self.history, tensors=tensors | ({"best": self.best.state_dict()} if self.best else {}))

    def load_progress(self, progress: Progress) -> None:
        """Resume from a checkpoint; an empty one, or one with more epochs than the settings, is ignored."""
        if not progress.history or len(progress.history) > self.settings.epochs:
            return
        self.history = progress.history
        self.head.load_state_dict(progress.tensors["head"])
        self.optimiser.load_state_dict(progress.tensors["optimiser"])
        if "best" in progress.tensors:
            self.best = copy.deepcopy(self.head)
            self.best.load_state_dict(progress.tensors["best"])

    def selected(self) -> tuple[Head, int]:
        """The head of the selected epoch, and that epoch."""
        return self.best or self.head, selected_epoch(self.history)


def new_head(spec: NetworkSpec | HeadSpec, frames: int = 0) -> Head | VectorHead | PooledHead:
    """An untrained head on vectors, of a network, or of a network with its pooling, on maps of chunks of `frames`."""
    if isinstance(spec, HeadSpec):
        return VectorHead(spec)
    return PooledHead(spec, frames) if frames else Head(spec)


def with_head(network: ResNet, spec: NetworkSpec, head: Head | PooledHead) -> ResNet:
    """A network of `spec` with copies of the trunk of `network`, of its pooling, and of `head`, in evaluation mode.

    A head with a pooling of its own replaces the network's.
    """
    new = ResNet(spec)
    new.take_trunk(network)
    if isinstance(head, PooledHead):
        new.pool.load_state_dict(head.pool.state_dict())
        head = head.head
    new.head.load_state_dict(head.state_dict())
    return new.eval()


def train_head(
    vectors: np.ndarray, labels: Sequence[str], settings: HeadSettings | None = None, embedding_dim: int = 256
) -> tuple[Head, list[str]]:
    """Train a head on vectors of any origin: pooled statistics, functionals, another network's embeddings.

    Args:
        vectors: (segments, dim) floats, or (segments, epochs * versions, dim) with own vectors for every epoch, as
            embed-segments --draws writes them.
        labels: (segments,) names.
        settings: how to train (default: the paper's).
        embedding_dim: size of the layer before the output.

    Returns:
        the head in evaluation mode, (batch, dim) -> logits (batch, labels), and the labels in the order of its outputs.

    Raises:
        SertkError: too few vectors for the settings' epochs, only one label, vectors or a loss that are NaN or infinite.
    """
    vectors, names = np.asarray(vectors, np.float32), sorted(set(labels))
    if vectors.ndim not in (2, 3) or len(vectors) != len(labels):
        raise SertkError(f"vectors of shape {vectors.shape} for {len(labels)} labels: must be (segments, dim)")
    if len(names) < 2:
        raise SertkError(
            f"all segments are labelled {names[0] if names else 'nothing'}: at least two labels are needed"
        )
    if not np.isfinite(vectors).all():
        first = int(np.argmin(np.isfinite(vectors).reshape(len(vectors), -1).all(1)))
        raise SertkError(f"vector {first} is NaN or infinite")
    settings = settings or HeadSettings()
    if vectors.ndim == 3 and vectors.shape[1] < settings.epochs * settings.versions:
        raise SertkError(
            f"{vectors.shape[1]} vectors a segment: {settings.epochs} epochs of {settings.versions} versions"
            f" need {settings.epochs * settings.versions}"
        )

    def epoch_vectors(segments: np.ndarray, versions: np.ndarray) -> Tensor:
        if vectors.ndim == 2:
            return torch.from_numpy(vectors[segments])
        return torch.from_numpy(vectors[segments, len(training.history) * settings.versions + versions])

    spec = HeadSpec(vectors.shape[-1], len(names), embedding_dim)
    targets = Targets(torch.tensor([names.index(label) for label in labels]))
    training = HeadTraining(spec, np.arange(len(labels)), targets, settings, torch.device("cpu"))
    for _ in range(settings.epochs):
        training.train_epoch(epoch_vectors)
    return training.head.eval(), names
