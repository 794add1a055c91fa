"""Outputs of a model on a table of features."""

from pathlib import Path

import numpy as np
import pytest
from networks import trained

from sertk.errors import SertkError
from sertk.jobs.embed import check_bins
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_manifest, table_writer
from sertk.models.modelfile import Model, save_model


def test_features_of_another_front_end_are_refused(toy, call, speakers):
    with table_writer(
        f"ark,scp:{toy}/o.ark,{toy}/o.scp", settings={"fbank": {"num-mel-bins": 80}, "cmvn": "segment"}
    ) as write:
        write("a", np.zeros((20, 16), np.float32))
    err = call("predict-emotion", speakers, f"scp:{toy}/o.scp", "ark,t:-", code=1).err
    assert "fbank.num-mel-bins=80, but" in err and "num-mel-bins=16" in err


def test_segment_with_other_bins_is_named():
    segments = iter([("a", np.zeros((5, 16))), ("b", np.zeros((7, 80)))])
    checked = check_bins(segments, 16, Path("exp/final.pt"), parse_rspecifier("scp:feats.scp"))
    assert next(checked)[0] == "a"
    with pytest.raises(SertkError, match=r"scp:feats\.scp: b: 7 × 80, exp/final\.pt takes 16 bins"):
        next(checked)


def test_posteriors_say_what_their_features_were_enrolled_on(here, call):
    """And that they are transductive, whatever the model knows of its own features."""
    save_model(here / "unknown.pt", Model(trained(), ["a", "b", "c", "d"]))
    settings = {"cmvn": "group", "group": "utt2spk", "transductive": True, "enrolled": "ten.utts"}
    with table_writer("ark,scp:f.ark,f.scp", settings=settings) as write:
        write("a", np.ones((20, 16), np.float32))
    call("predict-emotion", "--num-threads=1", "unknown.pt", "scp:f.scp", "ark,scp:p.ark,p.scp")
    noted = read_manifest("scp:p.scp").settings
    assert noted["enrolled"] == "ten.utts" and noted["frontend"] == {"transductive": True}
