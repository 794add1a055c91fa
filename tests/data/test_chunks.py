import numpy as np
import pytest

from sertk.data.chunks import ChunkRule, fit
from sertk.data.loader import chunks_of
from sertk.data.masks import POLICIES, Policy
from sertk.data.sampler import Sampler
from sertk.data.store import store_of

PLAIN = POLICIES["none"]


def numbered(frames, bins=4):
    """Features whose every row is its own number, from 1."""
    return np.repeat(np.arange(1, frames + 1, dtype=np.float32)[:, None], bins, axis=1)


def cut(feats, frames, epoch=1, version=0, **rule):
    rule = ChunkRule(0, **({"policies": (PLAIN,)} | rule))
    out = np.empty((frames, feats.shape[1]), np.float32)
    store = store_of(["utt"], [feats])
    rule.cut(store[0], rule.draws("utt", epoch, version), version, frames, out)
    return out


def test_a_chunk_is_a_run_of_frames_from_a_random_place():
    starts = set()
    for epoch in range(200):
        chunk = cut(numbered(12), 5, epoch)
        assert (np.diff(chunk[:, 0]) == 1).all()
        starts.add(int(chunk[0, 0]))
    assert starts == set(range(1, 9))  # offsets 0 … 7, both ends included


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [("repeat", [1, 2, 3, 1, 2, 3, 1]), ("zero", [1, 2, 3, 0, 0, 0, 0]), ("edge", [1, 2, 3, 3, 3, 3, 3])],
)
def test_a_short_segment_is_filled_up(padding, wanted):
    assert cut(numbered(3), 7, padding=padding)[:, 0].tolist() == wanted
    assert fit(numbered(3), 7, padding)[:, 0].tolist() == wanted


def test_without_pooling_the_middle_of_a_segment_is_cut():
    assert fit(numbered(9), 5)[:, 0].tolist() == [3, 4, 5, 6, 7]


def test_masks_over_the_segment_show_in_its_chunk():
    # One mask of up to 12 of the 12 frames: seen from a chunk of 5 it may cover anything from nothing to all of it.
    everything = Policy(0, 99, 1.0, 0, 1)
    covered = {int((cut(numbered(12), 5, epoch, policies=(everything,), mask_scope="segment") == 0).all(axis=1).sum())
               for epoch in range(300)}  # fmt: skip
    assert covered == set(range(6))


def test_masks_over_the_chunk_are_drawn_from_its_own_length():
    half = Policy(0, 99, 0.5, 0, 1)
    covered = {int((cut(numbered(12), 6, epoch, policies=(half,)) == 0).all(axis=1).sum()) for epoch in range(300)}
    assert covered == set(range(4))  # p T of the chunk is 3


def test_chunks_do_not_depend_on_store_or_batch():
    feats = {f"utt{i}": np.random.default_rng(i).normal(size=(40 + i, 8)).astype(np.float32) for i in range(6)}
    rule = ChunkRule(3, (POLICIES["conservative"], POLICIES["aggressive"]))

    def chunk_of(keys, key):
        store = store_of(keys, [feats[k] for k in keys])
        sampler = Sampler(3, len(keys), 2, 1, 64, (30,))
        (batch,) = sampler.batches(2)
        rows = chunks_of(store, rule, batch, 2).numpy()
        return {v: row for (s, v, _), row in zip(batch.items.tolist(), rows) if keys[s] == key}

    alone, among = chunk_of(["utt2"], "utt2"), chunk_of(list(feats), "utt2")
    assert all((alone[v] == among[v]).all() for v in (0, 1))
    assert (alone[0] != alone[1]).any()
