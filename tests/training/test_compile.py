"""Compiled networks: when, whether possible, and with which result."""

import json

import pytest
import torch
from torch._dynamo.utils import counters
from toydata import NETWORK

from sertk.errors import SertkError
from sertk.models.modelfile import load_model
from sertk.training import compile as compiling
from sertk.training.compile import choose_compile, keep_compiled_code
from sertk.training.settings import TrainingSettings

CPU, GPU = torch.device("cpu"), torch.device("cuda")


BF16 = TrainingSettings(precision="bf16")  # of the paper's four lengths


@pytest.fixture
def traced(monkeypatch):
    """torch.compile without the part that takes minutes: graphs are traced, differentiated, and computed as they are."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("wanted", "begun", "steps", "settings", "device", "chosen"),
    [
        ("auto", None, 20_000, BF16, CPU, "true"),  # four lengths of 5000 steps each
        ("auto", None, 19_999, BF16, CPU, "false"),
        ("auto", None, 5000, TrainingSettings(precision="bf16", chunk_frames=(200,)), CPU, "true"),
        ("auto", None, 10**9, TrainingSettings(precision="float32"), CPU, "false"),  # what is saved does not pay
        ("auto", None, 39_999, BF16, GPU, "false"),
        ("auto", None, 40_000, BF16, GPU, "true"),
        ("auto", None, 10**9, TrainingSettings(precision="bf16", chunk_frames=tuple(range(1, 10))), CPU, "false"),
        ("auto", None, 10**9, TrainingSettings(precision="bf16", sync_batchnorm=True), CPU, "false"),
        # A run that is gone on with stays as it was begun, however long it has become.
        ("auto", "false", 10**9, BF16, CPU, "false"),
        ("auto", "true", 1, BF16, CPU, "true"),
        ("false", "true", 10**9, BF16, CPU, "false"),
        ("true", None, 1, TrainingSettings(precision="float32"), CPU, "true"),
    ],
)
def test_run_is_compiled_if_it_is_long_enough_to_pay(monkeypatch, wanted, begun, steps, settings, device, chosen):
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda x: x)  # a GPU there need not be
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    assert choose_compile(wanted, begun, steps, settings, device) == chosen


def test_missing_compiler_is_an_error_only_if_asked_for(toy, train, monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1 for …")

    monkeypatch.setattr(torch, "compile", missing)
    err = train("exp", "--epochs", 1, "--compile", "true", code=1).err
    assert (
        "ERROR: --compile true: torch.compile does not work here: InvalidCxxCompiler: No working C++ compiler found"
        in err
    )
    assert err.count("\n") == 1 and not (toy / "exp/state.pt").exists()
    monkeypatch.setitem(compiling.WORTHWHILE_STEPS, "cpu", 1)
    err = train("exp", "--epochs", 1, "--precision", "bf16").err
    assert "not compiled, though the run is long: torch.compile does not work here: InvalidCxxCompiler" in err
    with pytest.raises(SertkError, match="does not work here"):  # gone on with where it cannot be what it was
        choose_compile("auto", "true", 1, BF16, CPU)


def test_compiled_run_learns_the_same_with_a_graph_a_length(toy, train, traced):
    """With a margin, whose loss is computed outside of the graphs."""
    margin = ("--loss", "aam", "--margin-from", 1, "--margin-to", 2, "--subcentres", 2, "--inter-topk", 2)
    options = (
        "--epochs",
        2,
        "--batch-size",
        25,
        *margin,
    )  # 120 chunks: four batches of 25, one of 20, which is not compiled
    train("eager", *options)
    train("compiled", *options, "--compile", "true")
    assert traced() == 1 + 2  # the trial, and the lengths 24 and 32
    eager, compiled = (
        [json.loads(line)["loss"] for line in (toy / name / "train.jsonl").read_text().splitlines()]
        for name in ("eager", "compiled")
    )
    assert compiled == pytest.approx(eager, rel=1e-4)


def test_resumed_compiled_run_equals_an_uninterrupted_one(toy, train, traced):
    options = ("--compile", "true", "--chunk-frames", 24)
    train("once", *options, "--epochs", 2)
    train("twice", *options, "--epochs", 1)
    torch._dynamo.reset()  # as in a new process
    train("twice", "--chunk-frames", 24, "--epochs", 2)  # auto: as it was begun
    assert (toy / "once/final.pt").read_bytes() == (toy / "twice/final.pt").read_bytes()
    assert load_model(toy / "twice/final.pt").card["settings"]["compile"] == "true"
    err = train("twice", "--chunk-frames", 24, "--epochs", 3, "--compile", "false", code=1).err
    assert "started with compile=true, now it is false" in err


@pytest.mark.slow
def test_run_compiled_by_inductor_resumes_bitwise(toy, shell):
    """Each run a process of its own: after it autograd has threads in this one, and what later tests fork cannot train."""
    options = (*NETWORK, "--compile", "true", "--chunk-frames", 24, "--precision", "bf16")
    line = f"train-resnet {' '.join(map(str, options))} scp:{toy}/feats.scp {toy}/utt2label {toy}"
    shell(f"{line}/once --epochs 2 && {line}/twice --epochs 1 && {line}/twice --epochs 2")
    assert (toy / "once/final.pt").read_bytes() == (toy / "twice/final.pt").read_bytes()


def test_compiled_code_is_kept_beside_the_run(tmp_path, monkeypatch):
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back afterwards
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_compiled_code(tmp_path / "exp/1")
    assert cache_dir() == str(tmp_path / "exp/.compiled")
    keep_compiled_code(tmp_path / "exp2/1")
    assert cache_dir() == str(tmp_path / "exp/.compiled")  # as a user's own choice
