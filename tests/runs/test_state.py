"""State files, and the settings in which two runs differ."""

import pytest
import torch

from sertk.errors import SertkError
from sertk.runs.state import differences, read_state, write_state
from sertk.training.progress import Progress


def test_invalid_state_is_one_line(toy, train):
    train("exp", "--epochs", 1)
    (toy / "exp/state.pt").write_bytes((toy / "exp/final.pt").read_bytes())
    err = train("exp", "--epochs", 2, code=1).err
    assert "state.pt: not a training state of this version of sertk (--restart true starts a new run" in err
    (toy / "exp/state.pt").write_bytes(b"cut")
    assert "--restart true" in train("exp", "--epochs", 2, code=1).err
    train("exp", "--epochs", 1, "--restart", "true")


def test_state_is_read_as_it_was_written(tmp_path):
    progress = Progress([{"epoch": 1, "loss": 0.5}], 3, {"loss": 1.0}, {"network": {"w": torch.ones(2)}})
    write_state(tmp_path / "state.pt", {"seed": 0, "augment": ["none"]}, progress)
    settings, read = read_state(tmp_path / "state.pt")
    assert settings == {"seed": 0, "augment": ["none"]}
    assert (read.history, read.batch, read.sums) == (progress.history, 3, {"loss": 1.0})
    assert torch.equal(read.tensors["network"]["w"], torch.ones(2))


def test_flipped_bit_in_a_state_is_noticed(tmp_path):
    path = tmp_path / "state.pt"
    write_state(path, {"seed": 0}, Progress(tensors={"w": torch.zeros(1000)}))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SertkError, match=r"state\.pt: "):
        read_state(path)


def test_differences_name_added_and_removed_settings():
    before, now = {"seed": 0, "old": 1, "threads": 1}, {"seed": 0, "new": "x" * 80, "threads": 2}
    assert differences(before, now, {"threads"}) == [f"new=None, now it is {'x' * 57}…", "old=1, now it is None"]
