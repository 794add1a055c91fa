"""The learning rate schedule."""

import pytest

from sertk.training.schedule import HalvingSchedule


def test_rate_is_halved_every_other_epoch_after_eight():
    schedule = HalvingSchedule(0.01, hold_epochs=8, halve_every=2)
    rates = [schedule.rate(epoch) for epoch in range(1, 14)]
    assert rates == [0.01] * 8 + [0.005] * 2 + [0.0025] * 2 + [0.00125]
    # 20 epochs hold 99.7 % of all the learning rate there is.
    assert sum(map(schedule.rate, range(1, 21))) / sum(map(schedule.rate, range(1, 200))) == pytest.approx(
        0.997, abs=5e-4
    )
