"""Transfer: new heads on a frozen trunk, trained from the trunk's draws (Padi et al. 2021, section 3.2)."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sertk.data.loader import prefetch
from sertk.data.sampler import Batch, Sampler
from sertk.data.store import RESIDENT_BYTES, Store
from sertk.errors import SertkError, error_context
from sertk.models.modelfile import finite
from sertk.models.resnet import Head, NetworkSpec, ResNet
from sertk.models.spec import HeadSpec
from sertk.runs.preemption import Stopped
from sertk.runs.state import Progress
from sertk.training.freezing import decay_groups
from sertk.training.loop import seeded
from sertk.training.model_selection import chosen_epoch
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

Name = TypeVar("Name")


class HeadTraining:
    """One head, trained on some of the segments.

    Args:
        spec: of the head, or of the network whose head it is.
        members: (segments,) indices of the training segments among all.
        targets: of all segments.
        settings: how.
        device: where to compute.
        develop: what to look at after every epoch: its figures join the epoch's record, and the head of the epoch with
            the greatest dev_ua is kept beside the last one (see choosing).
    """

    def __init__(self, spec: NetworkSpec | HeadSpec, members: np.ndarray, targets: Targets, settings: HeadSettings, device,
                 develop: Callable[[Head], dict] | None = None) -> None:  # fmt: skip
        self.spec, self.settings, self.device, self.develop, self.best = spec, settings, device, develop, None
        if settings.class_weights == "balanced":
            targets = targets.balanced(spec.num_labels, members)
        self.members, self.targets = members, targets.to(device)
        self.head = seeded(lambda: Head(spec), settings.seed).to(device).train()
        groups = decay_groups(self.head, settings.weight_decay)
        self.optimiser = torch.optim.SGD(groups, settings.learning_rate, settings.momentum, fused=True)
        self.schedule = settings.schedule()
        # T does not matter here: the draws have theirs.
        classes = targets.labels[members].numpy() if settings.sampling == "balanced" else None
        self.sampler = Sampler(settings.seed, len(members), settings.versions, 1, settings.batch_size, (1,), classes)
        self.history: list[dict] = []
        if self.sampler.smallest_batch() < 2:
            raise SertkError(f"{len(members)} training segment makes a batch of one: BatchNorm takes two at least")

    def epoch(self, vectors: Callable[[np.ndarray, np.ndarray], Tensor], stop=False) -> dict:
        """Train for one epoch.

        Args:
            vectors: function of (segments, versions), indices, that gives the (batch, dim) vectors of this epoch.
            stop: when it becomes true, the training ends.

        Returns:
            the epoch's record: loss, accuracy, learning_rate.

        Raises:
            Stopped: when `stop` became true.
            SertkError: when the loss is not a number.
        """
        number = len(self.history) + 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(number)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for segments, given in prefetch(lambda batch: self._vectors(batch, vectors), self.sampler.batches(number)):
            if stop:
                raise Stopped(f"in epoch {number}")
            targets = self.targets.of(torch.from_numpy(segments).to(self.device, non_blocking=True))
            logits = self.head(given)
            loss = targets.loss(logits, self.settings.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            (loss / len(segments)).backward()
            self.optimiser.step()
            loss_sum += loss.detach()
            correct += targets.correct(logits)
        self.optimiser.zero_grad(set_to_none=True)  # other heads train now: their gradients need the room
        items = self.sampler.num_items
        record = {"epoch": number, "loss": float(loss_sum) / items, "accuracy": int(correct) / items,
                  "learning_rate": self.schedule.rate(number)}  # fmt: skip
        if not math.isfinite(record["loss"]) or not finite(self.head):
            what = "weights are NaN or infinite" if math.isfinite(record["loss"]) else f"the loss is {record['loss']}"
            raise SertkError(f"epoch {number}: {what} (learning rate {record['learning_rate']:g})")
        self.history.append(record)
        if self.develop:
            record |= self.develop(self.head)
            if chosen_epoch(self.history) == number:
                self.best = copy.deepcopy(self.head)
        return record

    def progress(self) -> Progress:
        """History, weights and momenta after the last epoch, for a checkpoint."""
        tensors = {"head": self.head.state_dict(), "optimiser": self.optimiser.state_dict()}
        return Progress(self.history, tensors=tensors | ({"best": self.best.state_dict()} if self.best else {}))

    def load_progress(self, progress: Progress) -> None:
        """Resume from a checkpoint; an empty one changes nothing, and one of more than --epochs is not used."""
        if not progress.history or len(progress.history) > self.settings.epochs:
            return
        self.history = progress.history
        self.head.load_state_dict(progress.tensors["head"])
        self.optimiser.load_state_dict(progress.tensors["optimiser"])
        if "best" in progress.tensors:
            self.best = Head(self.spec).to(self.device)
            self.best.load_state_dict(progress.tensors["best"])

    def chosen(self) -> tuple[Head, int]:
        """The head of the chosen epoch, and its number."""
        return self.best or self.head, chosen_epoch(self.history)

    def _vectors(self, batch: Batch, vectors) -> tuple[np.ndarray, Tensor]:
        """A batch's segments and their vectors."""
        segments = self.members[batch.items[:, 0]]
        return segments, vectors(segments, batch.items[:, 1])


class EpochDraws:
    """The draws of one epoch: held on the device where they fit, else read batch by batch.

    Args:
        store: the draws of all segments and epochs.
        epoch: from 1.
        versions: rows of a segment in an epoch.
        device: where they are wanted.
        resident_bytes: what may be held.
    """

    def __init__(self, store: Store, epoch: int, versions: int, device, resident_bytes: int) -> None:
        self.store, self.versions, self.device, self.held = store, versions, device, None
        self.first = (epoch - 1) * versions
        if 4 * len(store) * versions * store.bins <= resident_bytes:
            held = np.empty((len(store), versions, store.bins), np.float32)
            for index, place in enumerate(held):
                place[:] = store[index].rows(self.first, self.first + versions)
            self.held = torch.from_numpy(held).to(device).flatten(0, 1)

    def __call__(self, segments: np.ndarray, versions: np.ndarray) -> Tensor:
        """The rows of these segments and versions (indices). Shape: (batch, dim)."""
        if self.held is not None:  # numpy's indices would make a GPU wait
            rows = torch.from_numpy(segments * self.versions + versions)
            return self.held.index_select(0, rows.to(self.device, non_blocking=True))
        places = zip(segments.tolist(), (self.first + versions).tolist())
        rows = np.concatenate([self.store[segment].rows(row, row + 1) for segment, row in places])
        return torch.from_numpy(rows).to(self.device)


def train_heads(trainings: dict[Name, HeadTraining], places: dict[Name, np.ndarray], store: Store, device: torch.device,
                stop=False, resident_bytes: int = RESIDENT_BYTES) -> Iterator[tuple[int, Name, dict]]:  # fmt: skip
    """Train several heads side by side; an epoch's draws are read once for all of them where they fit into memory.

    Args:
        trainings: by whatever they are called; all with the same epochs and versions. One that has epochs behind it
            goes on after them.
        places: by the same, (segments,) which segment of the store each of a training's segments is.
        store: the draws.
        stop: when it becomes true, the training ends.
        resident_bytes: what an epoch's draws may take of memory.

    Yields:
        (epoch, name, record) after each epoch of each head.

    Raises:
        Stopped: when `stop` became true.
        SertkError: with the head's name, when its loss is not a number.
    """
    settings = [training.settings for training in trainings.values()]
    first = 1 + min((len(training.history) for training in trainings.values()), default=0)
    for epoch in range(first, settings[0].epochs + 1 if settings else 0):
        drawn = EpochDraws(store, epoch, settings[0].versions, device, resident_bytes)
        for name, training in trainings.items():
            if len(training.history) < epoch:
                place = places[name]
                with error_context(str(name)):
                    record = training.epoch(lambda segments, versions, d=drawn, p=place: d(p[segments], versions), stop)
                yield epoch, name, record


def with_head(network: ResNet, spec: NetworkSpec, head: Head) -> ResNet:
    """A network of `spec` out of the trunk of `network` and `head`, both copied."""
    new = ResNet(spec)
    new.trunk.load_state_dict(network.trunk.state_dict())
    new.head.load_state_dict(head.state_dict())
    return new.eval()


def train_head(vectors: np.ndarray, labels: Sequence[str], settings: HeadSettings | None = None,
               embedding_dim: int = 256) -> tuple[Head, list[str]]:  # fmt: skip
    """Train a head on vectors of any origin: pooled statistics, functionals, another network's embeddings.

    Args:
        vectors: (segments, dim) floats, or (segments, epochs * versions, dim) where every epoch has its own, as
            embed-segments --draws writes them.
        labels: (segments,) names.
        settings: how to train (default: the paper's).
        embedding_dim: size of the layer before the output.

    Returns:
        the head in evaluation mode, (batch, dim) -> logits (batch, labels), and the labels in the order of its outputs.

    Raises:
        SertkError: fewer vectors an epoch than the settings take, one label alone, vectors or a loss that are NaN or
            infinite.
    """
    vectors, names = np.asarray(vectors, np.float32), sorted(set(labels))
    if vectors.ndim not in (2, 3) or len(vectors) != len(labels):
        raise SertkError(f"vectors of shape {vectors.shape} for {len(labels)} labels: wanted (segments, dim)")
    if len(names) < 2:
        raise SertkError(
            f"all segments are labelled {names[0] if names else 'nothing'}: two labels at least are wanted"
        )
    if not np.isfinite(vectors).all():
        raise SertkError(
            f"vector {int(np.argmin(np.isfinite(vectors).reshape(len(vectors), -1).all(1)))} is NaN or infinite"
        )
    settings = settings or HeadSettings()
    if vectors.ndim == 2:
        vectors, rows = vectors[:, None], lambda epoch, versions: np.zeros_like(versions)
    elif vectors.shape[1] >= settings.epochs * settings.versions:
        rows = lambda epoch, versions: (epoch - 1) * settings.versions + versions  # noqa: E731
    else:
        raise SertkError(
            f"{vectors.shape[1]} vectors a segment: {settings.epochs} epochs of {settings.versions} versions"
        )
    spec = HeadSpec(vectors.shape[2], len(names), embedding_dim)
    targets = Targets(torch.tensor([names.index(label) for label in labels]))
    training = HeadTraining(spec, np.arange(len(labels)), targets, settings, torch.device("cpu"))
    for epoch in range(1, settings.epochs + 1):
        training.epoch(lambda segments, versions, e=epoch: torch.from_numpy(vectors[segments, rows(e, versions)]))
    return training.head.eval(), names
