"""Training on a device: the same bits again, CUDA graphs, features in its memory, and what is said when that is full."""

import json
import os
import subprocess
import sys

import pytest
import torch
from normacts import few_programs
from support import ROOT
from trainings import train_words

from sertk.data.chunks import ChunkRule
from sertk.data.loader import HostChunks
from sertk.data.masks import parse_policy
from sertk.data.resident import ResidentChunks, source_of_chunks
from sertk.data.sampler import Sampler
from sertk.data.store import load_store
from sertk.kaldi.specifiers import as_rspecifier
from sertk.models.modelfile import load_model
from sertk.training import compile as compiling
from sertk.training import loop, memory


class After:
    """A request to stop that comes after some looks at it."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self):
        self.looks -= 1
        return self.looks < 0


in_the_interpreter_or_on_a_gpu = pytest.mark.parametrize(
    ("device", "precision"),
    [
        pytest.param("cpu", "float32", marks=pytest.mark.slow),
        pytest.param("cuda", "float32", marks=pytest.mark.gpu),
        pytest.param("cuda", "bf16", marks=pytest.mark.gpu),
    ],
    indirect=["device"],
)


@pytest.fixture
def triton_kernels(device, monkeypatch):
    """Kernels in Triton; on the CPU in its interpreter, in as few programs as can be."""
    pytest.importorskip("triton", reason="this torch came without Triton")
    if device == "cpu":
        few_programs(monkeypatch)


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "train.jsonl").read_text().splitlines()]


def differing(folder, *runs):
    """Names of the tensors that two runs do not share to the bit."""
    one, other = (load_model(folder / run / "final.pt").network.state_dict() for run in runs)
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("cpu", "float32"),
        pytest.param("cuda", "float32", marks=pytest.mark.gpu),
        pytest.param("cuda", "bf16", marks=pytest.mark.gpu),
    ],
    indirect=["device"],
)
def test_a_stopped_and_resumed_run_has_the_same_bits(toy, train, network, device, precision, monkeypatch):
    options = ("--batch-size", 16, "--precision", precision)
    train("once", *options, "--epochs", 2, network=network)
    monkeypatch.setitem(loop.READ_AFTER, "cuda", 1)  # else it is stopped at an epoch's end: some eight batches
    with monkeypatch.context() as patch:
        patch.setattr("sertk.cli.train_resnet.catch_signals", lambda: After(2))
        err = train("twice", *options, "--epochs", 2, network=network, code=75).err
    assert "epoch 1, after batch 3 of" in err
    train("twice", *options, "--epochs", 1, network=network)
    train("twice", *options, "--epochs", 2, network=network)
    assert differing(toy, "once", "twice") == []
    assert losses(toy / "once") == losses(toy / "twice")


@pytest.mark.parametrize(
    "device",
    [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)],
    indirect=True,
)
def test_a_compiled_run_learns_and_resumes_to_the_same_bits(toy, train, network, device, monkeypatch):
    """On a GPU as CUDA graphs; on the CPU the graphs are traced, and computed as they are."""
    if device == "cpu":
        monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    torch._dynamo.reset()
    options = ("--chunk-frames", 24, "--precision", "float32")
    train("eager", *options, "--epochs", 2, network=network)
    train("once", *options, "--epochs", 2, "--compile", "true", network=network)
    train("twice", *options, "--epochs", 1, "--compile", "true", network=network)
    torch._dynamo.reset()  # as in a new process
    train("twice", *options, "--epochs", 2, network=network)
    torch._dynamo.reset()
    assert load_model(toy / "twice/final.pt").card["settings"]["compile"] == "true"
    assert losses(toy / "once") == pytest.approx(losses(toy / "eager"), rel=1e-3)
    assert differing(toy, "once", "twice") == []


@in_the_interpreter_or_on_a_gpu
@pytest.mark.usefixtures("triton_kernels")
def test_a_fused_run_learns_and_resumes_to_the_same_bits(toy, train, network, precision):
    options = ("--channels", 16, "--precision", precision, "--augment", "none")
    train("eager", *options, "--epochs", 2, "--compile", "false", network=network)
    train("once", *options, "--epochs", 2, "--compile", "fused", network=network)
    train("twice", *options, "--epochs", 1, "--compile", "fused", network=network)
    train("twice", *options, "--epochs", 2, network=network)
    assert load_model(toy / "twice/final.pt").card["settings"]["compile"] == "fused"
    assert losses(toy / "once") == pytest.approx(losses(toy / "eager"), rel=1e-3 if precision == "float32" else 0.05)
    assert differing(toy, "once", "twice") == []


@in_the_interpreter_or_on_a_gpu
@pytest.mark.usefixtures("triton_kernels")
def test_graphs_train_the_fused_runs_bits(toy, train, network, device, precision, by_calling):
    """Two lengths, a last batch of another size, an evaluation after each epoch; resumed too. On the CPU by a stand-in."""
    options = ("--channels", 16, "--precision", precision, "--augment", "none,3:9:0.2:2:2", "--batch-size", 7,
               "--utt2fold", toy / "utt2fold", "--fold", 1, "--select", "oracle")  # fmt: skip
    errors = [
        train("fused", *options, "--epochs", 2, "--compile", "fused", network=network).err,
        train("once", *options, "--epochs", 2, "--compile", "graphs", network=network).err,
        train("twice", *options, "--epochs", 1, "--compile", "graphs", network=network).err,
        train("twice", *options, "--epochs", 2, network=network).err,
    ]
    assert "WARNING" not in "".join(errors)
    assert load_model(toy / "twice/final.pt").card["settings"]["compile"] == "graphs"
    assert losses(toy / "once") == losses(toy / "twice") == losses(toy / "fused")
    assert differing(toy, "fused", "once") == differing(toy, "fused", "twice") == []
    if device == "cpu":
        assert all(recorder.replayed for recorder in by_calling)


# The forward pass waits for the GPU while it is recorded, which CUDA refuses; nothing is left beside what the graphs take.
WAITS = (
    "from sertk.models.resnet import ResNet; forward = ResNet.forward; ResNet.forward = lambda *given:"
    " (torch.cuda.is_current_stream_capturing() and given[1].sum().item(), forward(*given))[1]"
)
FULL = "torch.cuda.mem_get_info = lambda *_: (0, 0)"


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True)
@pytest.mark.parametrize(("broken", "reason"), [(WAITS, ""), (FULL, "they take ")])
def test_a_recording_that_fails_leaves_the_fused_run(toy, train, network, broken, reason):
    """In a process of its own, which CUDA may leave unusable."""
    options = ("--epochs", 2, "--augment", "none", "--batch-size", 7)
    train("fused", *options, "--compile", "fused", network=network)
    code = f"import sys, torch; from sertk.cli.train_resnet import main; {broken}; main(sys.argv[1:])"
    words = train_words(toy, "failed", *options, "--compile", "graphs", network=network)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"WARNING: CUDA graphs do not work here ({reason}") == done.stderr.count("WARNING") == 1
    assert losses(toy / "failed") == losses(toy / "fused")


@pytest.mark.parametrize("padding", ["repeat", "zero", "edge"])
def test_chunks_cut_in_the_devices_memory_are_those_of_the_host(toy, device, padding):
    policies = tuple(parse_policy(name) for name in ("none", "3:9:0.2:2:2", "5:9:0.2:2:2"))
    store, rule, where = (
        load_store(as_rspecifier(f"scp:{toy}/feats.scp")),
        ChunkRule(1, policies, padding),
        torch.device(device),
    )
    assert isinstance(source_of_chunks(store, rule, where), ResidentChunks if device == "cuda" else HostChunks)
    host, resident = HostChunks(store, rule, where), ResidentChunks(store, rule, where)
    for batch in Sampler(1, len(store), 3, 1, 32, (24, 32, 60)).batches(epoch=1):
        cut, gathered = (source.finish(source.prepare(batch, 1)) for source in (host, resident))
        assert cut.device.type == gathered.device.type == device
        assert torch.equal(cut.contiguous().view(torch.int32), gathered.contiguous().view(torch.int32))


def test_features_on_the_gpu_train_the_same_bits(toy, train, network, monkeypatch):
    train("resident", "--epochs", 1, network=network)
    monkeypatch.setattr(loop, "source_of_chunks", HostChunks)
    train("host", "--epochs", 1, network=network)
    assert (toy / "resident/final.pt").read_bytes() == (toy / "host/final.pt").read_bytes()


@pytest.mark.parametrize(
    ("device", "form"),
    [
        ("cpu", "false"),
        pytest.param("cuda", "false", marks=pytest.mark.gpu),
        pytest.param("cuda", "graphs", marks=pytest.mark.gpu),
    ],
    indirect=["device"],
)
def test_folds_side_by_side_train_the_same_bytes(toy, train, network, form):
    """On a GPU each fold has a stream of its own; its graphs have memory and a stream of theirs."""
    folds = ("--epochs", 2, "--batch-size", 12, "--compile", form, "--utt2fold", toy / "utt2fold", "--fold")
    train("all/FOLD", *folds, "all", network=network)
    for fold in (1, 2):
        train(f"alone/{fold}", *folds, fold, network=network)
        assert (toy / f"all/{fold}/final.pt").read_bytes() == (toy / f"alone/{fold}/final.pt").read_bytes()


@pytest.fixture
def little_memory(device, monkeypatch):
    """A GPU of which this process may have 400 MB; a CPU for which batches of 12 chunks are too large."""
    if device == "cpu":
        monkeypatch.setitem(loop.REHEARSED, "cpu", True)
        monkeypatch.setattr(memory, "fits", lambda step, batch, bins, frames: batch < 12)
        yield
        return
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 400e6) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("little_memory")
def test_a_batch_too_large_for_the_gpu_says_what_fits(toy, train, network, device):
    """On a GPU the real end of its memory: a map of 96 chunks of 1500 frames has 150 MB at 16 channels in float32."""
    large = ("--chunk-frames", 1500, "--batch-size", 96, "--precision", "float32") if device == "cuda" else ()
    err = train("large", "--epochs", 1, *large, network=network, code=1).err
    assert err.splitlines()[-1].startswith(f"train-resnet: ERROR: out of memory on {device}: ")
    assert "do (--batch-size " in err.splitlines()[-1] and err.count("ERROR") == 1
    assert not (toy / "large/state.pt").exists() and not (toy / "large/final.pt").exists()
