"""Heads and draws on a device: heads stacked, resumed, and draws that do not fit at once."""

import numpy as np
import pytest
import torch
from support import contents
from trainings import StopAfter

from sertk.kaldi.tables import read_table
from sertk.models.modelfile import load_model


@pytest.mark.parametrize(
    "device",
    [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)],
    indirect=True,
)
def test_stacked_heads_are_those_of_one_by_one_on_the_device(tmp_path, head_words, call, device):
    """Up to rounding, and they are those of the CPU."""
    for name, where, stack in (("cpu", "cpu", "false"), ("alone", device, "false"), ("stacked", device, "true")):
        call(*head_words(name, "--device", where, "--stack", stack))
    for path in sorted((tmp_path / "cpu").rglob("final.pt")):
        wanted = load_model(path).network.state_dict()
        for name in ("alone", "stacked"):
            found = load_model(tmp_path / name / path.relative_to(tmp_path / "cpu")).network.state_dict()
            for part, tensor in wanted.items():
                torch.testing.assert_close(found[part], tensor, atol=2e-4, rtol=0)


def test_stopped_stacked_heads_resume_to_the_same_bytes(tmp_path, head_words, call, device, monkeypatch):
    """Stopped in the second epoch: all have finished the first, and are together again."""
    options = ("--device", device, "--stack", "true")
    call(*head_words("straight", *options))
    with monkeypatch.context() as patch:
        patch.setattr("sertk.cli.transfer_head.catch_signals", lambda: StopAfter(40))
        call(*head_words("stopped", *options), code=75)
    assert {path.parent.name for path in (tmp_path / "stopped").rglob("state.pt")} == {"1", "2"}
    call(*head_words("stopped", *options))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


@pytest.fixture
def full():
    """full(): from now on this process may take 400 MB of a GPU's memory more than it has."""

    def limit():
        torch.cuda.empty_cache()
        total = torch.cuda.mem_get_info()[1]
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 400e6) / total)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True)
def test_draws_that_do_not_fit_at_once_are_the_same(toy, train, call, device, network, full):
    """A map of a window's chunks has 1.3 GB at 16 channels."""
    train("exp", "--epochs", 1, network=network)
    words = ("--device", device, "--precision", "float32", "--draws", 20, "--chunk-frames", 1500, "--compress", "none")
    tables = []
    for name in ("whole", "halves"):
        call("embed-segments", *words, toy / "exp/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/{name}.ark")
        tables.append(dict(read_table(f"ark:{toy}/{name}.ark")))
        full()
    for key, rows in tables[0].items():
        np.testing.assert_allclose(tables[1][key], rows, atol=1e-3)
