"""Rectangular rooms: Allen and Berkley's sum written out, the direct sound, and the decay that was asked for."""

from itertools import product

import numpy as np
import pytest

from sertk.frontend.perturb_shoebox import (
    SOUND,
    Shoebox,
    early_response,
    random_shoebox,
    shoebox_response,
    wall_reflection,
)

RATE = 16000
ROOM = Shoebox(np.array([5.0, 4.0, 3.0]), np.array([1.2, 3.1, 1.5]), np.array([3.3, 1.4, 1.1]))


def written_out(room, reflection, count):
    """Equation 10 of Allen and Berkley (1979), of the images that arrive within `count` samples."""
    response = np.zeros(count)
    for *sides, i, j, k in product((0, 1), (0, 1), (0, 1), range(-3, 4), range(-3, 4), range(-3, 4)):
        rooms = np.array([i, j, k])
        image = (1 - 2 * np.array(sides)) * room.source + 2 * rooms * room.size
        distance = np.linalg.norm(image - room.microphone)
        if distance / SOUND * RATE >= count:
            continue
        walls = np.sum(np.abs(rooms - sides) + np.abs(rooms))
        times = np.arange(count) - distance / SOUND * RATE
        window = np.where(np.abs(times) < 32, 0.5 + 0.5 * np.cos(np.pi * times / 32), 0)
        response += reflection**walls / (4 * np.pi * distance) * np.sinc(times) * window
    return response


@pytest.mark.parametrize("reflection", [-0.8, 0.9])
def test_early_response_is_the_sum_over_images(reflection):
    found = early_response(ROOM, RATE, reflection, 400 / RATE)
    np.testing.assert_allclose(found, written_out(ROOM, reflection, 400), atol=1e-9)


@pytest.mark.parametrize("metres", [0.5, 1.0, 2.0])
def test_direct_sound_is_late_and_soft_by_its_distance(metres):
    """Between samples too: its delay is the slope of the phase."""
    room = Shoebox(ROOM.size, ROOM.source, ROOM.source + np.array([0, -metres, 0]))
    direct = early_response(room, RATE, 0.0, 0.05)
    spectrum = np.fft.rfft(direct)[: len(direct) // 4]
    np.testing.assert_allclose(np.abs(spectrum), 1 / (4 * np.pi * metres), rtol=2e-3)
    slope = np.polyfit(np.arange(len(spectrum)), np.unwrap(np.angle(spectrum)), 1)[0]
    assert -slope * len(direct) / (2 * np.pi) == pytest.approx(metres / 343 * RATE, abs=1e-3)


def test_walls_reflect_as_eyring_says():
    """A cube of 6 m with a mean absorption of 0.3: 0.161 V / (−S ln 0.7)."""
    reflection = wall_reflection(np.array([6.0, 6.0, 6.0]), 0.161 * 216 / (-216 * np.log(0.7)))
    assert reflection**2 == pytest.approx(0.7, rel=1e-3) and reflection < 0


def test_rooms_are_of_the_size_and_distance_asked_for():
    random = np.random.default_rng(0)
    for distance in (0.1, 1.0, 5.0) * 20:
        room = random_shoebox(random, distance)
        assert room.distance == pytest.approx(distance)
        assert (room.size >= (3, 3, 2.5)).all() and (room.size <= (10, 10, 4)).all()
        for place in (room.source, room.microphone):
            assert (place[:2] >= 0.5).all() and (place[:2] <= room.size[:2] - 0.5).all() and 1 <= place[2] <= 2


@pytest.mark.parametrize("rt60", [0.3, 0.6, 1.0])
def test_decay_is_the_one_asked_for(rt60):
    """Schroeder's backward integral from 5 to 25 dB down, the direct sound left out; the noise joins without a step."""
    for seed in range(5):
        response, direct = shoebox_response(RATE, rt60, 2.0, seed)
        assert direct == round(2 / 343 * RATE)
        late = response[direct + 40 :].astype(float)
        decay = 10 * np.log10(np.cumsum(late[::-1] ** 2)[::-1] / np.sum(late**2))
        inside = (decay < -5) & (decay > -25)
        slope = np.polyfit(np.flatnonzero(inside) / RATE, decay[inside], 1)[0]
        assert -60 / slope == pytest.approx(rt60, rel=0.08)
        joint = direct + round(0.06 * RATE)
        before, after = (np.mean(response[first : first + 160] ** 2) for first in (joint - 160, joint))
        assert abs(10 * np.log10(before / after)) < 5


def test_a_room_is_determined_by_its_seed():
    first, again, other = (shoebox_response(RATE, 0.4, 1.0, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == other.shape and np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(("rt60", "distance"), [(0.01, 0.1), (0.01, 5), (0.05, 0.5), (20, 5)])
def test_extremes_are_finite(rt60, distance):
    response, direct = shoebox_response(8000, rt60, distance, 3)
    assert np.isfinite(response).all() and response[direct] > 0
