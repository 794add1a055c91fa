"""Normalisation against numpy in double precision, and where there is nothing to scale."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.frontend.cmvn import STRETCH, Moments, normalise, statistics
from sertk.models.segmentnorm import normalise_segments


def features(frames, bins=8, seed=0, mean=10.0, deviation=3.0):
    return np.random.default_rng(seed).normal(mean, deviation, (frames, bins)).astype(np.float32)


@given(st.integers(2, 600), st.integers(1, 40), st.floats(-20, 20), st.floats(0.01, 10), st.integers(0, 2**32))
@settings(max_examples=60)
def test_mean_and_variance_are_those_of_double_precision(frames, bins, mean, deviation, seed):
    feats = features(frames, bins, seed, mean, deviation).astype(np.float64)
    normal = normalise(feats.astype(np.float32))
    feats = feats.astype(np.float32).astype(np.float64)
    spread = feats.std(axis=0)
    varies = spread > 1e-3 * abs(mean) + 1e-4
    expected = (feats - feats.mean(axis=0)) / np.where(varies, spread, 1)
    np.testing.assert_allclose(normal[:, varies], expected[:, varies], atol=2e-3, rtol=1e-3)
    assert normal.dtype == np.float32 and np.isfinite(normal).all()


def test_real_sizes_are_exact_to_five_digits():
    for frames in (100, 400, STRETCH, STRETCH + 1, 5 * STRETCH + 7):
        feats = features(frames, 128)
        wide = feats.astype(np.float64)
        np.testing.assert_allclose(normalise(feats), (wide - wide.mean(0)) / wide.std(0), atol=2e-5, rtol=0)


def test_the_worked_example():
    feats = np.array([[1, 10], [3, 10], [5, 40], [7, 40]], np.float32)
    expected = np.array([[-3, -(5**0.5)], [-1, -(5**0.5)], [1, 5**0.5], [3, 5**0.5]]) / 5**0.5
    np.testing.assert_allclose(normalise(feats), expected, atol=1e-6)
    np.testing.assert_allclose(normalise(feats, norm_vars=False), [[-3, -15], [-1, -15], [1, 15], [3, 15]], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, -15.942385, 1e-30, 1e15, 7.1])
@pytest.mark.parametrize("frames", [1, 2, 399, 20000])
def test_a_constant_bin_becomes_exactly_0(value, frames):
    feats = features(frames, 3)
    feats[:, 1] = value
    normal = normalise(feats)
    assert (normal[:, 1] == 0).all() and np.isfinite(normal).all()


def test_a_single_frame_becomes_0_and_no_frame_stays_none():
    assert (normalise(features(1)) == 0).all()
    assert normalise(features(1)[:0]).shape == (0, 8)


def test_a_bin_with_one_odd_frame_is_not_taken_for_constant():
    feats = np.full((50, 1), -15.942385, np.float32)
    feats[25] = 3
    normal = normalise(feats)
    assert abs(normal[25, 0] - 7) < 1e-4 and abs(normal[0, 0] + 1 / 7) < 1e-4


def test_the_input_is_left_as_it_was():
    feats = features(50)
    normalise(feats)
    assert (feats == features(50)).all()


def test_a_group_is_normalised_by_all_its_segments_together():
    parts = [features(n, seed=n, mean=n) for n in (30, 200, 7)]
    moments = Moments(8)
    for part in parts:
        moments.add(part)
    together = np.concatenate(parts).astype(np.float64)
    expected = (together - together.mean(0)) / together.std(0)
    np.testing.assert_allclose(np.concatenate([moments.normalise(p) for p in parts]), expected, atol=1e-4)


def test_a_bin_that_is_constant_in_the_group_becomes_0():
    moments = Moments(8)
    parts = [features(n, seed=n) for n in (30, 40)]
    for part in parts:
        part[:, 5] = -15.942385
        moments.add(part)
    assert (moments.normalise(parts[0])[:, 5] == 0).all()


@pytest.mark.parametrize("level", [-15.0, 0.0, 0.3, 12.0])
@pytest.mark.parametrize("frames", [50, STRETCH, 5 * STRETCH + 7])
def test_a_bin_that_differs_in_its_last_digits_is_constant(frames, level):
    """Frames of the same samples, as some processors compute them: by segment, by group, in a network."""
    feats = np.full((frames, 2), level, np.float32)
    feats[::7] += np.float32(1e-6)
    feats[:, 1] = np.arange(frames)
    group = Moments(2)
    group.add(feats)
    in_network = normalise_segments(torch.from_numpy(feats.T.copy())[None])[0][0].T.numpy()
    for normal in (normalise(feats), group.normalise(feats), in_network):
        assert (normal[:, 0] == 0).all() and normal[:, 1].std() == pytest.approx(1, abs=1e-3)
    assert statistics(feats)[2] == 0
