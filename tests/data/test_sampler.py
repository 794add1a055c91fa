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
    assert (sampler.smallest_batch(), sampler.largest_batch()) == (min(sizes), max(sizes))


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


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 3), st.integers(1, 2), st.integers(1, 9))
def test_balanced_epochs_keep_length_with_equal_classes(classes, versions, copies, epoch):
    classes = np.array(classes)
    sampler = Sampler(0, len(classes), versions, copies, 8, (150,), classes)
    seen = np.concatenate([batch.items for batch in sampler.batches(epoch)])
    assert len(seen) == sampler.num_items
    assert len(np.unique(seen, axis=0)) == len(seen)  # who comes again comes with another copy, and so another chunk
    counts = np.bincount(classes[seen[:, 0]])[np.unique(classes)]
    assert counts.max() - counts.min() <= versions * copies
    for label in np.unique(classes):  # all of a class come before one of it comes again
        often = np.bincount(seen[classes[seen[:, 0]] == label, 0], minlength=len(classes))[classes == label]
        assert often.max() - often.min() <= versions * copies


def test_the_rare_are_repeated_and_the_frequent_left_out():
    """Four of class 0 and two of class 1 are six: three of each, one of the rare twice, one of the frequent not at all."""
    sampler = Sampler(0, 6, 1, 1, 4, (150,), np.array([0, 0, 1, 0, 1, 0]))
    left_out = set()
    for epoch in range(1, 40):
        seen = np.concatenate([batch.items for batch in sampler.batches(epoch)])
        frequent = [segment for segment, _, _ in seen.tolist() if segment not in (2, 4)]
        assert len(frequent) == len(set(frequent)) == 3
        rare = sorted((segment, copy) for segment, _, copy in seen.tolist() if segment in (2, 4))
        assert rare in ([(2, 0), (2, 1), (4, 0)], [(2, 0), (4, 0), (4, 1)])
        left_out |= {0, 1, 3, 5} - set(frequent)
    assert left_out == {0, 1, 3, 5}


def test_a_balanced_epoch_can_be_entered_at_any_batch():
    sampler = Sampler(1, 50, 3, 1, 8, (150, 200), np.arange(50) % 7 // 3)
    whole, rest = list(sampler.batches(3)), list(sampler.batches(3, 11))
    assert [(b.number, b.frames, b.items.tolist()) for b in rest] == [
        (b.number, b.frames, b.items.tolist()) for b in whole[11:]
    ]
