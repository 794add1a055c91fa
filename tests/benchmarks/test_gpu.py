"""benchmarks/gpu.py at toy size on a CPU, so that it works when a GPU is there."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from normacts import few_programs
from support import ROOT

from sertk.training import loop

CPU = torch.device("cpu")


@pytest.fixture
def benchmark(monkeypatch):
    """benchmark("gpu_parts"): a module of benchmarks/; what its measurements change is put back."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(loop, "source_of_chunks", loop.source_of_chunks)
    for name in ("benchmark", "deterministic"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    return importlib.import_module


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("part", "first", "figures"),
    [
        ("card", "a copy in memory", {"GB/s"}),
        ("steps", "step, 4 × 24", {"segments/s", "ms", "ms of the host", "TFLOP/s"}),
        (
            "fused",
            "stem, maps of 8 × 2 × 16 × 24, torch's operations",
            {"ms", "GB/s if in one pass", "relative error"},
        ),
        (
            "convolutions",
            "1 × forward, 8 × 1 × 16 × 24, 3 × 3 to 2, stride 1",
            {"ms deterministic", "ms any", "ms fastest", "ms fastest deterministic", "TFLOP/s", "GB/s"},
        ),
        ("variants", "step, 4 × 24, as it is", {"segments/s", "ms", "ms of the host", "TFLOP/s"}),
        ("profile", "profile of a step, 4 × 24: operations", {"ms"}),
        ("loop", "training loop, batches of 4, features on the device", {"segments/s"}),
        ("draws", "draws, computed only", {"chunks/s"}),
        ("heads", "an epoch of 15 heads, 10 segments, stacked", {"s", "steps/s"}),
        ("predict", "posteriors of 10 segments (0.0 h), bf16", {"s", "segments/s"}),
    ],
)
def test_parts_print_their_figures(benchmark, capsys, monkeypatch, part, first, figures):
    common = benchmark("gpu_common")
    size = replace(common.SIZES["toy"], seconds=0.001)
    few_programs(monkeypatch)
    of_fused = benchmark("gpu_fused").FORMS  # each takes a while in the interpreter
    monkeypatch.setattr(benchmark("gpu_fused"), "FORMS", dict([*of_fused.items()][:: len(of_fused) - 1]))
    benchmark("gpu_parts").PARTS[part](size, CPU)
    found = rows(capsys)
    assert found[0]["what"] == first and found[0].keys() == {"what"} | figures
    assert all(value >= 0 for row in found for value in row.values() if not isinstance(value, str))


@pytest.mark.parametrize(
    ("part", "line"), [("steps", "step, 4 × 24{}"), ("loop", "training loop, batches of 4, features on the device{}")]
)
def test_every_form_that_works_is_measured(benchmark, capsys, monkeypatch, by_calling, part, line):
    parts = benchmark("gpu_parts")
    monkeypatch.setattr(parts, "obstacle", lambda *_: None)
    parts.PARTS[part](replace(parts.SIZES["toy"], seconds=0.001), CPU)
    found = [row["what"] for row in rows(capsys)]
    assert {line.format(name) for name in ("", ", fused", ", CUDA graphs")} <= set(found)
    assert sum(recorder.replayed for recorder in by_calling) > 0


def test_operations_of_a_profile_belong_to_groups(benchmark):
    group_of = benchmark("gpu_profile").group_of
    names = {
        "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc": "convolution",
        "void cudnn::bn_fw_tr_1C11_kernel_NCHW": "BatchNorm",
        "void at::native::vectorized_elementwise_kernel<4, at::native::prelu_kernel>": "activation",
        "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<FusedSgd>": "optimiser",
        "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<CopyFunctor>": "copies and casts",
        "Memcpy HtoD (Pinned -> Device)": "copies and casts",
        "void cudnn::ops::nchwToNhwcKernel": "copies and casts",
        "triton_red_fused_native_batch_norm_backward_3": "BatchNorm",
        "triton_poi_fused_add_7": "compiled",
        "partial_gradients": "fused",
        "void at::native::reduce_kernel": "sums",
        "void at::native::vectorized_elementwise_kernel<8, CUDAFunctor_add>": "other",
    }
    assert {name: group_of(name) for name in names} == names


def test_a_part_over_its_time_leaves_what_it_measured(benchmark, tmp_path, monkeypatch, capsys):
    """A stand-in part: one figure, then nothing for a minute; the next part fails."""
    gpu = benchmark("gpu")
    (tmp_path / "gpu_parts.py").write_text(
        "import json, sys, time\n"
        "print(json.dumps({'what': sys.argv[1], 'ms': 1}), flush=True)\n"
        "if sys.argv[1] == 'card': time.sleep(60)\n"
        "sys.exit('out of memory')\n"
    )
    monkeypatch.setattr(gpu, "HERE", tmp_path)
    monkeypatch.setattr(gpu, "PARTS", {"card": 3, "steps": 50, "table3": 50})
    out = tmp_path / "gpu.json"
    assert gpu.main(["--skip", "table3", "--device", "cpu", "--out", str(out)]) == 1
    card, steps = json.loads(out.read_text())["parts"]
    assert (card["ended"], card["rows"]) == ("ended after 3 s", [{"what": "card", "ms": 1}])
    assert (steps["ended"], steps["rows"]) == ("failed: out of memory", [{"what": "steps", "ms": 1}])
    assert "| steps | 1 ms |\n| **steps** | failed: out of memory, " in capsys.readouterr().out


def test_an_interrupted_benchmark_ends_its_part(benchmark, tmp_path, monkeypatch):
    """A stand-in part that prints a figure, then nothing for a minute; Ctrl-C when its figure is shown."""
    gpu, shown = benchmark("gpu"), []
    (tmp_path / "gpu_parts.py").write_text(
        "import json, os, time\nprint(json.dumps({'what': 'card', 'pid': os.getpid()}), flush=True)\ntime.sleep(60)\n"
    )

    def interrupt(row):
        shown.append(row["pid"])
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "HERE", tmp_path)
    monkeypatch.setattr(gpu, "show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        gpu.run_part("card", 50)
    with pytest.raises(ProcessLookupError):
        os.kill(*shown, 0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--only", "nonsense"], "no such part: nonsense"),
        (["--only", "card", "--skip", "card"], "--only and --skip leave no part"),
        (["--out", "nowhere/gpu.json"], "--out: there is no folder nowhere"),
        (["--out", "/"], "--out: / cannot be written"),
        (["--minutes", "0"], "--minutes must be more than 0"),
        (["--device", "cuda:99"], "--device cuda:99: torch has cpu"),
    ],
)
def test_wrong_calls_measure_nothing(benchmark, monkeypatch, capsys, words, reason):
    gpu = benchmark("gpu")
    monkeypatch.setattr(gpu, "run_part", None)
    with pytest.raises(SystemExit) as end:
        gpu.main(words)
    assert reason in f"{end.value}\n{capsys.readouterr().err}"


def test_the_device_is_a_gpu_if_there_is_one(benchmark):
    device_of = benchmark("gpu").device_of
    assert [device_of(None, 0), device_of(None, 2), device_of("cuda:1", 2), device_of("cpu", 2)] == [
        "cpu", "cuda", "cuda:1", "cpu",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_whole_benchmark_runs_at_toy_size(tmp_path):
    command = [
        sys.executable,
        ROOT / "benchmarks/gpu.py",
        "--minutes",
        "60",
        "--patience",
        "20",
        "--size",
        "toy",
        "--device",
        "cpu",
    ]
    done = subprocess.run([*command, "--out", tmp_path / "gpu.json"], capture_output=True, text=True)
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert [part for part in parts if part["ended"] != "done" or not part["rows"]] == []
    assert done.returncode == 0
