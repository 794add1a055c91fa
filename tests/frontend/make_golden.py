"""Writes golden.json: what kaldi-native-fbank makes of references.signal(). Run it with PYTHONPATH=tests/helpers."""

import json
from pathlib import Path

from references import native_fbank, signal

from sertk.frontend.options import FbankOptions

SAMPLES = 1100
CASES = [
    {},
    {"snip_edges": False},
    {"num_mel_bins": 80, "low_freq": 20.0, "high_freq": 7600.0, "window_type": "hamming"},
    {"num_mel_bins": 40, "low_freq": 60.0, "high_freq": -200.0, "window_type": "blackman"},
    {"num_mel_bins": 23, "window_type": "hanning", "use_energy": True},
    {"num_mel_bins": 23, "window_type": "rectangular", "preemphasis_coefficient": 0.0, "frame_length": 32.0},
    {"num_mel_bins": 23, "window_type": "sine", "sample_frequency": 8000.0, "high_freq": 0.0, "htk_compat": True},
]

if __name__ == "__main__":
    cases = []
    for options in CASES:
        feats = native_fbank(signal()[:SAMPLES], FbankOptions(**options))
        cases.append({"options": options, "feats": [[round(float(value), 5) for value in row] for row in feats]})
    golden = {"made by": "kaldi-native-fbank 1.23.0", "samples": SAMPLES, "cases": cases}
    Path(__file__).with_name("golden.json").write_text(json.dumps(golden) + "\n")
