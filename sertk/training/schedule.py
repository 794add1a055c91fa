"""Learning rate schedule: constant, then halved every few epochs (Padi et al. 2021, section 4.2)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HalvingSchedule:
    """A learning rate that is constant at first and then halved at a fixed interval.

    Args:
        initial: learning rate of the first epoch.
        hold_epochs: epochs before the first halving.
        halve_every: epochs between halvings.

    Example:
        >>> paper = HalvingSchedule(0.01, hold_epochs=8, halve_every=2)
        >>> [paper.rate(epoch) for epoch in (1, 8, 9, 10, 11)]
        [0.01, 0.01, 0.005, 0.005, 0.0025]
    """

    initial: float = 0.01
    hold_epochs: int = 8
    halve_every: int = 2

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 1."""
        past = epoch - self.hold_epochs
        return self.initial * 0.5 ** (0 if past <= 0 else 1 + (past - 1) // self.halve_every)
