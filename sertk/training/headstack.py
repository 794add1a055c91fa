"""Heads that take their steps together: one batched matrix product for all, with each head's own batches, rates and momenta."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np
import torch
from torch import Tensor
from torch.optim.sgd import sgd

from sertk.data.loader import prefetch
from sertk.models.stackedhead import StackedHead
from sertk.training.head import EpochSums, EpochVectors, HeadTraining
from sertk.training.progress import Stopped, StopRequested


class HeadStack:
    """Heads in training, stacked, with their momenta; copy_back() gives the trainings what they have become.

    Args:
        trainings: of heads of the same shape.
    """

    def __init__(self, trainings: Sequence[HeadTraining]) -> None:
        self.trainings = trainings
        self.heads = StackedHead([one.head for one in trainings])
        self.momenta = [torch.stack(of_heads) for of_heads in zip(*map(_momenta, trainings))]
        self.descents = [_descent(one) for one in trainings]

    def step(self, vectors: Tensor, distributions: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Take a step of every head.

        Args:
            vectors: (heads, size, dim).
            distributions: (heads, size, labels), see Targets.distributions.
            batch: its number in the epoch.

        Returns:
            the loss of each head, summed over its vectors, and the logits. Shape: (heads,), (heads, size, labels)
        """
        for parameter in self.heads.parameters.values():
            parameter.grad = None
        logits = self.heads(vectors)
        losses = -(distributions * logits.log_softmax(dim=2)).sum(dim=(1, 2))
        (losses.sum() / vectors.shape[1]).backward()
        self._update(batch)
        return losses.detach(), logits.detach()

    @torch.no_grad()
    def _update(self, batch: int) -> None:
        """Gradient descent, in one call for neighbours with the same settings and learning rate."""
        parameters, first = list(self.heads.parameters.values()), 0
        updates = zip((one.rate(batch) for one in self.trainings), self.descents)
        for (rate, (momentum, nesterov, decays)), neighbours in groupby(updates):
            part = slice(first, first := first + len(list(neighbours)))
            for decay in set(decays):
                numbers = [number for number, its in enumerate(decays) if its == decay]
                sgd(
                    [parameters[number].data[part] for number in numbers],
                    [parameters[number].grad[part] for number in numbers],
                    [self.momenta[number][part] if momentum else None for number in numbers],
                    fused=True, weight_decay=decay, momentum=momentum, lr=rate, dampening=0, nesterov=nesterov,
                    maximize=False,
                )  # fmt: skip

    def copy_back(self) -> None:
        """Give the trainings their heads and momenta."""
        self.heads.copy_back()
        for number, one in enumerate(self.trainings):
            if one.settings.momentum:
                for parameter, momentum in zip(one.head.parameters(), self.momenta):
                    one.optimiser.state[parameter]["momentum_buffer"] = momentum[number].clone()


def train_stacked(
    trainings: Sequence[HeadTraining], draws: EpochVectors, indices: Sequence[np.ndarray], stop_requested: StopRequested
) -> list[EpochSums]:
    """Train heads together on the full batches of their next epoch; a last one of another size is left to each.

    Each becomes what it becomes alone, up to rounding.

    Args:
        trainings: of heads of the same shape, with the same batch size and the same number of finished epochs.
        draws: of the epoch, by indices in the store.
        indices: of each training, (segments,) index in the store of each of its segments.
        stop_requested: checked before every step.

    Returns:
        the sums of each head over its full batches.

    Raises:
        Stopped: `stop_requested` returned True.
    """
    device, full = trainings[0].device, [one.sampler.full_batches() for one in trainings]
    sums = EpochSums.zeros(device, len(trainings))
    # Folds are not of one size: where the batches of one end, the others go on without it.
    for start, stop in pairwise(sorted({0, *full})):
        active = [number for number, count in enumerate(full) if count >= stop]
        stack = HeadStack([trainings[number] for number in active])
        batches = StackedBatches(stack.trainings, draws, [indices[number] for number in active], start, stop)
        part = EpochSums.zeros(device, len(active))
        for batch, (vectors, distributions, labels) in enumerate(batches, start):
            if stop_requested():
                raise Stopped(f"in epoch {batches.epoch}")
            losses, logits = stack.step(vectors, distributions, batch)
            part.loss += losses
            part.correct += (logits.argmax(dim=2) == labels).sum(dim=1)
        stack.copy_back()
        sums.loss[active] += part.loss
        sums.correct[active] += part.correct
    return [EpochSums(loss, correct) for loss, correct in zip(sums.loss, sums.correct)]


class StackedBatches:
    """Batches start to stop of the next epoch of several heads: vectors, distributions and labels of each step.

    Args:
        trainings: with the same batch size.
        draws: of the epoch, by indices in the store.
        indices: of each training, (segments,) index in the store of each of its segments.
        start: the first batch.
        stop: the one after the last.
    """

    def __init__(
        self, trainings: Sequence[HeadTraining], draws: EpochVectors, indices: list[np.ndarray], start: int, stop: int
    ) -> None:
        self.draws, self.device, self.size = draws, trainings[0].device, trainings[0].settings.batch_size
        self.epoch, self.steps = len(trainings[0].history) + 1, stop - start
        items = [one.sampler.items(self.epoch)[start * self.size : stop * self.size] for one in trainings]
        segments = [one.members[of_it[:, 0]] for one, of_it in zip(trainings, items)]
        counts = np.array([len(one.targets.labels) for one in trainings])
        # (heads, steps * size) each: rows of the targets of all heads, one behind the other; segments in the store; versions.
        self.rows = np.stack(segments) + (counts.cumsum() - counts)[:, None]
        self.places = np.stack([of_it[chosen] for of_it, chosen in zip(indices, segments)])
        self.versions = np.stack([of_it[:, 1] for of_it in items])
        self.labels = torch.cat([one.targets.labels for one in trainings])
        self.distributions = torch.cat(
            [one.targets.distributions(one.spec.num_labels, one.settings.label_smoothing) for one in trainings]
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Shapes: (heads, size, dim), (heads, size, labels), (heads, size)."""
        return prefetch(self._batch, range(self.steps))

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        part = slice(step * self.size, (step + 1) * self.size)
        vectors = self.draws(self.places[:, part].ravel(), self.versions[:, part].ravel())
        rows = torch.from_numpy(self.rows[:, part].ravel()).to(self.device, non_blocking=True)
        found = (vectors, self.distributions.index_select(0, rows), self.labels.index_select(0, rows))
        return tuple(tensor.unflatten(0, (-1, self.size)) for tensor in found)


def _momenta(training: HeadTraining) -> list[Tensor]:
    """The momentum of each parameter; before the first step, and without momentum, zeros."""
    states = [(training.optimiser.state.get(parameter, {}), parameter) for parameter in training.head.parameters()]
    found = [(state.get("momentum_buffer"), parameter) for state, parameter in states]
    return [torch.zeros_like(parameter) if momentum is None else momentum for momentum, parameter in found]


def _descent(training: HeadTraining) -> tuple[float, bool, tuple[float, ...]]:
    """Momentum, whether it is Nesterov's, and the weight decay of each parameter."""
    groups, defaults = training.optimiser.param_groups, training.optimiser.defaults
    decay_of = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    decays = tuple(decay_of[parameter] for parameter in training.head.parameters())
    return defaults["momentum"], defaults["nesterov"], decays
