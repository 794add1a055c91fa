"""Checkpoints of other toolkits: read without running code, other and damaged files."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_weights import file_forms, weights

from sertk.errors import SertkError
from sertk.models.checkpoint import read_checkpoint
from sertk.models.foreign import import_network


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def test_reading_runs_no_code(here):
    state = weights()
    data = saved({"state_dict": state, "evil": Hostile(), "more": [Hostile()]})
    content = read_checkpoint(data, "x.pt")
    assert torch.equal(content["state_dict"]["seg_1.bias"], state["seg_1.bias"]) and not Path("owned").exists()
    data = saved({"seg_1.weight": Hostile()})
    with pytest.raises(SertkError, match="no tensors by name"):
        import_network(read_checkpoint(data, "x.pt"), "x.pt", {})
    assert not Path("owned").exists()


def test_files_of_old_torch_are_read_if_they_hold_tensors(here):
    state = weights()
    old = read_checkpoint(saved(state, _use_new_zipfile_serialization=False), "x.pt")
    assert all(torch.equal(old[name], tensor) for name, tensor in state.items())
    for content in ({"state_dict": state, "evil": Hostile()}, Hostile()):
        with pytest.raises(SertkError, match=r"torch before 1\.6 with more than tensors"):
            read_checkpoint(saved(content, _use_new_zipfile_serialization=False), "x.pt")
    assert not Path("owned").exists()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"x/{name}.pkl", content)
    return buffer.getvalue()


@pytest.mark.parametrize(("data", "words"), [
    (b"", "cut short .0 bytes"),
    (b"not a checkpoint", "not a PyTorch checkpoint"),
    (saved(weights())[:900], "cut short|damaged"),
    (zipped(constants=b"", data=b""), "TorchScript"),
    (zipped(other=b""), "a zip archive, and not"),
    (zipped(data=bytes(100_000)), "compressed"),
    (zipped(data=os.urandom(50)), "damaged checkpoint"),
    (b"\x1f\x8b" + bytes(600), "NeMo"),
    (bytes(257) + b"ustar" + bytes(300), "NeMo"),
    (b"\x08\x07\x12\x07pytorch\x1a", "ONNX"),
    (b"\x40\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "safetensors"),
])  # fmt: skip
def test_other_files_are_refused_in_one_line(data, words):
    with pytest.raises(SertkError, match=words) as error:
        read_checkpoint(data, "x.pt")
    assert "\n" not in str(error.value)


def test_damaged_checkpoints_are_errors_or_weights():
    """Mutated bytes: SertkError, or a network; nothing else."""
    data = bytearray(file_forms(weights(channels=1, dim=2))["lightning"])
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in random.integers(0, len(data) // 8 if random.random() < 0.7 else len(data), 3):
            broken[place] = random.integers(256)
        try:
            import_network(read_checkpoint(bytes(broken), "x.pt"), "x.pt", {})
        except SertkError as error:
            assert "\n" not in str(error)
