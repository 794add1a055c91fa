"""What auto stands for in a run: measured once, remembered beside the compiled code, kept on resume."""

import json
from dataclasses import replace

import pytest
import torch

from sertk.jobs import resolve
from sertk.jobs.resolve import file_of_times, remembered
from sertk.models.modelfile import load_model
from sertk.models.spec import NetworkSpec
from sertk.training import compile as compiling
from sertk.training import step, stopwatch
from sertk.training.settings import TrainingSettings

CPU = torch.device("cpu")
OPTIONS = ("--chunk-frames", 24, "--precision", "bf16")


@pytest.fixture
def timed(toy, monkeypatch):
    """Times of a form to be injected, and the forms that were timed; toy runs are long enough."""
    times, forms = {"false": (10.0, 0.0), "true": (5.0, 0.0)}, []

    class Injected(stopwatch.Stopwatch):
        def _seconds(self, form):
            forms.append(form)
            return times[form]

    monkeypatch.setattr(resolve, "Stopwatch", Injected)
    monkeypatch.setattr(stopwatch, "LEAST_STEPS", 1)
    monkeypatch.setattr(stopwatch, "COMPILING", {"cpu": 0.0})
    monkeypatch.setattr(compiling, "obstacle", lambda *_: None)
    monkeypatch.setattr(stopwatch, "obstacle", lambda *_: None)
    monkeypatch.setattr(step, "compile_network", lambda network, device: network)  # test_compile.py has the real one
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(toy / ".compiled"))
    return times, forms


def form_of(folder):
    return load_model(folder / "final.pt").card["settings"]["compile"]


def test_a_run_takes_the_fastest_form_and_keeps_it(toy, train, timed):
    times, forms = timed
    err = train("exp", *OPTIONS, "--epochs", 1).err
    assert form_of(toy / "exp") == "true" and forms == ["false", "true"]
    assert "a step takes 1e+04 ms by torch's operations, 5000 ms compiled; 4 steps: --compile true" in err
    assert "--compile=true\n" in (toy / "exp/train.conf").read_text()
    times["true"] = (20.0, 0.0)
    (file,) = (toy / ".compiled").glob("step-times.*.json")
    assert "a step takes" in train("again", *OPTIONS, "--epochs", 1).err  # from the file
    assert form_of(toy / "again") == "true" and forms == ["false", "true"]
    file.write_text("{")
    train("exp", *OPTIONS, "--epochs", 2)
    assert form_of(toy / "exp") == "true" and forms == ["false", "true"]  # resumed as it was started
    train("new", *OPTIONS, "--epochs", 1)  # the damaged file is measured again, and written
    assert form_of(toy / "new") == "false" and forms == ["false", "true"] * 2
    assert json.loads(file.read_text()) == {"false": [10.0, 0.0], "true": [20.0, 0.0]}


def test_times_are_those_of_the_same_training_only(tmp_path):
    settings, spec = TrainingSettings(), NetworkSpec(4)
    same, *others = [
        file_of_times(tmp_path, settings, spec, CPU),
        file_of_times(tmp_path, replace(settings, batch_size=64), spec, CPU),
        file_of_times(tmp_path, replace(settings, precision="bf16"), spec, CPU),
        file_of_times(tmp_path, settings, replace(spec, channels=16), CPU),
    ]
    assert same == file_of_times(tmp_path, replace(settings, seed=1, epochs=3), spec, CPU)
    assert len({same, *others}) == 4


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    time_of = remembered(lambda form: (1.0, 2.0), tmp_path / "file/times.json")
    assert time_of("false") == time_of("false") == (1.0, 2.0)
    failing = remembered(lambda form: (float("inf"), 0.0), tmp_path / "times.json")
    assert failing("true") == (float("inf"), 0.0) and not (tmp_path / "times.json").exists()
