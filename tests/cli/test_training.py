"""What the training binaries share."""

from contextlib import nullcontext

import click
import pytest

from sertk.cli.training import EpochBar, check_balance

RECORD = {"loss": 0.5, "accuracy": 0.25, "learning_rate": 0.01, "chunks_per_second": 12.3}


def test_epoch_is_one_line_without_a_terminal(caplog):
    caplog.set_level("INFO", "sertk")
    bar = EpochBar(epochs=2, batches=3)
    for batch in (1, 2, 3):
        bar(1, batch, RECORD)
    assert [record.getMessage() for record in caplog.records] == [
        "epoch 1 of 2: loss 0.5000 accuracy 25.00 % lr 0.01 12 seg/s"
    ]


@pytest.mark.parametrize(
    ("class_weights", "sampling", "refused"),
    [
        ("none", "none", False),
        ("balanced", "natural", False),
        ("none", "balanced", False),
        ("balanced", "balanced", True),
    ],
)
def test_labels_are_balanced_once(class_weights, sampling, refused):
    with pytest.raises(click.UsageError) if refused else nullcontext():
        check_balance({"class_weights": class_weights, "sampling": sampling})
