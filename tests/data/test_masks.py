import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.data.keyed_random import Draws
from sertk.data.masks import POLICIES, Policy, apply_masks, draw_masks, parse_policy
from sertk.errors import SertkError

policies = st.builds(
    Policy, st.integers(0, 200), st.integers(0, 100), st.floats(0, 1), st.integers(0, 3), st.integers(0, 3)
)


@settings(max_examples=300)
@given(policies, st.integers(1, 400), st.integers(1, 128), st.integers(0, 1 << 32))
def test_masks_keep_to_their_bounds(policy, frames, bins, seed):
    masks = draw_masks(policy, Draws(seed), frames, bins)
    assert len(masks) == policy.num_freq + policy.num_time
    for number, (in_frames, in_bins) in enumerate(masks):
        assert 0 <= in_frames.start <= in_frames.stop <= frames
        assert 0 <= in_bins.start <= in_bins.stop <= bins
        width, height = in_frames.stop - in_frames.start, in_bins.stop - in_bins.start
        if number < policy.num_freq:
            assert width == frames and height <= policy.max_bins
        else:
            assert height == bins and width <= min(policy.max_frames, policy.max_part * frames + 1e-6)


def widths_and_starts(policy, frames, bins, kind, count=6000):
    spans = []
    for seed in range(count):
        masks = draw_masks(policy, Draws(seed), frames, bins)
        spans += [pair[kind] for pair in (masks[policy.num_freq :] if kind == 0 else masks[: policy.num_freq])]
    return np.array([span.stop - span.start for span in spans]), np.array([span.start for span in spans])


@pytest.mark.parametrize(("name", "widest"), [("conservative", 15), ("aggressive", 27)])
def test_frequency_masks_take_every_width_up_to_and_with_F(name, widest):
    widths, starts = widths_and_starts(POLICIES[name], 300, 128, kind=1)
    assert set(widths) == set(range(widest + 1))
    assert abs(widths.mean() - widest / 2) < 0.2
    assert starts.min() == 0 and (starts + widths).max() == 128


@pytest.mark.parametrize(
    ("name", "frames", "widest"),
    # W = 50 binds the conservative masks of 300 frames, p T = 60 the aggressive ones; at 150 p T = 30 binds both.
    [("conservative", 300, 50), ("aggressive", 300, 60), ("conservative", 150, 30), ("aggressive", 400, 70)],
)
def test_time_masks_have_every_width_up_to_their_bound(name, frames, widest):
    widths, starts = widths_and_starts(POLICIES[name], frames, 128, kind=0)
    assert set(widths) == set(range(widest + 1))
    assert starts.min() == 0 and (starts + widths).max() == frames


def test_table_1_of_the_paper():
    assert POLICIES["conservative"] == Policy(15, 50, 0.2, 2, 2)
    assert POLICIES["aggressive"] == Policy(27, 70, 0.2, 2, 2)
    assert draw_masks(POLICIES["none"], Draws(0), 300, 128) == []


def test_fractions_that_floats_cannot_hold_are_not_floored():
    widths, _ = widths_and_starts(Policy(0, 99, 0.29, 0, 1), 100, 8, kind=0)
    assert widths.max() == 29  # 0.29 * 100 is 28.999999999999996


def test_what_masks_cover_becomes_zero_and_nothing_else():
    feats = np.ones((10, 6), np.float32)
    apply_masks(feats, [(slice(0, 10), slice(1, 3)), (slice(4, 5), slice(0, 6))])
    assert feats.sum() == 60 - 20 - 4
    assert not feats[:, 1:3].any() and not feats[4].any()


@pytest.mark.parametrize("text", ["agressive", "1:2:3", "15:50:0.2:2:x", "-1:50:0.2:2:2", "15:50:1.5:2:2"])
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(SertkError, match=text.split(":")[0]):
        parse_policy(text)
