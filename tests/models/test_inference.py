"""Outputs of whole segments: batches, memory, order."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from networks import trained

from sertk.errors import SertkError
from sertk.models import inference, pieces
from sertk.models.inference import on_segments
from sertk.models.resnet import Trunk

CPU = torch.device("cpu")


class Full:
    """A trunk's stand-in in a memory that holds so many frames."""

    def __init__(self, monkeypatch, most):
        self.asked, forward = [], Trunk.forward

        def limited(trunk, feats, lengths=None, after_stage=None):
            self.asked.append(feats.shape[0] * feats.shape[2])
            if self.asked[-1] > most:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
            return forward(trunk, feats, lengths, after_stage)

        monkeypatch.setattr(Trunk, "forward", limited)


def test_where_memory_runs_out_smaller_parts_are_tried(monkeypatch):
    """A batch in halves, a long segment in shorter pieces: every segment has its answer."""
    network, rng = trained(), np.random.default_rng(0)
    segments = [(f"u{i}", rng.normal(size=(n, 16)).astype(np.float32)) for i, n in enumerate([90, 2000, 80, 100, 85])]
    expected = list(on_segments(network, segments, "logit", CPU))
    monkeypatch.setitem(inference.WINDOW, "cpu", 9)
    monkeypatch.setitem(inference.TOGETHER, "cpu", 500)
    full = Full(monkeypatch, 600)
    found = list(on_segments(network, segments, "logit", CPU))
    assert 2000 in full.asked and [key for key, _ in found] == [key for key, _ in expected]
    for (_, one), (_, other) in zip(found, expected):
        np.testing.assert_allclose(one, other, atol=1e-5)
    full = Full(monkeypatch, 130)
    found = list(on_segments(network, [s for s in segments if s[0] != "u1"], "logit", CPU))
    assert 400 in full.asked and len(found) == 4


def test_every_segment_is_computed_where_some_take_pieces(monkeypatch):
    """In a wide network segments that would be batched are longer than what is passed as a whole."""
    network, rng = trained(), np.random.default_rng(0)
    segments = [(f"u{i}", rng.normal(size=(n, 16)).astype(np.float32)) for i, n in enumerate([90, 120, 80, 110])]
    expected = list(on_segments(network, segments, "logit", CPU))
    monkeypatch.setitem(inference.WINDOW, "cpu", 9)
    monkeypatch.setitem(inference.TOGETHER, "cpu", 400)
    monkeypatch.setitem(pieces.WIDEST, "cpu", 100 * network.spec.channels * network.spec.bins)
    found = list(on_segments(network, segments, "logit", CPU))
    assert [key for key, _ in found] == [key for key, _ in expected]
    for (_, one), (_, other) in zip(found, expected):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_out_of_memory_names_the_segment_and_spares_the_others(monkeypatch):
    segments = [(key, np.ones((n, 16), np.float32)) for key, n in (("a", 40), ("hour", 3000), ("b", 41))]
    network = trained()
    Full(monkeypatch, 45)
    with pytest.raises(SertkError, match=r"^hour: cpu out of memory, with \d+ of 3000 frames at a time: free some"):
        list(on_segments(network, segments, "logit", CPU))
    skipped = {}
    found = on_segments(network, segments, "logit", CPU, skip=skipped.__setitem__)
    assert [key for key, _ in found] == ["a", "b"] and list(skipped) == ["hour"]


def test_a_window_is_closed_by_its_frames_too(monkeypatch):
    """Five hundred long segments are not held in memory at once."""
    monkeypatch.setitem(inference.WINDOW, "cpu", 512)
    monkeypatch.setattr(inference, "MOST_FRAMES", 200)
    taken = []

    def segments():
        for i in range(6):
            taken.append(i)
            yield str(i), np.ones((100, 16), np.float32)

    results = on_segments(trained(), segments(), "logit", CPU)
    next(results)
    assert taken == [0, 1]
    assert len(list(results)) == 5


HOUR = """
import resource, sys, numpy as np, torch
from sertk.models.inference import on_segments
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runtime import prepare_cpu
prepare_cpu(1)
torch.manual_seed(0)
frames = int(sys.argv[1])
feats = np.random.default_rng(0).standard_normal((frames, 128), np.float32)
((_, found),) = on_segments(ResNet(NetworkSpec(4)), [("hour", feats)], "posterior", torch.device("cpu"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_an_hour_takes_less_than_1500_mb():
    """The paper's network, on one thread."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOUR, "360000"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert float(done.stdout) < 1500


def test_batches_by_length_change_neither_values_nor_order(monkeypatch):
    network, rng = trained(), np.random.default_rng(0)
    lengths = [30, 9, 200, 31, 8, 30, 77, 12, 30]
    segments = [(f"utt{i}", rng.normal(size=(n, 16)).astype(np.float32)) for i, n in enumerate(lengths)]
    alone = list(on_segments(network, segments, "logit", CPU))
    shapes, whole = [], inference.output
    monkeypatch.setattr(
        inference, "output", lambda n, feats, *rest: shapes.append(feats.shape) or whole(n, feats, *rest)
    )
    monkeypatch.setitem(inference.WINDOW, "cpu", 7)
    monkeypatch.setitem(inference.TOGETHER, "cpu", 93)
    batched = list(on_segments(network, segments, "logit", CPU))
    assert [(size, frames) for size, _, frames in shapes] == [(3, 30), (2, 31), (1, 77), (1, 200), (2, 30)]
    assert [key for key, _ in batched] == [key for key, _ in alone]
    for (_, one), (_, other) in zip(batched, alone):
        np.testing.assert_allclose(one, other, atol=1e-5)
