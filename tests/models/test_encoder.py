"""Encoders against transformers' own front end and network, alone and in batches."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from encoders import RATE, write_encoder
from references import signal

from sertk.errors import SertkError
from sertk.models.encoder import Moments, load_encoder

CPU = torch.device("cpu")
SAMPLES = [signal(1.0)[:count] for count in (4000, 9000, 15999)]
# Name, architecture, feat_extract_norm, whether recordings of other lengths may be in the same batch.
KINDS = [
    ("base", "wav2vec2", "group", False), ("large", "wav2vec2", "layer", True), ("hubert", "hubert", "layer", True),
    ("wavlm", "wavlm", "layer", True), ("data2vec", "data2vec-audio", "layer", False), ("whisper", "whisper", "", True),
]  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("encoders")
    return {name: write_encoder(home / name, kind, norm) for name, kind, norm, _ in KINDS}


def theirs(folder: Path, samples: np.ndarray, frames: int) -> np.ndarray:
    """Mean and deviation of the layers as transformers computes them for one recording."""
    import transformers

    network = transformers.AutoModel.from_pretrained(folder).eval()
    front = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = front(samples / 32768, sampling_rate=RATE, return_tensors="pt")
    if network.config.model_type == "whisper":
        network, inputs = network.get_encoder(), {"input_features": inputs["input_features"]}
    else:
        inputs = {"input_values": inputs["input_values"]}
    with torch.no_grad():
        outputs = [layer[0, :frames].numpy() for layer in network(**inputs, output_hidden_states=True).hidden_states]
    return np.stack([np.concatenate([layer.mean(axis=0), layer.std(axis=0)]) for layer in outputs])


@pytest.mark.parametrize(("name", "kind", "norm", "batched"), KINDS)
def test_layers_are_those_of_transformers_alone_and_batched(folders, name, kind, norm, batched):
    encoder = load_encoder(folders[name], CPU)
    assert (encoder.kind, encoder.rate, encoder.num_layers, encoder.dim) == (kind, RATE, 2, 16)
    assert encoder.batched == batched
    pieces = [encoder.scaled(samples) for samples in SAMPLES]
    alone = [encoder.moments([piece], [0, 1, 2])[0] for piece in pieces]
    for samples, moments in zip(SAMPLES, alone):
        expected = theirs(folders[name], samples, moments.frames)
        np.testing.assert_allclose(moments.statistics(), expected, atol=1e-5)
    together = encoder.moments(pieces, [0, 1, 2])
    differences = [np.abs(a.statistics() - b.statistics()).max() for a, b in zip(alone, together)]
    assert (max(differences) < 1e-4) == batched
    np.testing.assert_array_equal(encoder.moments(pieces[:1], [2])[0].sums, alone[0].sums[[2]])


def test_frames_are_counted_as_by_the_convolutions(folders):
    encoder = load_encoder(folders["large"], CPU)
    for samples in (9, 10, 44, 45, 165, 166, 485, 486, 16000):
        try:
            with torch.no_grad():
                expected = encoder.network.feature_extractor(torch.zeros(1, samples)).shape[-1]
        except (RuntimeError, ValueError):  # fewer samples than a kernel
            expected = 0
        assert encoder.num_frames(samples) == expected
    whisper = load_encoder(folders["whisper"], CPU)
    assert [whisper.num_frames(samples) for samples in (1, 320, 321, 16000)] == [1, 1, 2, 50]


def test_samples_are_scaled_only_where_the_front_end_says_so(folders, tmp_path):
    plain = load_encoder(write_encoder(tmp_path / "plain", "wavlm", do_normalize=False), CPU)
    np.testing.assert_array_equal(plain.scaled(np.array([16384, -32768], np.float32)), [0.5, -1])
    scaled = load_encoder(folders["wavlm"], CPU).scaled(np.array([1, 3, 5, 7], np.float32))
    np.testing.assert_allclose(scaled, np.array([-3, -1, 1, 3]) / np.sqrt(5 + 1e-7 * 32768**2), rtol=1e-6)


def test_moments_of_parts_add_up():
    values = np.random.default_rng(0).normal(3, 2, (9, 4))
    first, rest = (Moments(len(part), part.sum(0)[None], (part**2).sum(0)[None]) for part in (values[:2], values[2:]))
    expected = np.concatenate([values.mean(0), values.std(0)])[None]
    np.testing.assert_allclose((first + rest).statistics(), expected, rtol=1e-6)
    constant = Moments(  # below 0 by rounding
        3, np.full((1, 1), 0.3), np.full((1, 1), 0.0299)
    )
    assert constant.statistics()[0, 1] == 0


def test_the_digest_is_of_config_and_weights(folders, tmp_path):
    first, again = (load_encoder(write_encoder(tmp_path / name, "wavlm"), CPU) for name in "ab")
    other = load_encoder(write_encoder(tmp_path / "c", "wavlm", do_normalize=False), CPU)
    assert first.digest == again.digest != other.digest and first.sha256 == again.sha256 == other.sha256


def test_pytorch_weights_are_read(folders, tmp_path):
    from safetensors.torch import load_file

    copy = write_encoder(tmp_path / "bin", "hubert")
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    piece = SAMPLES[0] / np.float32(32768)
    sums = [load_encoder(folder, CPU).moments([piece], [2])[0].sums for folder in (copy, folders["hubert"])]
    np.testing.assert_array_equal(*sums)


@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_processors_of_transformers_5_are_read(folders, tmp_path, kind):
    folder = write_encoder(tmp_path / kind, kind, do_normalize=False)
    front = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": front}))
    encoder = load_encoder(folder, CPU)
    assert encoder.rate == RATE and not encoder.normalised
    assert encoder.moments([encoder.scaled(SAMPLES[0])], [0])[0].frames == encoder.num_frames(len(SAMPLES[0]))


def test_damaged_folders_are_named(tmp_path):
    def refusal(folder):
        with pytest.raises(SertkError) as error:
            load_encoder(folder, CPU)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "nosuch: no such folder (download it first" in refusal(tmp_path / "nosuch")
    folder = write_encoder(tmp_path / "wavlm", "wavlm")
    config, weights = json.loads((folder / "config.json").read_text()), (folder / "model.safetensors").read_bytes()
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "weights do not fit config.json: encoder.layers.2." in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 0}))
    assert "config.json: has no layers" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    assert "model_type 'bert': expected one of data2vec-audio, hubert, wav2vec2, wavlm, whisper" in refusal(folder)
    (folder / "config.json").write_text("{")
    assert "config.json: not JSON" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config))
    front = (folder / "preprocessor_config.json").read_text()
    for rate in ("16 kHz", 0, None):
        (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": rate}))
        assert "preprocessor_config.json: sampling_rate " in refusal(folder)
    (folder / "preprocessor_config.json").write_text(front)
    (folder / "model.safetensors").write_bytes(weights[:5000])
    assert "cannot read it" in refusal(folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": ["a"]}')
    assert "index.json: has no weight_map of file names" in refusal(folder)
    (folder / "model.safetensors.index.json").unlink()
    assert "has no weights: expected model.safetensors or pytorch_model.bin" in refusal(folder)
    (folder / "preprocessor_config.json").unlink()
    assert "has no preprocessor_config.json" in refusal(folder)
