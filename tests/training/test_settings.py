"""Training settings: samplers and chunk rules."""

import pytest
from trainings import records

from sertk.datadir.lists import read_list, write_list
from sertk.training.settings import TrainingSettings


def test_smallest_batch_is_known():
    for num_segments, size in ((40, 32), (40, 7), (1, 32), (5, 10)):
        sampler = TrainingSettings(batch_size=size).sampler(num_segments)
        assert sampler.smallest_batch() == min(len(batch.items) for batch in sampler.batches(1))


@pytest.fixture
def rare(toy):
    """The toy task with three of 'sad' instead of ten."""
    labels = read_list(toy / "utt2label")
    sad = [key for key, label in labels.items() if label == "sad"]
    write_list(toy / "utt2label", {key: "ang" if key in sad[3:] else label for key, label in labels.items()})
    return toy


def test_balanced_epoch_is_as_long_and_resumes_bitwise(rare, train):
    train("twice", "--epochs", 1, "--sampling", "balanced")
    train("twice", "--epochs", 2, "--sampling", "balanced")
    train("once", "--epochs", 2, "--sampling", "balanced")
    train("natural", "--epochs", 1)
    assert (rare / "twice/final.pt").read_bytes() == (rare / "once/final.pt").read_bytes()
    assert records(rare / "once")[0]["chunks"] == records(rare / "natural")[0]["chunks"] == 120
    assert records(rare / "once")[0]["loss"] != records(rare / "natural")[0]["loss"]
    err = train("natural", "--epochs", 2, "--sampling", "balanced", code=1).err
    assert "sampling=natural, now it is balanced" in err


def test_defaults_are_the_papers():
    """Padi et al. 2021, section 4.2."""
    settings = TrainingSettings()
    assert (settings.epochs, settings.batch_size, settings.learning_rate, settings.momentum) == (20, 32, 0.01, 0.9)
    assert settings.plain()["chunk_frames"] == [150, 200, 250, 300]
    assert settings.loss == "softmax" and "loss" not in settings.plain() and "schedule" not in settings.fingerprint()
    assert len(settings.chunk_rule().policies) == 3 and settings.chunk_rule().policies[0].num_freq == 0
    assert [settings.learning_rates().rate(epoch) for epoch in (8, 9)] == [0.01, 0.005]
