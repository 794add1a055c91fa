"""Long segments in pieces: what the whole gives, in the memory of a piece."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from networks import trained

from sertk.errors import SertkError
from sertk.models import inference
from sertk.models import pieces as module
from sertk.models.inference import on_segments
from sertk.models.pieces import Field, field, pieces
from sertk.models.pooling import Moments
from sertk.models.resnet import NetworkSpec, Trunk

CPU = torch.device("cpu")
OUTPUTS = ["pool", "embedding", "logit", "posterior"]


def test_receptive_field_of_the_papers_network_is_225_frames():
    assert field(Trunk(NetworkSpec(4))) == Field(112, 112, 8)
    # Stem 1, stages 2, 1 + 2, 2 + 4, 4 + 8.
    assert field(Trunk(NetworkSpec(4, channels=4, blocks=(1, 1, 1, 1)))) == Field(24, 24, 8)


def test_receptive_field_is_what_an_output_frame_sees():
    """Frames beyond it change nothing, those at its ends do."""
    trunk, feats = trained().double().trunk, torch.randn(1, 16, 400, dtype=torch.float64)
    seen, out = field(trunk), 25
    begin, end = out * seen.stride - seen.before, out * seen.stride + seen.after
    with torch.no_grad():
        before = trunk(feats)[0][..., out]
        for frame, inside in ((begin - 1, False), (begin, True), (end, True), (end + 1, False)):
            other = feats.clone()
            other[..., frame] += 1
            assert torch.equal(trunk(other)[0][..., out], before) is not inside, frame


def test_pieces_cover_every_output_frame_once_with_its_field():
    seen = Field(24, 24, 8)
    for frames in range(1, 400):
        outputs = []
        for piece in pieces(frames, 120, seen):
            assert piece.start % 8 == 0 and piece.stop <= frames
            for out in range(piece.start // 8 + piece.first, piece.start // 8 + piece.last):
                assert piece.start <= max(0, out * 8 - 24) and min(frames, out * 8 + 25) <= piece.stop
                outputs.append(out)
        assert outputs == list(range(-(-frames // 8)))


@pytest.mark.parametrize("pooling", ["stats", "mean"])
def test_pieces_give_what_the_whole_gives(monkeypatch, pooling):
    """Every length around the borders of pieces, and some of many pieces; within 1e-5 of the largest number."""
    network = trained(pooling=pooling)
    seen = field(network.trunk)
    lengths = [*range(300, 300 + 2 * seen.stride + 1), *range(440, 450), 1, 9, 601, 1234]
    rng = np.random.default_rng(0)
    segments = [(str(n), rng.normal(1, 2, (n, 16)).astype(np.float32)) for n in lengths]
    for at in OUTPUTS if pooling == "stats" else ["pool"]:
        whole = dict(on_segments(network, segments, at, CPU))
        with monkeypatch.context() as patch:
            patch.setitem(module.WIDEST, "cpu", 150 * 4 * 16)
            parts = dict(on_segments(network, segments, at, CPU))
        assert list(parts) == list(whole)
        for key, expected in whole.items():
            np.testing.assert_allclose(parts[key], expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


def test_short_segments_and_networks_without_pooling_are_passed_whole(monkeypatch):
    network, fixed = trained(), trained(pooling="none", frames=40)
    segments = [("a", np.ones((150, 16), np.float32))]
    before = [list(on_segments(n, segments, "logit", CPU)) for n in (network, fixed)]
    monkeypatch.setattr(inference, "pooled_in_pieces", None)
    monkeypatch.setitem(module.WIDEST, "cpu", 150 * 4 * 16)
    assert inference.longest(network.spec, CPU) == 150
    for n, ((_, expected),) in zip((network, fixed), before):
        ((_, found),) = on_segments(n, segments, "logit", CPU)
        np.testing.assert_array_equal(found, expected)


def test_moments_of_a_large_mean_keep_their_variance():
    """Frames whose mean is 10,000 deviations away, an hour of them in pieces of any size."""
    maps = torch.randn(1, 2, 1, 45_000, dtype=torch.float64) + 1e4
    moments = Moments()
    for part in maps.split([1, 7, 30_000, 14_992], dim=-1):
        moments.add(part)
    torch.testing.assert_close(moments.mean, maps.mean(-1), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.variance, maps.var(-1, correction=0), rtol=1e-9, atol=0)


class Full:
    """A trunk's stand-in in a memory that holds so many frames."""

    def __init__(self, monkeypatch, most):
        self.asked, forward = [], Trunk.forward

        def limited(trunk, feats, lengths=None):
            self.asked.append(feats.shape[0] * feats.shape[2])
            if self.asked[-1] > most:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
            return forward(trunk, feats, lengths)

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
