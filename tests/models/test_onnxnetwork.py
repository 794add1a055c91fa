"""The network of exported graphs against that of the model file."""

import numpy as np
import pytest
from onnxmodels import expected, exported, model, voices

from sertk.frontend.options import FbankOptions

NETWORKS = [
    {"pooling": "mean"},
    {"pooling": "attentive"},
    {"pooling": "none", "frames": 30},
    {"activation": "relu"},
    {"activation": "prelu-channel"},
    {"deviation": "unbiased", "pooling_epsilon": 0.0, "hidden_dim": 6},
    {"embedding_norm": False},
    {"input_norm": True},
    {"level_input": True, "cmvn": "none"},
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
@pytest.mark.parametrize(
    "fields",
    [{}, {"pooling": "none", "frames": 30}, {"pooling": "attentive", "level_input": True, "cmvn": "none"}],
    ids=str,
)
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
