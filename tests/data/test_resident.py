import itertools

import numpy as np
import pytest
import torch

from sertk.data.chunks import MASK_SCOPES, PADDINGS, ChunkRule
from sertk.data.loader import HostChunks
from sertk.data.masks import POLICIES, Policy
from sertk.data.resident import ResidentChunks, source_of_chunks
from sertk.data.sampler import Batch, Sampler
from sertk.data.store import store_of

CPU = torch.device("cpu")
# Masks of different number and kind in one batch; one that may hide all, and the paper's own.
RULES = (
    POLICIES["none"],
    POLICIES["conservative"],
    Policy(3, 99, 1.0, 1, 3),
    Policy(9, 20, 0.5, 0, 1),
    Policy(4, 0, 0, 3),
)


def bits(chunks):
    return chunks.contiguous().view(torch.int32)


@pytest.fixture(scope="module")
def store():
    """Segments from one frame to more than any T; with negative zeros, which a product with 0 would make."""
    rng = np.random.default_rng(0)
    lengths = [1, 2, 7, 23, 24, 25, 31, 60, 149, 150, 151, 299, 300, 301, 700]
    matrices = [rng.normal(size=(n, 16)).astype(np.float32) for n in lengths]
    matrices[3][:] = -0.0
    return store_of([f"utt{n}" for n in lengths], matrices)


@pytest.mark.parametrize(("padding", "mask_scope"), [*itertools.product(PADDINGS, MASK_SCOPES)])
def test_chunks_of_the_device_have_the_hosts_bits(store, padding, mask_scope):
    rule = ChunkRule(3, RULES, padding, mask_scope)
    host, resident = HostChunks(store, rule, CPU), ResidentChunks(store, rule, CPU)
    seen = set()
    for frames in (1, 24, 150, 200, 250, 300):
        for batch in Sampler(3, len(store), len(RULES), 2, 16, (frames,)).batches(epoch=2):
            wanted, got = (source.finish(source.prepare(batch, 2)) for source in (host, resident))
            assert got.shape == wanted.shape == (len(batch.items), 16, frames)
            assert torch.equal(bits(got), bits(wanted))
            assert got.stride() == wanted.stride()  # the network computes on the same layout, too
            seen |= {tuple(item) for item in batch.items.tolist()}
    assert len(seen) == len(store) * len(RULES) * 2


def test_masks_hold_the_mean_of_the_features(store):
    mean = np.arange(16, dtype=np.float32)
    rule = ChunkRule(3, RULES, "zero", "chunk", mean)
    batch = next(iter(Sampler(3, len(store), len(RULES), 2, 64, (150,)).batches(epoch=1)))
    host, resident = (kind(store, rule, CPU) for kind in (HostChunks, ResidentChunks))
    chunks = host.finish(host.prepare(batch, 1))
    assert torch.equal(chunks, resident.finish(resident.prepare(batch, 1)))
    zeros = HostChunks(store, ChunkRule(3, RULES, "zero", "chunk"), CPU)
    filled = chunks != zeros.finish(zeros.prepare(batch, 1))
    assert filled.any(dim=2).any(dim=0)[1:].all()  # every bin but the first, whose mean is 0
    assert torch.equal(chunks[filled], torch.from_numpy(mean)[:, None].expand_as(chunks)[filled])


def test_chunks_without_masks_are_gathered_too(store):
    rule = ChunkRule(0, (POLICIES["none"],))
    batch = Batch(0, 40, np.array([[0, 0, 0], [2, 0, 0], [14, 0, 0]]))
    host, resident = (kind(store, rule, CPU) for kind in (HostChunks, ResidentChunks))
    assert torch.equal(bits(host.finish(host.prepare(batch, 1))), bits(resident.finish(resident.prepare(batch, 1))))


@pytest.mark.parametrize(("device", "free", "kind"), [
    ("cuda", 2 * 2223 * 16 * 4, ResidentChunks), ("cuda", 2 * 2223 * 16 * 4 - 1, HostChunks), ("cpu", 1 << 40, HostChunks)
])  # fmt: skip
def test_features_are_resident_if_they_fit_half_the_gpu(store, monkeypatch, device, free, kind):
    assert store.num_frames.sum() == 2223
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1 << 40))
    monkeypatch.setattr(ResidentChunks, "__init__", lambda *args: None)  # there may be no GPU to fill
    assert type(source_of_chunks(store, ChunkRule(0, RULES), torch.device(device))) is kind
