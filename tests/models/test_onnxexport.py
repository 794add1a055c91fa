"""Exports of a model: the same bytes, or refused."""

import pytest
from onnxmodels import exported, model

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions


def test_two_exports_are_the_same_bytes(tmp_path):
    exported(model(), tmp_path)
    first = (tmp_path / "out.onnx").read_bytes()
    exported(model(), tmp_path)
    assert (tmp_path / "out.onnx").read_bytes() == first


@pytest.mark.parametrize(("options", "cmvn", "said"), [
    (FbankOptions(num_mel_bins=16, dither=1.0), "segment", "dither 1"),
    (FbankOptions(num_mel_bins=16), "group", "over groups of segments"),
])  # fmt: skip
def test_a_front_end_that_no_graph_repeats_is_refused(tmp_path, options, cmvn, said):
    with pytest.raises(SertkError, match=said):
        exported(model(options, cmvn), tmp_path)
    assert not list(tmp_path.iterdir())
