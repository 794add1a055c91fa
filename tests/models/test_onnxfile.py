"""Exported files: what they say of themselves, damaged ones."""

import pytest
from onnxmodels import LABELS, exported, model

from sertk.errors import SertkError
from sertk.models.onnxfile import load_onnx


def test_the_file_says_what_it_is(tmp_path):
    graph = exported(model(), tmp_path)
    assert graph.labels == LABELS and graph.digest == "d1" * 32 and graph.at == "posterior"
    assert graph.frontend["fbank"]["sample-frequency"] == 16000 and graph.network["bins"] == 16
    known = graph.session.get_modelmeta().custom_metadata_map
    assert known["sertk.sample_rate"] == "16000" and known["sertk.labels"] == '["angry", "hap", "neu", "sad"]'


@pytest.mark.parametrize("damage", ["flipped", "cut", "other", "empty"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    exported(model(), tmp_path)
    path = tmp_path / "out.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes({"flipped": content, "cut": content[:-1000], "other": b"text" * 99, "empty": b""}[damage])
    with pytest.raises(SertkError, match=r"out.onnx: (damaged|not an ONNX file of export-onnx)"):
        load_onnx(path)
