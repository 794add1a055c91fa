"""sertk.load_model: what the binaries compute, from Python."""

import numpy as np
import pytest
from networks import save_toy_model, trained
from references import signal
from scipy.io import wavfile

import sertk
from sertk.frontend.options import FbankOptions
from sertk.frontend.stretches import Stretch
from sertk.models.modelfile import Model, save_model

BY_SPEAKER = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "group", "group": "utt2spk"}


@pytest.fixture
def model(tmp_path):
    save_toy_model(tmp_path / "final.pt")
    return sertk.load_model(tmp_path / "final.pt")


@pytest.fixture
def samples(tmp_path):
    """Samples as int16, which are those of voice.wav too."""
    samples = signal()[:24000].astype(np.int16)
    wavfile.write(tmp_path / "voice.wav", 16000, samples)
    return samples


def test_features_are_those_of_make_fbank(model, samples, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wav.scp").write_text("voice voice.wav\n")
    call("make-fbank", "--num-mel-bins=16", "--cmvn=true", "--compress=none", "scp:wav.scp", "ark:feats.ark")
    [(_, feats)] = sertk.read_table("ark:feats.ark")
    assert np.array_equal(model.features(samples, 16000), feats)
    assert np.array_equal(model.features(samples / np.float32(32768), 16000), feats)
    assert np.array_equal(model.extract.of_file(tmp_path / "voice.wav"), feats)
    assert model.output(feats, "pool").shape == (64,) and model.embedding(samples, 16000).shape == (8,)


def test_probabilities_are_those_of_classify_audio(model, samples, call, tmp_path):
    probabilities = model.classify(samples, 16000)
    assert list(probabilities) == ["ang", "neu", "sad"] and sum(probabilities.values()) == pytest.approx(1)
    assert model.classify_file(tmp_path / "voice.wav") == probabilities
    line = call("classify-audio", "--format=jsonl", "--precision=float32", model.path, tmp_path / "voice.wav").text
    assert all(f'"{label}": {round(p, 6)}' in line for label, p in probabilities.items())


def test_features_of_other_bins_are_refused(model):
    with pytest.raises(sertk.SertkError, match=r"final.pt: features of shape \(9, 8\), expected \(frames, 16\)"):
        model.output(np.zeros((9, 8)))


def test_stretches_have_the_posteriors_of_their_samples(model):
    """Of each alone; unfit ones are skipped by name."""
    samples, skipped = signal()[:24000].astype(np.float32), {}
    stretches = [
        Stretch("a.wav", 0, 1, samples[:16000].copy(), 16000, windowed=True),
        Stretch("a.wav", 1, 1.01, samples[:160].copy(), 16000, windowed=True),
        Stretch("b.wav", 0, 1, np.zeros(16000, np.float32), 16000),
        Stretch("c.wav", 0, 1.5, samples.copy(), 16000),
    ]
    results = list(model.posteriors(stretches, lambda key, reason: skipped.update({key: reason})))
    assert [str(stretch) for stretch, _ in results] == ["a.wav from 0.00 to 1.00 s", "c.wav"]
    assert list(skipped) == ["a.wav from 1.00 to 1.01 s", "b.wav"] and "no sound" in skipped["b.wav"]
    for (_, posteriors), part in zip(results, (samples[:16000], samples)):
        expected = list(model.classify(part.astype(np.int16), 16000).values())
        np.testing.assert_allclose(posteriors, expected, atol=1e-5)


def test_enrolled_classifiers_have_a_speaker_each(tmp_path, samples):
    save_model(tmp_path / "group.pt", Model(trained(), ["a", "b", "c", "d"], BY_SPEAKER))
    model = sertk.load_model(tmp_path / "group.pt")
    wavfile.write(tmp_path / "soft.wav", 16000, (samples[5000:15000] // 8).astype(np.int16))
    loud, soft = (model.enrolled([tmp_path / name]) for name in ("voice.wav", "soft.wav"))
    features = {id(of): of.features(samples, 16000) for of in (loud, soft)}
    assert features[id(loud)].mean() == pytest.approx(0, abs=1e-5) and features[id(soft)].mean() > 0.5
    assert loud.classify(samples, 16000) == loud.classify_file(tmp_path / "voice.wav") != soft.classify(samples, 16000)
    with pytest.raises(sertk.SertkError, match=r"group.pt: .* \(utt2spk\): .* load_model\(…\)\.enrolled\(…\)"):
        model.classify(samples, 16000)
