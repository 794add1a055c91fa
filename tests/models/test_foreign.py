"""Weights of other toolkits: equal to what their own code computes (golden_foreign.json, make_golden_foreign.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_weights import CASES, file_forms, speech, weights

from sertk.errors import SertkError
from sertk.frontend.extractor import FeatureExtractor
from sertk.models.checkpoint import read_checkpoint
from sertk.models.foreign import ORIGINS, REFUSED, import_network
from sertk.models.foreignconfig import parse
from sertk.models.fuse import for_evaluation
from sertk.models.inference import segment_outputs
from sertk.models.pieces import pooled_in_pieces
from sertk.models.pooling import StatsPool
from sertk.models.spec import NetworkSpec

GOLDEN = json.loads(Path(__file__).with_name("golden_foreign.json").read_text())["toolkits"]
SHAPES = {"wespeaker": {}, "pyannote": {}, "3d-speaker": {"second": 6}}


def imported(origin=None, config=None, state=None, form="plain", **options):
    """(network, front end, facts) of a tiny checkpoint."""
    state = weights(**SHAPES[origin or "wespeaker"]) if state is None else state
    return import_network(read_checkpoint(file_forms(state)[form], "x.pt"), "x.pt", config or {}, origin, **options)


def embedding(network, feats, at="embedding"):
    [(_, vector)] = segment_outputs(
        for_evaluation(network, torch.device("cpu")), [("x", feats)], at, torch.device("cpu")
    )
    return vector


def apart(ours, theirs):
    """Relative distance and cosine."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs), ours @ theirs / norms


@pytest.mark.parametrize("origin", ORIGINS)
def test_embedding_equals_the_toolkits_own(origin):
    """From samples: loud, quiet, 9 frames, stereo, 60 s. Their code ran once, with the same weights and samples."""
    network, frontend, _ = imported(origin)
    extract = FeatureExtractor.of_model(frontend, "x.pt")
    assert set(GOLDEN[origin]) == {*CASES, "zeros"}
    for case, golden in GOLDEN[origin].items():
        if case == "60 s" and origin != "wespeaker":  # a second each
            continue
        feats = extract(CASES[case](), 16000) if case in CASES else np.zeros((50, 80), np.float32)
        assert frontend["cmvn"] == "segment mean" and (case != "9 frames" or len(feats) == 9)
        relative, cosine = apart(embedding(network, feats), golden["embedding"])
        assert relative < 2e-5 and cosine > 0.999999, case
        x, stages = network.trunk.stem(torch.from_numpy(feats.T.copy())[None, None]), []
        x = network.trunk.act(network.trunk.bn(x))
        for stage in network.trunk.stages:
            for block in stage:
                x, _ = block(x, x, None)
            stages.append(float(x.detach().mean()))
        assert stages == pytest.approx(golden.get("stages", stages), rel=1e-4)


@pytest.mark.parametrize("form", file_forms(weights()))
def test_every_form_of_file_gives_the_same_network(form):
    network, _, facts = imported(form=form, origin="pyannote" if form == "lightning" else None)
    plain, _, _ = imported()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor) and network.state_dict()[name].dtype == tensor.dtype
    assert facts["classes"] == (None if form in ("lightning", "without projection") else 12)


def test_origin_is_told_by_file_and_config():
    assert imported(form="lightning")[2]["origin"] == "pyannote"
    assert imported()[2]["origin"] == "wespeaker"
    assert imported(state=weights(second=6))[2]["origin"] == "3d-speaker"
    assert imported(config={"embedding_model": {}})[2]["origin"] == "3d-speaker"
    with pytest.raises(SertkError, match="--origin wespeaker, but its tensors are pyannote's"):
        imported("wespeaker", form="lightning")
    spec = imported("pyannote")[0].spec
    assert (spec.deviation, spec.pooling_epsilon, spec.num_labels, spec.embedding_norm) == ("unbiased", 0.0, 0, False)
    spec = imported(deviation="population", epsilon=1e-8)[0].spec
    assert (spec.deviation, spec.pooling_epsilon) == ("population", 1e-8)


def test_a_lightning_files_hyper_parameters_decide_features():
    """They are in a class of their own, derived from dict."""
    content = read_checkpoint(file_forms(weights())["lightning"], "x.pt")
    assert content["hyper_parameters"]["num_mel_bins"] == 80
    content["hyper_parameters"]["window_type"] = "povey"
    assert import_network(content, "x.pt", {})[1]["fbank"]["window-type"] == "povey"
    content["hyper_parameters"]["fbank_centering_span"] = 3.0
    with pytest.raises(SertkError, match="fbank_centering_span"):
        import_network(content, "x.pt", {})


def test_blocks_are_counted():
    assert imported(state=weights(blocks=(2, 2, 2, 2)))[0].spec.blocks == (2, 2, 2, 2)
    assert imported(state=weights(channels=2, blocks=(3, 4, 6, 3)))[0].spec.blocks == (3, 4, 6, 3)


def test_config_decides_bins_pooling_and_front_end():
    text = """
model: ResNet34
model_args:
  feat_dim: 40
  pooling_func: 'TAP'   # means alone
dataset_args:
  resample_rate: 8000
  fbank_args: {}
  cmvn: False
feature_args: &id001
  fbank_args:
    num_mel_bins: 40
    frame_length: 32
train_list:
- a: b
"""
    state = weights(bins=40)
    state["seg_1.weight"] = state["seg_1.weight"][:, :160]
    network, frontend, _ = imported(config=parse(text), state=state)
    assert (network.spec.pooling, network.spec.bins, frontend["cmvn"]) == ("mean", 40, "none")
    fbank = frontend["fbank"]
    assert (fbank["sample-frequency"], fbank["high-freq"], fbank["frame-length"]) == (8000.0, 4000.0, 32.0)
    with pytest.raises(SertkError, match="20 mel bins, or 40 without deviations"):
        imported(state=state)
    assert imported(state=weights(bins=16), bins=16)[0].spec.bins == 16


def test_frame_scale_moves_the_floor():
    """In ±1 the floor of the logarithms is 2^30 times as high: the scale is no constant that the mean takes away."""
    quiet = speech(0.5, 4)
    by_origin = {
        o: FeatureExtractor.of_model(imported(o)[1], "x.pt")(quiet, 16000) for o in ("wespeaker", "3d-speaker")
    }
    assert (by_origin["3d-speaker"][:, :2] == 0).all() and by_origin["wespeaker"].std() > 0.3


@pytest.mark.parametrize("frames", [1, 7, 8])
@pytest.mark.parametrize("origin", ORIGINS)
def test_eight_frames_and_fewer_have_no_deviation(origin, frames):
    """One frame is left of them after three strides; its unbiased deviation is NaN in the toolkits, and here that of 0."""
    network, _, _ = imported(origin)
    feats = np.random.default_rng(0).normal(size=(frames, 80)).astype(np.float32)
    pooled = embedding(network, feats, "pool")
    assert np.isfinite(pooled).all()
    assert pooled[len(pooled) // 2 :] == pytest.approx(ORIGINS[origin].epsilon ** 0.5, abs=1e-8)
    assert np.isfinite(embedding(network, feats)).all()


@pytest.mark.parametrize("epsilon", [0.0, 1e-7])
def test_unbiased_deviation_is_torchs(epsilon):
    maps = torch.randn(3, 4, 5, 9, generator=torch.Generator().manual_seed(0))
    pool = StatsPool(unbiased=True, epsilon=epsilon)
    expected = torch.cat([maps.mean(-1).flatten(1), (maps.var(-1) + epsilon).sqrt().flatten(1)], 1)
    torch.testing.assert_close(pool(maps), expected)
    lengths = torch.tensor([9, 5, 1])
    padded = pool(maps, lengths)
    torch.testing.assert_close(padded[1:2], pool(maps[1:2, ..., :5]))
    torch.testing.assert_close(padded[2:], pool(maps[2:, ..., :1]))


def test_constant_channel_has_a_finite_gradient_without_epsilon():
    """A ReLU that never fires: the root's slope at 0 is infinite."""
    maps = torch.zeros(2, 3, 4, 6, requires_grad=True)
    StatsPool(unbiased=True, epsilon=0.0)(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()


@pytest.mark.parametrize("origin", ORIGINS)
def test_long_recording_in_pieces_has_the_same_statistics(origin):
    network, _, _ = imported(origin)
    feats = torch.from_numpy(np.random.default_rng(0).normal(size=(80, 700)).astype(np.float32))
    with torch.no_grad():
        whole = network.pooled(feats[None])
        torch.testing.assert_close(
            pooled_in_pieces(network, feats, 256, torch.device("cpu")), whole, rtol=1e-4, atol=1e-5
        )


def test_plain_form_of_imported_networks_is_read_back():
    spec = imported("pyannote", state=None)[0].spec
    assert NetworkSpec.from_plain(spec.plain()) == spec


def renamed(state, **changed):
    return {key: value for key, value in {**state, **changed}.items() if value is not None}


THEIRS = {
    "clovaai": "__S__.conv1.weight",
    "SimAM": "front.layer1.0.conv1.weight",
    "front end that is a network": "frontend.upstream.model.weight",
    "ERes2Net": "fuse_mode12.local_att.0.weight",
    "Res2Net": "layer1.0.convs.0.weight",
    "bottleneck ResNet": "layer1.0.conv3.weight",
    "CAM\\+\\+": "xvector.tdnn.linear.weight",
    "TitaNet": "encoder.encoder.0.mconv.0.conv.weight",
    "SpeechBrain": "blocks.0.conv.conv.weight",
    "ECAPA-TDNN": "layer2.se_res2block.0.conv.weight",
    "squeeze and excitation": "layer1.0.se.fc.0.weight",
    "attentive pooling": "pool.linear1.weight",
}


@pytest.mark.parametrize("words", THEIRS)
def test_other_networks_are_refused_by_name(words):
    assert len(THEIRS) == len(REFUSED)
    with pytest.raises(SertkError, match=f"{words}.* not imported: compute its vectors there and bring them as an ark"):
        imported(state=renamed(weights(), **{THEIRS[words]: torch.zeros(1)}))


@pytest.mark.parametrize(("change", "words"), [
    ({"bn1.weight": None}, "bn1.weight: expected .4,., found none"),
    ({"layer2.0.conv1.weight": torch.zeros(8, 4, 1, 1)}, "layer2.0.conv1.weight: expected .8, 4, 3, 3., found .8, 4, 1, 1."),
    ({"seg_1.bias": torch.full((6,), float("nan"))}, "seg_1.bias is NaN or infinite"),
    ({"seg_3.weight": torch.zeros(2)}, "seg_3.weight is no part"),
    ({"x\n\x1b[2J": torch.zeros(2)}, r"x.n.x1b\[2J is no part"),
    ({"layer4.0.conv1.weight": None, "layer4.7.x": torch.zeros(1)}, "four stages"),
    ({"seg_1.weight": None}, "no seg_1.weight; its first tensor is conv1.weight"),
    ({"seg_2.weight": torch.zeros(6, 6)}, "seg_bn_1.running_mean is missing"),
    ({"seg_1.weight": torch.zeros(6, 100)}, "100 pooled numbers"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_named(change, words):
    with pytest.raises(SertkError, match=words):
        imported(state=renamed(weights(), **change))


@pytest.mark.parametrize(("config", "words"), [
    ({"model_args": {"pooling_func": "ASTP"}}, "pooling ASTP"),
    ({"model_args": {"feat_dim": "many"}}, "bins 'many', expected a number"),
    ({"model_args": {}, "dataset_args": {"frontend": "s3prl"}}, "front end s3prl"),
    ({"model_args": {}, "dataset_args": {"cmvn_args": {"norm_var": True}}}, "normalised variance"),
])  # fmt: skip
def test_settings_that_cannot_be_met_are_refused(config, words):
    with pytest.raises(SertkError, match=words):
        imported(config=config)
