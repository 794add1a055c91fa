"""Exported graphs against the model file they were made from."""

from pathlib import Path

import numpy as np
import pytest
from networks import trained

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions
from sertk.models.classifier import Classifier
from sertk.models.modelfile import Model
from sertk.models.onnxfile import load_onnx
from sertk.models.onnxgraph import export_onnx

LABELS = ["angry", "hap", "neu", "sad"]
PATH = Path("final.pt")


PLAIN = FbankOptions(num_mel_bins=16)


def model(options=PLAIN, cmvn="segment", **network):
    return Model(
        trained(bins=options.dim, **network), LABELS, {"fbank": options.settings(), "cmvn": cmvn}, {}, "d1" * 32
    )


def exported(model, folder, at="posterior"):
    export_onnx(model, PATH, folder / "out.onnx", at)
    return load_onnx(folder / "out.onnx", num_threads=1)


def voices(*lengths):
    """Noise under an envelope, on an offset, 16-bit integers as float32."""
    rng = np.random.default_rng(0)
    return [np.round(300 + rng.normal(0, 2000, n) * np.hanning(n + 2)[1:-1]).astype(np.float32) for n in lengths]


def expected(model, samples, at="posterior"):
    classifier = Classifier(model, PATH)
    return classifier.output(
        classifier.features(samples.astype(np.int16), classifier.extract.options.sample_frequency), at
    )


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


NETWORKS = [
    {"pooling": "mean"},
    {"pooling": "attentive"},
    {"pooling": "none", "frames": 30},
    {"activation": "relu"},
    {"activation": "prelu-channel"},
    {"deviation": "unbiased", "pooling_epsilon": 0.0, "hidden_dim": 6},
    {"embedding_norm": False},
    {"input_norm": True},
    {"output": "cosine"},
    {"output": "cosine", "scale": 8.0, "subcentres": 3},
]


@pytest.mark.parametrize("fields", NETWORKS, ids=str)
def test_every_network_equals_ours(tmp_path, fields):
    ours = model(**fields)
    graph = exported(ours, tmp_path)
    for samples in voices(1600, 16000):
        assert graph([samples])[0] == pytest.approx(expected(ours, samples), abs=1e-5)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("fields", [{}, {"pooling": "none", "frames": 30}, {"pooling": "attentive"}], ids=str)
def test_recordings_in_a_batch_do_not_change_each_other(tmp_path, snip_edges, fields):
    graph = exported(model(FbankOptions(num_mel_bins=16, snip_edges=snip_edges), **fields), tmp_path)
    some = voices(16000, 400, 1700, 8000)
    alone = [graph([samples])[0] for samples in some]
    assert graph(some) == pytest.approx(np.array(alone), abs=1e-6)
    assert np.ptp(alone, axis=0).max() > 0.03  # so that agreement says something


def test_the_embedding_equals_ours(tmp_path):
    ours = model()
    graph = exported(ours, tmp_path, "embedding")
    [samples] = voices(8000)
    assert graph([samples])[0] == pytest.approx(expected(ours, samples, "embedding"), rel=1e-4, abs=1e-4)


def test_constant_bins_are_0_as_ours(tmp_path):
    """Digital silence around a tone: bins at the logarithm's floor in some frames, and in every one of a band."""
    ours = model(FbankOptions(num_mel_bins=16, remove_dc_offset=False, preemphasis_coefficient=0.0))
    samples = np.zeros(16000, np.float32)
    samples[:] = np.tile([7.0, -9.0, 7.0, 7.0], 4000)  # the same in every frame
    assert exported(ours, tmp_path)([samples])[0] == pytest.approx(expected(ours, samples), abs=1e-5)


def test_without_sound_or_frame_the_output_is_nan(tmp_path):
    graph = exported(model(), tmp_path)
    silent, short, nan = np.zeros(5000, np.float32), voices(399)[0], voices(5000)[0]
    nan[100] = np.nan
    outputs = graph([silent, short, nan, np.full(5000, 7, np.float32), voices(5000)[0]])
    assert np.isnan(outputs[:4]).all() and np.isfinite(outputs[4]).all()
    assert np.isnan(graph([short])).all() and np.isnan(graph([np.zeros(0, np.float32)])).all()


def test_two_exports_are_the_same_bytes(tmp_path):
    exported(model(), tmp_path)
    first = (tmp_path / "out.onnx").read_bytes()
    exported(model(), tmp_path)
    assert (tmp_path / "out.onnx").read_bytes() == first


@pytest.mark.parametrize(("options", "cmvn", "said"), [
    (FbankOptions(num_mel_bins=16, dither=1.0), "segment", "dither 1"),
    (FbankOptions(num_mel_bins=16), "group", "over groups of segments"),
])  # fmt: skip
def test_a_front_end_that_no_graph_repeats_is_refused(tmp_path, options, cmvn, said):
    with pytest.raises(SertkError, match=said):
        exported(model(options, cmvn), tmp_path)
    assert not list(tmp_path.iterdir())
