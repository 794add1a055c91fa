"""Transfer: new heads on a frozen trunk, trained from the trunk's draws (Padi et al. 2021, section 3.2)."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sertk.data.sampler import Sampler
from sertk.errors import SertkError
from sertk.models.resnet import Head, NetworkSpec
from sertk.training.freezing import decay_groups
from sertk.training.loop import seeded
from sertk.training.schedule import DescentSettings


@dataclass(frozen=True)
class HeadSettings(DescentSettings):
    """How a head is trained: as a network is, from draws that hold so many versions of a segment an epoch."""

    versions: int = 3


class HeadTraining:
    """One head, trained on some of the segments.

    Args:
        spec: the network's; its num_labels are the head's.
        members: (segments,) indices of the training segments among all.
        targets: (all segments,) indices of labels.
        settings: how.
        device: where to compute.
    """

    def __init__(self, spec: NetworkSpec, members: np.ndarray, targets: Tensor, settings: HeadSettings, device):
        self.settings, self.members, self.targets, self.device = settings, members, targets, device
        self.head = seeded(lambda: Head(spec), settings.seed).to(device).train()
        groups = decay_groups(self.head, settings.weight_decay)
        self.optimiser = torch.optim.SGD(groups, settings.learning_rate, settings.momentum)
        self.schedule = settings.schedule()
        # T does not matter here: the draws have theirs.
        self.sampler = Sampler(settings.seed, len(members), settings.versions, 1, settings.batch_size, (1,))
        self.history: list[dict] = []

    def epoch(self, vectors: Callable[[np.ndarray, np.ndarray], Tensor]) -> dict:
        """Train for one epoch.

        Args:
            vectors: function of (segments, versions), indices, that gives the (batch, dim) vectors of this epoch.

        Returns:
            the epoch's record: loss, accuracy, learning_rate.

        Raises:
            SertkError: when the loss is not a number.
        """
        number = len(self.history) + 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(number)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for batch in self.sampler.batches(number):
            segments = self.members[batch.items[:, 0]]
            targets = self.targets[segments].to(self.device)
            logits = self.head(vectors(segments, batch.items[:, 1]))
            loss = functional.cross_entropy(logits, targets, label_smoothing=self.settings.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            loss_sum += loss.detach() * len(targets)
            correct += (logits.argmax(dim=1) == targets).sum()
        items = self.sampler.num_items
        record = {"epoch": number, "loss": float(loss_sum) / items, "accuracy": int(correct) / items,
                  "learning_rate": self.schedule.rate(number)}  # fmt: skip
        if not math.isfinite(record["loss"]):
            raise SertkError(
                f"epoch {number}: the loss is {record['loss']} (learning rate {record['learning_rate']:g})"
            )
        self.history.append(record)
        return record


def train_heads(trainings: dict[str, HeadTraining], keys: list[str], rows: Callable[[str, int, int], np.ndarray],
                device: torch.device) -> Iterator[tuple[int, dict[str, dict]]]:  # fmt: skip
    """Train several heads side by side, reading every epoch's draws once.

    Args:
        trainings: by fold; all with the same epochs and versions.
        keys: all segments, in the order that the trainings' indices mean.
        rows: function of (key, start, stop) that gives rows of a segment's draws, (rows, dim) float32.

    Yields:
        (epoch, {fold: record}) after each epoch.
    """
    settings = next(iter(trainings.values())).settings
    for epoch in range(settings.epochs):
        first = epoch * settings.versions
        drawn = np.stack([rows(key, first, first + settings.versions) for key in keys])
        vectors = torch.from_numpy(drawn).to(device)
        yield (
            epoch + 1,
            {
                fold: training.epoch(lambda segments, versions, v=vectors: v[segments, versions])
                for fold, training in trainings.items()
            },
        )


def with_head(network, head: Head, num_labels: int):
    """A copy of `network` whose head is `head`; the trunk's weights are copied."""
    spec = NetworkSpec.from_plain({**network.spec.plain(), "num_labels": num_labels})
    new = copy.deepcopy(network)
    new.spec, new.head = spec, copy.deepcopy(head).cpu()
    return new.eval()
