"""Learning rates and margins along a training."""

import math

import pytest
import torch

from sertk.training.schedule import Rise, Schedule


def test_rate_is_halved_every_other_epoch_after_eight():
    schedule = Schedule("halving", 0.01, epochs=20, hold_epochs=8, halve_every=2)
    rates = [schedule.rate(epoch) for epoch in range(1, 14)]
    assert rates == [0.01] * 8 + [0.005] * 2 + [0.0025] * 2 + [0.00125]
    assert [schedule.rate(9, batch, 7) for batch in range(7)] == [0.005] * 7
    # 20 epochs hold 99.7 % of all the learning rate there is.
    assert sum(map(schedule.rate, range(1, 21))) / sum(map(schedule.rate, range(1, 200))) == pytest.approx(
        0.997, abs=5e-4
    )


def steps(schedule, epochs, batches):
    return [schedule.rate(epoch, batch, batches) for epoch in range(1, epochs + 1) for batch in range(batches)]


@pytest.mark.parametrize("kind", ["cosine", "exponential"])
def test_falling_rates_are_those_of_torchs_schedulers(kind):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    if kind == "cosine":
        reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 15, 1e-3)
    else:
        reference = torch.optim.lr_scheduler.ExponentialLR(optimiser, (1e-3 / 0.1) ** (1 / 15))
    wanted = []
    for _ in range(15):
        wanted.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        reference.step()
    assert steps(Schedule(kind, 0.1, epochs=3, final=1e-3), 3, 5) == pytest.approx(wanted, rel=1e-6)


def test_warm_up_is_a_ramp_from_0_to_1_on_top():
    warm, cold = (Schedule("exponential", 0.1, epochs=4, warmup_epochs=warm, final=1e-4) for warm in (1.5, 0))
    ramp = [warm / cold for warm, cold in zip(steps(warm, 4, 4), steps(cold, 4, 4))]
    assert ramp == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6] + [1] * 11)


def test_margin_rises_fast_and_then_ever_more_slowly():
    """Nine tenths of it after a third of the rise, all but a thousandth at its end."""
    rise = Rise(0.2, first=20, last=40)
    assert [rise.at(epoch) for epoch in (1, 19, 20, 40, 150)] == [0, 0, 0, 0.2, 0.2]
    assert rise.at(26, 2, 3) == pytest.approx(0.18) and rise.at(39, 999, 1000) == pytest.approx(0.2, rel=2e-3)
    assert rise.at(30) == pytest.approx(0.2 * (1 - math.exp(-0.5 * math.log(1000))))
    assert [Rise(0.5).at(1, batch, 3) for batch in range(3)] == [0.5] * 3
    assert [Rise(0.5, 3, 3).at(epoch) for epoch in (2, 3)] == [0, 0.5]
