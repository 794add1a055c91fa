import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sertk.data.sampler import Sampler

samplers = st.builds(
    Sampler, st.integers(0, 9), st.integers(1, 40), st.integers(1, 3), st.integers(1, 2), st.integers(2, 33),
    st.just((150, 200, 250, 300)),
)  # fmt: skip


@given(samplers, st.integers(1, 5))
def test_an_epoch_holds_every_version_of_every_segment_once(sampler, epoch):
    batches = list(sampler.batches(epoch))
    seen = np.concatenate([batch.items for batch in batches])
    sizes = (sampler.num_segments, sampler.num_versions, sampler.num_copies)
    wanted = set(itertools.product(*map(range, sizes)))
    assert len(seen) == len(wanted) and {tuple(item) for item in seen.tolist()} == wanted
    assert len(batches) == sampler.num_batches()


@given(samplers)
def test_no_batch_is_too_small_for_batch_norm(sampler):
    sizes = [len(batch.items) for batch in sampler.batches(1)]
    assert min(sizes) >= min(sampler.batch_size / 2, sampler.num_items)
    assert max(sizes) < 1.5 * sampler.batch_size
    assert set(sizes[:-1]) <= {sampler.batch_size}


@given(samplers, st.integers(0, 30))
def test_an_epoch_can_be_entered_at_any_batch(sampler, first):
    whole, rest = list(sampler.batches(3)), list(sampler.batches(3, first))
    assert [b.number for b in rest] == [b.number for b in whole[first:]]
    for a, b in zip(whole[first:], rest):
        assert a.frames == b.frames and (a.items == b.items).all()


def test_T_is_one_for_a_batch_and_each_value_as_likely():
    sampler = Sampler(0, 1000, 3, 1, 2, (150, 200, 250, 300))
    drawn = [batch.frames for batch in sampler.batches(1)]
    counts = [drawn.count(frames) for frames in sampler.chunk_frames]
    assert sum(counts) == 1500 and min(counts) > 300
