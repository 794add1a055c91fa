"""Compiled networks: when, whether possible, and with which result."""

import json
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters
from toydata import NETWORK

from sertk.errors import SertkError
from sertk.models.modelfile import load_model
from sertk.models.spec import NetworkSpec
from sertk.training import compile as compiling
from sertk.training.compile import choose_form, keep_compiled_code
from sertk.training.settings import TrainingSettings

CPU = torch.device("cpu")
SETTINGS, WIDE = TrainingSettings(precision="bf16"), NetworkSpec(3, channels=16)


@pytest.fixture
def traced(monkeypatch):
    """torch.compile without the part that takes minutes: graphs are traced, differentiated, and computed as they are."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("requested", "resumed", "form"),
    [
        ("auto", None, "fastest"),
        ("auto", "false", "false"),  # a resumed run stays as it was started
        ("auto", "true", "true"),
        ("false", "true", "false"),
        ("true", None, "true"),
        ("fused", None, "fused"),
        ("graphs", None, "graphs"),
    ],
)
def test_form_is_that_requested_or_resumed_or_the_fastest(monkeypatch, requested, resumed, form):
    monkeypatch.setattr(compiling, "obstacle", lambda *_: None)
    assert choose_form(requested, resumed, SETTINGS, WIDE, CPU, lambda: "fastest") == form


@pytest.mark.parametrize(
    ("form", "settings", "spec", "reason"),
    [
        (
            "true",
            {"chunk_frames": tuple(range(1, 10))},
            WIDE,
            "--chunk-frames names 9 lengths, torch compiles 8 at most",
        ),
        ("true", {"sync_batchnorm": True}, WIDE, "BatchNorm over all processes has torch's operations only"),
        ("fused", {"sync_batchnorm": True}, WIDE, "BatchNorm over all processes has torch's operations only"),
        ("fused", {}, NetworkSpec(3, channels=8), "the fused form needs 16 channels or more (--channels 8)"),
        ("fused", {}, WIDE, "the fused form needs a GPU"),
        ("graphs", {}, NetworkSpec(3, channels=8), "the fused form needs 16 channels or more (--channels 8)"),
        ("graphs", {}, WIDE, "CUDA graphs need a GPU"),
    ],
)
def test_forms_that_do_not_work_are_errors(monkeypatch, form, settings, spec, reason):
    """Requested, or of a run that is resumed where it cannot be what it was."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for how in ((form, None), ("auto", form)):
        with pytest.raises(SertkError) as error:
            choose_form(*how, replace(SETTINGS, **settings), spec, CPU, str)
        assert str(error.value) == f"--compile {form}: {reason}"


def test_missing_compiler_is_one_line(toy, train, monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1 for …")

    monkeypatch.setattr(torch, "compile", missing)
    err = train("exp", "--epochs", 1, "--compile", "true", code=1).err
    assert (
        "ERROR: --compile true: torch.compile does not work here: InvalidCxxCompiler: No working C++ compiler found"
        in err
    )
    assert err.count("\n") == 1 and not (toy / "exp/state.pt").exists()


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
    shell(f"{line}/once --epochs 2")  # a minute of compiling on a core; the others find the code
    shell(f"{line}/twice --epochs 1")
    shell(f"{line}/twice --epochs 2")
    assert (toy / "once/final.pt").read_bytes() == (toy / "twice/final.pt").read_bytes()


def test_compiled_code_is_kept_beside_the_run(tmp_path, monkeypatch):
    from torch._inductor.runtime.cache_dir_utils import cache_dir, triton_cache_dir

    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    for run in ("exp/1", "exp2/1"):  # the second finds the variable set, as by a user
        assert keep_compiled_code(tmp_path / run) == tmp_path / "exp/.compiled"
        assert cache_dir() == str(tmp_path / "exp/.compiled")
        assert triton_cache_dir(0) == str(tmp_path / "exp/.compiled/triton")
