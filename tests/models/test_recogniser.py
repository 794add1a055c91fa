"""A model on stretches of recordings: the posteriors of each alone, unfit ones skipped by name."""

import numpy as np
from networks import save_toy_model
from references import signal

import sertk
from sertk.frontend.stretches import Stretch
from sertk.models.recogniser import Recogniser


def test_stretches_have_the_posteriors_of_their_samples(tmp_path):
    save_toy_model(tmp_path / "final.pt")
    samples, skipped = signal()[:24000].astype(np.float32), {}
    stretches = [
        Stretch("a.wav", 0, 1, samples[:16000].copy(), 16000, windowed=True),
        Stretch("a.wav", 1, 1.01, samples[:160].copy(), 16000, windowed=True),
        Stretch("b.wav", 0, 1, np.zeros(16000, np.float32), 16000),
        Stretch("c.wav", 0, 1.5, samples.copy(), 16000),
    ]
    recogniser = Recogniser(tmp_path / "final.pt", "cpu", "float32", 1)
    results = list(recogniser.posteriors(stretches, lambda key, reason: skipped.update({key: reason})))
    assert [str(stretch) for stretch, _ in results] == ["a.wav from 0.00 to 1.00 s", "c.wav"]
    assert list(skipped) == ["a.wav from 1.00 to 1.01 s", "b.wav"] and "no sound" in skipped["b.wav"]
    classifier = sertk.load_model(tmp_path / "final.pt")
    assert recogniser.labels == classifier.labels
    for (_, posteriors), part in zip(results, (samples[:16000], samples)):
        expected = list(classifier.classify(part.astype(np.int16), 16000).values())
        np.testing.assert_allclose(posteriors, expected, atol=1e-5)
