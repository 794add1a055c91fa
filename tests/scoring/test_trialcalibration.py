"""Calibration on other trials: durations are logarithms, and what is no duration is named."""

from types import SimpleNamespace

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.scoring.trialcalibration import _log_seconds


def listed(*present):
    names = [f"u{n}" for n in range(len(present))]
    return SimpleNamespace(listed=SimpleNamespace(names=names), embeddings=SimpleNamespace(present=np.array(present)))


def test_durations_are_logarithms_of_seconds(tmp_path):
    (tmp_path / "utt2dur").write_text("u0 1\nu1 2.5\nother 7\n")
    assert _log_seconds(tmp_path / "utt2dur", listed(True, True)).tolist() == pytest.approx([0, np.log(2.5)])
    # An utterance without embedding is in no trial that is scored.
    assert _log_seconds(tmp_path / "utt2dur", listed(True, True, False))[2] == 0


def test_missing_durations_have_a_remedy(tmp_path):
    with pytest.raises(SertkError, match=r"utt2dur: is missing; .*, or --utt2dur \(make-fbank --write-utt2dur\)"):
        _log_seconds(tmp_path / "utt2dur", listed(True))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_what_is_not_a_duration_is_named(tmp_path, value):
    (tmp_path / "utt2dur").write_text(f"u0 1\nu1 {value}\n")
    with pytest.raises(SertkError, match=f"utt2dur: u1: '{value}' is not a number of seconds"):
        _log_seconds(tmp_path / "utt2dur", listed(True, True))
