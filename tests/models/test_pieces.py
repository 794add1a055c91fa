"""Long segments in pieces: what the whole gives, in the memory of a piece."""

import numpy as np
import pytest
import torch
from networks import trained

from sertk.models import inference
from sertk.models import pieces as module
from sertk.models.inference import on_segments
from sertk.models.pieces import Field, field, pieces
from sertk.models.resnet import NetworkSpec, Trunk

CPU = torch.device("cpu")
OUTPUTS = ["pool", "embedding", "logit", "posterior", "stage1,stage2,stage3,stage4"]


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


@pytest.mark.parametrize("fields", [{}, {"pooling": "mean"}, {"pooling": "attentive"}, {"level_input": True}], ids=str)
def test_pieces_give_what_the_whole_gives(monkeypatch, fields):
    """Every length around the borders of pieces, and some of many pieces; within 1e-5 of the largest number."""
    network = trained(**fields)
    seen = field(network.trunk)
    lengths = [*range(300, 301 + seen.stride), *range(440, 450), 1, 9, 601, 1234]
    rng = np.random.default_rng(0)
    segments = [(str(n), rng.normal(1, 2, (n, 16)).astype(np.float32)) for n in lengths]
    for at in ["pool", "stage2"] if fields else OUTPUTS:
        whole = dict(on_segments(network, segments, at, CPU))
        with monkeypatch.context() as patch:
            patch.setitem(module.WIDEST, "cpu", 150 * 4 * 16)
            parts = dict(on_segments(network, segments, at, CPU))
        assert list(parts) == list(whole)
        for key, expected in whole.items():
            np.testing.assert_allclose(parts[key], expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


def test_short_segments_and_unpooled_networks_are_not_cut(monkeypatch):
    network, fixed = trained(), trained(pooling="none", frames=40)
    segments = [("a", np.ones((150, 16), np.float32))]
    before = [list(on_segments(n, segments, "logit", CPU)) for n in (network, fixed)]
    monkeypatch.setattr(inference, "pooled_in_pieces", None)
    monkeypatch.setitem(module.WIDEST, "cpu", 150 * 4 * 16)
    assert inference.longest(network.spec, CPU) == 150
    for n, ((_, expected),) in zip((network, fixed), before):
        ((_, found),) = on_segments(n, segments, "logit", CPU)
        np.testing.assert_array_equal(found, expected)
