"""Front-end options: values that are refused, settings in manifests, frame counts."""

import json

import pytest
from references import signal

from sertk.errors import SertkError
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions


def test_one_sample_gives_no_frame_and_400_give_one():
    assert [len(Fbank()(signal()[:n])) for n in (1, 399, 400, 559, 560)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"sample_frequency": 0.0}, "sample-frequency"),
        ({"frame_shift": 0.01}, "frame-shift"),
        ({"frame_length": 0.0}, "frame-length"),
        ({"window_type": "kaiser"}, "window-type=kaiser"),
        ({"preemphasis_coefficient": 1.5}, "preemphasis"),
        ({"dither": -1.0}, "dither"),
        ({"num_mel_bins": 2}, "num-mel-bins"),
        ({"low_freq": -1.0}, "low-freq"),
        ({"low_freq": 8000.0}, "low-freq"),
        ({"high_freq": 8001.0}, "high-freq"),
        ({"high_freq": -8000.0}, "high-freq"),
        ({"sample_frequency": float("nan")}, "sample-frequency"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(SertkError, match=says):
        FbankOptions(**wrong)


def test_settings_name_kaldis_options_and_give_the_options_back():
    options = FbankOptions(num_mel_bins=80, snip_edges=False)
    settings = options.settings()
    assert settings["num-mel-bins"] == 80 and settings["snip-edges"] is False
    assert FbankOptions.of(json.loads(json.dumps(settings))) == options
    for wrong in ({"num-mel": 80}, {"num-mel-bins": "80"}, {"snip-edges": 1}, {"num-mel-bins": 80.5}):
        with pytest.raises(SertkError, match="unknown front-end setting"):
            FbankOptions.of(wrong)
