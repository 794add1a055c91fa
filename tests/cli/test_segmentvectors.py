"""Vectors of recordings by a function of their samples."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.cli.segmentvectors import write_vectors
from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier, parse_wspecifier
from sertk.kaldi.tables import read_manifest, read_table


def write(segments=None, utt2perturb=None, max_skip=0.5):
    write_vectors(
        lambda samples, rate: np.array([len(samples), rate, np.abs(samples).max()]), {"function": "length"},
        parse_rspecifier("scp:wav.scp"), parse_wspecifier("ark:v.ark"), segments, utt2perturb, max_skip,
    )  # fmt: skip
    return {key: row.tolist() for key, row in read_table("ark:v.ark", kind="vector")}


def test_samples_in_unit_range_become_rows(here):
    soundfile.write("a.wav", np.tile([0.5, -0.25], 400), 8000)
    Path("wav.scp").write_text("a a.wav\nmissing b.wav\n")
    assert write() == {"a": [800, 8000, 0.5]}
    assert read_manifest("ark:v.ark").settings["function"] == "length"
    Path("segments").write_text("s a 0 0.05\n")
    assert write(segments=Path("segments")) == {"s": [400, 8000, 0.5]}
    Path("utt2perturb").write_text("a level=-20\n")
    assert write(utt2perturb=Path("utt2perturb"))["a"][2] == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(SertkError, match="1 of 2 skipped"):
        write(max_skip=0.1)
