"""Draws of a frozen trunk."""

import numpy as np
import pytest
import torch
from trainings import StopAfter

from sertk.data.keyed_random import Draws
from sertk.data.store import load_store
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.models.modelfile import load_model
from sertk.training import trunk_pass
from sertk.training.progress import Stopped
from sertk.training.settings import TrainingSettings
from sertk.training.trunk_pass import DrawPlan, draw_vectors


def test_draw_depends_on_seed_segment_epoch_and_version(toy):
    store = load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings(seed=5).chunk_rule(), 2, (24, 32))
    frames = Draws(5, "chunk", store.keys[7], 2, 1).choice((24, 32))
    assert plan.chunk(store[7], 4).shape == (frames, 16) and plan.rows == 6


def test_draws_of_fewer_segments_are_the_same(toy, speakers):
    model, store = load_model(speakers), load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), 1, (24, 32))
    whole = dict(draw_vectors(model.network, store, plan, "pool", torch.device("cpu")))
    part = dict(draw_vectors(model.network, store.only(lambda key: key < "spk2"), plan, "pool", torch.device("cpu")))
    assert 0 < len(part) < len(whole)
    for key, rows in part.items():
        np.testing.assert_allclose(rows, whole[key], atol=1e-5)


def test_pass_ends_when_asked_to_stop(toy, speakers):
    network, store = load_model(speakers).network, load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), 1, (24,))
    draws = draw_vectors(network, store, plan, "pool", torch.device("cpu"), stop_requested=StopAfter(1))
    with pytest.raises(Stopped, match="after 4 of 40 segments"):
        list(draws)


@pytest.fixture
def passed(toy, speakers):
    """passed(): what a pass over the toy task yields, in order."""
    network, store = load_model(speakers).network, load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), 1, (24, 32))
    return lambda: list(draw_vectors(network, store, plan, "pool", torch.device("cpu")))


def same(some, others):
    assert [key for key, _ in some] == [key for key, _ in others]
    return all(np.array_equal(a, b) for (_, a), (_, b) in zip(some, others))


def test_windows_in_a_queue_come_in_order(passed, monkeypatch):
    """As on a GPU, where one is computed while the one before is sorted."""
    at_once = passed()
    monkeypatch.setitem(trunk_pass.QUEUED, "cpu", 1)
    assert same(passed(), at_once)


def test_a_batch_that_does_not_fit_is_halved(passed, monkeypatch):
    whole, sizes, compute = passed(), [], trunk_pass.output

    def output(network, chunks, *rest):
        if len(chunks) > 5:
            raise torch.cuda.OutOfMemoryError("no room")
        sizes.append(len(chunks))
        return compute(network, chunks, *rest)

    monkeypatch.setattr(trunk_pass, "output", output)
    assert [key for key, _ in passed()] == [key for key, _ in whole] and max(sizes) in (3, 4, 5)
    for (_, rows), (_, of_whole) in zip(passed(), whole):
        np.testing.assert_allclose(rows, of_whole, atol=1e-5)
