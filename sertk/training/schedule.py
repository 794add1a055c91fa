"""How the descent goes: a learning rate that stays, then is halved every few epochs (Padi et al. 2021, section 4.2)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HalvingSchedule:
    """A learning rate that stays for `hold_epochs` and is then halved every `halve_every` epochs.

    Example:
        >>> paper = HalvingSchedule(0.01, hold_epochs=8, halve_every=2)
        >>> [paper.rate(epoch) for epoch in (1, 8, 9, 10, 11)]
        [0.01, 0.01, 0.005, 0.005, 0.0025]
    """

    initial: float = 0.01
    hold_epochs: int = 8
    halve_every: int = 2

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        past = epoch - self.hold_epochs
        return self.initial * 0.5 ** (0 if past <= 0 else 1 + (past - 1) // self.halve_every)


@dataclass(frozen=True)
class DescentSettings:
    """Stochastic gradient descent, of a network or of a head; the defaults are the paper's (section 4.2), where it says."""

    seed: int = 0
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.01
    hold_epochs: int = 8
    halve_every: int = 2
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    sampling: str = "natural"
    select: str = "last"

    def schedule(self) -> HalvingSchedule:
        return HalvingSchedule(self.learning_rate, self.hold_epochs, self.halve_every)
