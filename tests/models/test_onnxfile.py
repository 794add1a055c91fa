"""Exported files: what they say of themselves, damaged ones."""

from pathlib import Path

import pytest
from networks import trained

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions
from sertk.models.modelfile import Model
from sertk.models.onnxfile import load_onnx
from sertk.models.onnxgraph import export_onnx

LABELS = ["angry", "hap", "neu", "sad"]


PATH = Path("final.pt")


PLAIN = FbankOptions(num_mel_bins=16)


def model(options=PLAIN, cmvn="segment", **network):
    return Model(
        trained(bins=options.dim, **network), LABELS, {"fbank": options.settings(), "cmvn": cmvn}, {}, "d1" * 32
    )


def exported(model, folder, at="posterior"):
    export_onnx(model, PATH, folder / "out.onnx", at)
    return load_onnx(folder / "out.onnx", num_threads=1)


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
