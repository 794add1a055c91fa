"""Transfer learning: new heads on a frozen trunk, trained from the trunk's draws (Padi et al. 2021, section 3.2)."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sertk.data.loader import prefetch
from sertk.data.sampler import Batch, Sampler
from sertk.data.store import RESIDENT_BYTES, Segment, Store
from sertk.errors import SertkError, error_context
from sertk.models.modelfile import finite
from sertk.models.resnet import Head, NetworkSpec, ResNet
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead
from sertk.training.freezing import decay_groups, sgd
from sertk.training.loop import seeded
from sertk.training.model_selection import selected_epoch
from sertk.training.progress import Progress, Stopped, StopRequested, never
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

Name = TypeVar("Name")
# Function of segments and versions, (batch,) indices each, that returns the draws of an epoch, (batch, dim) float32.
EpochVectors = Callable[[np.ndarray, np.ndarray], Tensor]


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
    ) -> None:
        self.spec, self.settings, self.device, self.scorer = spec, settings, device, scorer
        if settings.class_weights == "balanced":
            targets = targets.balanced(spec.num_labels, members)
        self.members, self.targets = members, targets.to(device)
        kind = VectorHead if isinstance(spec, HeadSpec) else Head
        self.head = seeded(lambda: kind(spec), settings.seed)
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
        epoch = len(self.history) + 1
        rate, batches = 0.0, self.sampler.num_batches()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)

        def prepare(batch: Batch) -> tuple[np.ndarray, Tensor]:
            segments = self.members[batch.items[:, 0]]
            return segments, vectors(segments, batch.items[:, 1])

        for batch, (segments, pooled) in enumerate(prefetch(prepare, self.sampler.batches(epoch))):
            if stop_requested():
                raise Stopped(f"in epoch {epoch}")
            rate = self.schedule.rate(epoch, batch, batches)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            targets = self.targets.of(torch.from_numpy(segments).to(self.device, non_blocking=True))
            logits = self.head(pooled)
            loss = targets.loss(logits, self.settings.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            (loss / len(segments)).backward()
            self.optimiser.step()
            loss_sum += loss.detach()
            correct += targets.correct(logits)
        self.optimiser.zero_grad(set_to_none=True)  # frees memory for the other heads
        items = self.sampler.num_items
        record = {
            "epoch": epoch,
            "loss": float(loss_sum) / items,
            "accuracy": int(correct) / items,
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


class EpochDraws:
    """The draws of one epoch: held on the device if they fit, else read batch by batch.

    Args:
        store: the draws of all segments and epochs.
        epoch: from 1.
        versions: rows of a segment in an epoch; after its last row a segment begins again.
        device: where they are needed.
        resident_bytes: largest size to hold.
    """

    def __init__(self, store: Store, epoch: int, versions: int, device: torch.device, resident_bytes: int) -> None:
        self.store, self.versions, self.device = store, versions, device
        self.resident: Tensor | None = None
        self.first = (epoch - 1) * versions
        if 4 * len(store) * versions * store.bins <= resident_bytes:
            rows = np.empty((len(store), versions, store.bins), np.float32)
            for index, out in enumerate(rows):
                out[:] = self._rows(store[index])
            self.resident = torch.from_numpy(rows).to(device).flatten(0, 1)

    def __call__(self, segments: np.ndarray, versions: np.ndarray) -> Tensor:
        """The draws of segments and versions, given by their indices. Shape: (batch, dim)."""
        if self.resident is not None:  # index_select: indexing with numpy arrays would wait for the GPU
            rows = torch.from_numpy(segments * self.versions + versions)
            return self.resident.index_select(0, rows.to(self.device, non_blocking=True))
        rows = []
        for index, row in zip(segments.tolist(), (self.first + versions).tolist()):
            row %= int(self.store.num_frames[index])
            rows.append(self.store[index].rows(row, row + 1))
        return torch.from_numpy(np.concatenate(rows)).to(self.device)

    def _rows(self, segment: Segment) -> np.ndarray:
        """The epoch's rows of a segment. Shape: (versions, dim)."""
        start = self.first % segment.num_frames
        if start + self.versions <= segment.num_frames:
            return segment.rows(start, start + self.versions)
        turns = (row % segment.num_frames for row in range(start, start + self.versions))
        return np.concatenate([segment.rows(row, row + 1) for row in turns])


def train_heads(
    trainings: dict[Name, HeadTraining],
    store_indices: dict[Name, np.ndarray],
    store: Store,
    device: torch.device,
    stop_requested: StopRequested = never,
    resident_bytes: int = RESIDENT_BYTES,
) -> Iterator[tuple[int, Name, dict]]:
    """Train several heads side by side, so that an epoch's draws are read once for all of them if they fit into memory.

    Args:
        trainings: by name; all with the same versions. Each resumes after the epochs that it has finished.
        store_indices: by name, (segments,) index in the store of each of a training's segments.
        store: the draws.
        device: where to compute.
        stop_requested: checked before every batch.
        resident_bytes: largest size of an epoch's draws to hold in memory.

    Yields:
        (epoch, name, record) after each epoch of each head.

    Raises:
        Stopped: `stop_requested` returned True.
        SertkError: the loss or the weights of a head, which is named, are NaN or infinite.
    """
    unfinished = [one for one in trainings.values() if len(one.history) < one.settings.epochs]
    if not unfinished:
        return
    versions, draws = unfinished[0].settings.versions, None
    first, last = 1 + min(len(one.history) for one in unfinished), max(one.settings.epochs for one in unfinished)
    for epoch in range(first, last + 1):
        if draws is None or store.num_frames.max() > versions:  # else the rows of all epochs are the same
            draws = EpochDraws(store, epoch, versions, device, resident_bytes)
        for name, training in trainings.items():
            if len(training.history) < epoch <= training.settings.epochs:
                with error_context(str(name)):
                    record = training.train_epoch(_selecting(draws, store_indices[name]), stop_requested)
                yield epoch, name, record


def _selecting(draws: EpochDraws, indices: np.ndarray) -> EpochVectors:
    """The draws of a training's segments, whose indices in the store are `indices`."""
    return lambda segments, versions: draws(indices[segments], versions)


def with_head(network: ResNet, spec: NetworkSpec, head: Head) -> ResNet:
    """A network of `spec` with copies of the trunk of `network`, of its pooling, and of `head`, in evaluation mode."""
    new = ResNet(spec)
    new.take_trunk(network)
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
