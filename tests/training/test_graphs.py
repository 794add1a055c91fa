"""CUDA graphs of the training step, by a stand-in that replays by calling; on a GPU in tests/gpu."""

import copy
import logging
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from bycalling import ByCalling

from sertk.errors import SertkError
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training import graphs
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.targets import Targets

CPU = torch.device("cpu")
SPEC = NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8, output="cosine")
# Frames and chunks of successive batches: two lengths in no order, and an epoch's last batch of another size.
BATCHES = [(24, 6), (32, 6), (24, 6), (24, 6), (24, 4), (32, 6), (24, 6), (32, 6), (24, 4), (32, 6)]


def new_step(form, network=None, **settings):
    torch.manual_seed(0)
    network = (network or ResNet(SPEC)).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.1, 0.9)
    fixed = {"batch_size": 6, "chunk_frames": (24, 32), "precision": "float32", "loss": "aam"}
    return Step(network, optimiser, TrainingSettings(compile=form, **fixed | settings), CPU, World())


def batch(number):
    """Chunks and targets with votes and class weights, in tensors of their own."""
    frames, size = BATCHES[number]
    random = torch.Generator().manual_seed(number)
    shares = torch.rand(size, 3, generator=random).softmax(dim=1)
    weights = torch.tensor([0.5, 1.0, 1.5])
    targets = Targets(shares.argmax(dim=1), shares if number % 2 else None, weights)
    return torch.randn(size, frames, 16, generator=random).transpose(1, 2), targets


def take_steps(step, numbers=range(10), rates=(), margins=()):
    """Take steps; returns their figures, and evaluates the network after each."""
    figures = []
    for number in numbers:
        for group in step.optimiser.param_groups:
            group["lr"] = dict(rates).get(number, group["lr"])
        step.margin = dict(margins).get(number, step.margin)
        chunks, targets = batch(number)
        figures.append(step(chunks, targets, len(chunks)).tolist())
        with torch.no_grad():
            figures.append(step.network.eval()(chunks).tolist())
        step.network.train()
    return figures


def weights(step):
    return [*step.network.state_dict().values(), *(state["momentum_buffer"] for state in step.optimiser.state.values())]


def assert_same(one, other):
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_replayed_steps_are_those_of_no_graphs(by_calling, precision):
    """With two lengths, targets of two kinds, a last batch of another size, another learning rate, evaluations."""
    steps, rates = [new_step(form, precision=precision) for form in ("false", "graphs")], [(7, 0.01)]
    assert take_steps(steps[0], rates=rates) == take_steps(steps[1], rates=rates)
    assert_same(*steps)
    # Batches of 24 frames with and without votes, of 32 frames with votes: the second of each kind is recorded.
    (recorder,) = by_calling
    kinds = [(frames, number % 2) for number, (frames, size) in enumerate(BATCHES) if size == 6]
    assert recorder.recorded == sum(kinds.count(kind) > 1 for kind in set(kinds)) == 2
    assert recorder.replayed == sum(kinds.count(kind) - 1 for kind in set(kinds))


def test_replays_leave_gradients_in_the_same_place(by_calling):
    """Those of a length; a batch without a graph between them has others."""
    step, chunks_of = new_step("graphs"), {24: torch.randn(6, 16, 24), 32: torch.randn(6, 16, 32)}
    places = {24: [], 32: []}
    for frames in (24, 24, 32, 32, 24, 32, 24):
        step(chunks_of[frames], Targets(torch.arange(6) % 3), 6)
        places[frames].append([p.grad.data_ptr() for p in step.parameters])
        if frames == 32:
            step(chunks_of[32][:4], Targets(torch.arange(4) % 3), 4)
    for after_the_first in (places[24][1:], places[32][1:]):
        assert all(place == after_the_first[0] for place in after_the_first)
    assert set(places[24][1]).isdisjoint(places[32][1])


def test_steps_resume_with_new_graphs(by_calling):
    through, before = new_step("graphs"), new_step("graphs")
    take_steps(through)
    take_steps(before, range(5))
    after = new_step("graphs", copy.deepcopy(before.network))
    after.optimiser.load_state_dict(before.optimiser.state_dict())
    take_steps(after, range(5, 10))
    assert_same(through, after)
    assert [bool(recorder.replayed) for recorder in by_calling] == [True] * 3


def test_nothing_is_recorded_while_the_margin_rises(by_calling):
    steps, margins = [new_step(form) for form in ("false", "graphs")], [(n, n / 100) for n in range(6)]
    assert take_steps(steps[0], margins=margins) == take_steps(steps[1], margins=margins)
    assert_same(*steps)
    # From batch 5 on the margin is the same: batches 5, 7 and 9 are of a kind, 6 is alone; what was before is forgotten.
    assert (by_calling[0].recorded, by_calling[0].replayed, len(steps[1].graphs.seen)) == (1, 2, 2)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("operation not permitted when stream is capturing\nSearch for …"),
         "operation not permitted when stream is capturing"),
        (torch.OutOfMemoryError("CUDA out of memory."), "CUDA out of memory."),
        (MemoryError(), "MemoryError"),
    ],
)  # fmt: skip
def test_a_failed_recording_is_one_warning(monkeypatch, caplog, error, reason):
    """The second length cannot be recorded: from then on there are no graphs, and the weights are the same."""

    class Failing(ByCalling):
        def __call__(self, compute):
            if self.recorded:
                raise error
            return super().__call__(compute)

    monkeypatch.setitem(graphs.RECORDERS, "cpu", lambda device: Failing())
    steps = [new_step(form) for form in ("false", "graphs")]
    with caplog.at_level(logging.WARNING, "sertk"):
        assert take_steps(steps[0]) == take_steps(steps[1])
    assert_same(*steps)
    assert [record.getMessage() for record in caplog.records] == [
        f"CUDA graphs do not work here ({reason}): steps are taken without them"
    ]
    assert steps[1].graphs.recordings == {}


class ReplaysNothing(ByCalling):
    def __call__(self, compute):
        return super().__call__(compute)[0], list


class ReplaysHalf(ByCalling):
    def __call__(self, compute):
        results, replay = super().__call__(compute)
        return results, lambda: (replay(), results[-1].mul_(5))


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [(ReplaysNothing, "a replay has the loss nan, not "), (ReplaysHalf, "a replay has the norm of the gradients ")],
)
def test_a_replay_of_other_numbers_is_one_warning(monkeypatch, caplog, recorder, reason):
    """Without graphs from then on: losses and weights are the same. (The stand-in computes BatchNorm's statistics twice.)"""
    monkeypatch.setitem(graphs.RECORDERS, "cpu", lambda device: recorder())
    steps = [new_step(form) for form in ("false", "graphs")]
    with caplog.at_level(logging.WARNING, "sertk"):
        assert take_steps(steps[0])[::2] == take_steps(steps[1])[::2]
    assert all(
        torch.equal(one, other) for one, other in zip(*(step.network.parameters() for step in steps), strict=True)
    )
    (record,) = caplog.records
    assert record.getMessage().startswith(f"CUDA graphs do not work here ({reason}")
    assert steps[1].graphs.recordings == {}


@pytest.mark.parametrize("right", [True, False])
def test_comparing_the_first_replay_leaves_the_buffers(right):
    """With a recorder that, like CUDA's, computes nothing while it records."""
    weight, count = torch.nn.Parameter(torch.ones(2)), torch.zeros(())

    def compute(chunks, targets):
        count.add_(1)
        weight.grad = chunks.sum(dim=0)
        return chunks.sum(), chunks * 2

    def record(of_inputs):
        results = [torch.empty_like(tensor) for tensor in of_inputs()]
        count.sub_(1)
        return results, lambda: [a.copy_(b) for a, b in zip(results, of_inputs())] if right else count.add_(5)

    recorded = graphs.Graphs([weight], [count], record)
    for number in range(1, 5):
        chunks = torch.full((3, 2), float(number))
        loss, logits = recorded(compute, chunks, Targets(torch.zeros(3, dtype=torch.long)), 0.0)
        assert (loss, count) == (6 * number, number) and weight.grad.tolist() == [3 * number] * 2
        assert torch.equal(logits, 2 * chunks)
    assert len(recorded.recordings) == right


@pytest.fixture
def cuda(monkeypatch):
    """A stand-in for the functions of CUDA that a recorder calls: the calls, and the memory that is free and taken."""
    state = SimpleNamespace(calls=[], free=10e9, taken=0)

    @contextmanager
    def record(graph, pool, stream, capture_error_mode):
        state.calls.append(("begin", pool, stream, capture_error_mode))
        yield
        state.taken += 3e9
        state.free -= 3e9

    functions = {
        "graph": record, "graph_pool_handle": lambda: "pool", "Stream": lambda device: "stream", "empty_cache": lambda: None,
        "CUDAGraph": lambda: SimpleNamespace(replay=len), "stream": nullcontext, "current_stream": lambda device: None,
        "memory_reserved": lambda device: state.taken, "mem_get_info": lambda device: (state.free, 80e9),
    }  # fmt: skip
    for name, function in functions.items():
        monkeypatch.setattr(torch.cuda, name, function)
    for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(torch._C, name, lambda *given, name=name: state.calls.append((name, *given)))
    return state


def test_graphs_are_kept_while_their_memory_is_left_once_more(cuda):
    recorder = graphs.CudaRecorder(torch.device("cuda:1"))
    assert recorder(lambda: [1]) == ([1], len)
    assert cuda.calls == [("begin", "pool", "stream", "thread_local")]
    with pytest.raises(MemoryError, match=r"they take 6.0 GB, and less is left for batches of other sizes"):
        recorder(lambda: [1])


@pytest.mark.parametrize("ends", [True, False])
def test_the_memory_of_a_refused_recording_is_released(cuda, ends, monkeypatch):
    """Its first error is raised, also if CUDA refuses to end it since a second stream was not joined."""

    def refused():
        raise RuntimeError("not permitted")

    @contextmanager
    def record(*given, **options):
        try:
            yield
        finally:
            if not ends:
                raise RuntimeError("CUDA error: capturing stream has unjoined work")

    monkeypatch.setattr(torch.cuda, "graph", record)
    with pytest.raises(RuntimeError, match="not permitted"):
        graphs.CudaRecorder(torch.device("cuda:1"))(refused)
    assert cuda.calls == [("_cuda_endAllocateToPool", 1, "pool"), ("_cuda_releasePool", 1, "pool")]


def test_a_batch_that_does_not_fit_is_tried_again_without_graphs(by_calling, monkeypatch):
    """Sizes that fit are those that fit when graphs hold no memory."""

    class Full(ResNet):
        def forward(self, feats, lengths=None):
            if len(feats) > 4 and feats.shape[2] > 24:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(feats, lengths)

    step = new_step("graphs", Full(SPEC), batch_size=6)
    for _ in range(2):
        step(torch.randn(6, 16, 24), Targets(torch.arange(6) % 3), 6)
    assert step.graphs.recordings
    with pytest.raises(SertkError, match="6 chunks of 32 frames do not fit; 3 of 32 frames do"):
        step(torch.randn(6, 16, 32), Targets(torch.arange(6) % 3), 6)
    assert step.graphs is None and by_calling[0].replayed == 1
