"""The front end of exported graphs against that of the model file."""

import numpy as np
import pytest
from onnx import TensorProto
from onnxmodels import expected, exported, model, run_graph, voices

from sertk.frontend.cmvn import normalise
from sertk.frontend.options import FbankOptions
from sertk.models.onnxfrontend import normalised
from sertk.models.onnxgraph import Graph

FRONT_ENDS = {
    "the paper's": {},
    "another rate": {"sample_frequency": 8000.0, "high_freq": 0.0},
    "mirrored ends": {"snip_edges": False},
    "a shift beyond the frame, mirrored": {"snip_edges": False, "frame_shift": 30.0},
    "energy": {"use_energy": True},
    "energy of the windowed frame, last, floored": {"use_energy": True, "raw_energy": False, "htk_compat": True,
                                                    "energy_floor": 1e9},
    "no power of two": {"round_to_power_of_two": False},
    "samples in ±1": {"sample_scale": 1 / 32768},
    "plain frames": {"remove_dc_offset": False, "preemphasis_coefficient": 0.0, "window_type": "hamming"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cmvn"),
    [*((name, "segment") for name in FRONT_ENDS), ("the paper's", "none"), ("the paper's", "segment mean")],
)
def test_every_front_end_equals_ours(tmp_path, name, cmvn):
    ours = model(FbankOptions(num_mel_bins=16, **FRONT_ENDS[name]), cmvn)
    graph = exported(ours, tmp_path)
    for samples in voices(400, 1601, 16000):
        assert graph([samples])[0] == pytest.approx(expected(ours, samples), abs=1e-5), len(samples)


def test_constant_bins_are_0_as_ours(tmp_path):
    """Digital silence around a tone: bins at the logarithm's floor in some frames, and in every one of a band."""
    ours = model(FbankOptions(num_mel_bins=16, remove_dc_offset=False, preemphasis_coefficient=0.0))
    samples = np.zeros(16000, np.float32)
    samples[:] = np.tile([7.0, -9.0, 7.0, 7.0], 4000)  # the same in every frame
    assert exported(ours, tmp_path)([samples])[0] == pytest.approx(expected(ours, samples), abs=1e-5)


@pytest.mark.parametrize("frames", [100, 20000])
def test_bins_that_differ_in_their_last_digits_are_0(frames):
    """Also in long recordings, whose float32 sums are rounded by more."""
    feats = np.full((frames, 3), -15.942385, np.float32)
    feats[::3] = np.nextafter(feats[0], np.float32(0))
    feats[:, 2] = np.arange(frames) % 10
    graph = Graph()
    lengths = graph.add("Cast", "frames", to=TensorProto.INT64)
    out, _ = normalised(graph, "feats", lengths, lengths, norm_vars=True)
    found = run_graph(graph, out, [1, frames, 3], feats=feats[None], frames=np.array([frames], np.float32))[0]
    assert not found[:, :2].any()
    np.testing.assert_allclose(found[:, 2], normalise(feats)[:, 2], atol=1e-5)


def test_without_sound_or_frame_the_output_is_nan(tmp_path):
    graph = exported(model(), tmp_path)
    silent, short, nan = np.zeros(5000, np.float32), voices(399)[0], voices(5000)[0]
    nan[100] = np.nan
    outputs = graph([silent, short, nan, np.full(5000, 7, np.float32), voices(5000)[0]])
    assert np.isnan(outputs[:4]).all() and np.isfinite(outputs[4]).all()
    assert np.isnan(graph([short])).all() and np.isnan(graph([np.zeros(0, np.float32)])).all()
