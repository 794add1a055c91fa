"""Learning rate and margin along a training, as functions of epoch and batch. No torch."""

import math
from dataclasses import dataclass

SCHEDULES = ("halving", "exponential", "cosine")
# What is left of the way to the whole margin when its rise ends, as in wespeaker.
REST = 1e-3


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    "halving" is the paper's (Padi et al. 2021, section 4.2): constant, then halved every few epochs. The others fall from the
    initial rate to the final one over all epochs, batch by batch: "exponential" by the same factor at each, "cosine" as half a
    period of a cosine (Loshchilov and Hutter 2017). A warm-up multiplies any of them by a ramp from 0 to 1.

    Args:
        kind: "halving", "exponential" or "cosine".
        initial: learning rate of the first epoch, without a warm-up.
        epochs: of the training.
        hold_epochs: epochs before the first halving.
        halve_every: epochs between halvings.
        warmup_epochs: length of the ramp, 0 for none.
        final: learning rate at the end, of the other two.

    Example:
        >>> paper = Schedule("halving", 0.01, epochs=20, hold_epochs=8, halve_every=2)
        >>> [paper.rate(epoch) for epoch in (1, 8, 9, 10, 11)]
        [0.01, 0.01, 0.005, 0.005, 0.0025]
        >>> cosine = Schedule("cosine", 1.0, epochs=2, warmup_epochs=0.5, final=0.0)
        >>> [round(cosine.rate(epoch, batch, 4), 3) for epoch in (1, 2) for batch in range(4)]
        [0.5, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]
    """

    kind: str = "halving"
    initial: float = 0.01
    epochs: int = 20
    hold_epochs: int = 8
    halve_every: int = 2
    warmup_epochs: float = 0.0
    final: float = 1e-5

    def rate(self, epoch: int, batch: int = 0, batches: int = 1) -> float:
        """Learning rate of a step.

        Args:
            epoch: from 1.
            batch: of the epoch, from 0.
            batches: of an epoch.
        """
        ramp = self.warmup_epochs * batches
        step = (epoch - 1) * batches + batch
        return self._base(epoch, step / (self.epochs * batches)) * (1.0 if step + 1 >= ramp else (step + 1) / ramp)

    def _base(self, epoch: int, part: float) -> float:
        """The rate without a warm-up, in an epoch, after this part of the training."""
        match self.kind:
            case "halving":
                past = epoch - self.hold_epochs
                return self.initial * 0.5 ** (0 if past <= 0 else 1 + (past - 1) // self.halve_every)
            case "exponential":
                return self.initial * (self.final / self.initial) ** part
            case "cosine":
                return self.final + (self.initial - self.final) * (1 + math.cos(math.pi * part)) / 2
        raise ValueError(self.kind)


@dataclass(frozen=True)
class Rise:
    """A margin that is 0 at first, rises fast and then ever more slowly, and is constant from an epoch on, as in wespeaker.

    Args:
        margin: at the end.
        first: the epoch in which it starts to rise, from 1.
        last: the epoch from whose start it is constant; that of `first`: it is from there on, without a rise.

    Example:
        >>> rise = Rise(0.2, first=2, last=4)
        >>> [round(rise.at(epoch, batch, 2), 3) for epoch in (1, 2, 3, 4) for batch in range(2)]
        [0.0, 0.0, 0.0, 0.164, 0.194, 0.199, 0.2, 0.2]
    """

    margin: float
    first: int = 1
    last: int = 1

    def at(self, epoch: int, batch: int = 0, batches: int = 1) -> float:
        """The margin of a step; arguments as of Schedule.rate."""
        if epoch >= self.last:
            return self.margin
        if epoch < self.first:
            return 0.0
        part = (epoch - self.first + batch / batches) / (self.last - self.first)
        return self.margin * (1 - REST**part)
