"""The cosine classifier."""

import numpy as np
import pytest
import torch

from sertk.models.cosine import CosineOutput
from sertk.models.resnet import Head
from sertk.models.spec import NetworkSpec


def test_logits_are_scaled_cosines_to_the_nearest_centre():
    torch.manual_seed(0)
    output, vectors = CosineOutput(6, 4, scale=16.0, subcentres=3), torch.randn(5, 6)
    rows = [x.detach().double().numpy() for x in (vectors, output.weight)]
    rows = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows]
    wanted = 16 * np.stack([(rows[0] @ rows[1][3 * label : 3 * label + 3].T).max(axis=1) for label in range(4)], axis=1)
    np.testing.assert_allclose(output(vectors).detach().numpy(), wanted, atol=1e-5)


def test_cosines_are_float32_under_autocast():
    output, vectors = CosineOutput(256, 4, scale=32.0), torch.randn(3, 256)
    with torch.autocast("cpu", torch.bfloat16):
        logits = output(vectors)
    assert logits.dtype == torch.float32 and torch.equal(logits, output(vectors))


def test_head_compares_the_embedding_itself():
    """No activation between: the cosines that are trained are those that trials are scored by."""
    torch.manual_seed(0)
    spec = NetworkSpec(3, 16, 2, embedding_dim=8, output="cosine", scale=1.0)
    head, pooled = Head(spec).eval(), torch.randn(4, spec.pooled_dim)
    embedding = head.embed(pooled)
    wanted = torch.nn.functional.cosine_similarity(embedding[:, None], head.output.weight[None], dim=2)
    torch.testing.assert_close(head(pooled), wanted)
    assert (embedding < 0).any()


@pytest.mark.parametrize("labels", [17_982])
def test_as_many_labels_as_voxceleb_at_three_speeds(labels):
    output, vectors = CosineOutput(8, labels, 32.0), torch.randn(4, 8)
    output(vectors).logsumexp(dim=1).sum().backward()
    assert output.weight.grad.shape == (labels, 8) and bool(output.weight.grad.isfinite().all())
