"""--compile auto: which form of the step is chosen from which times, and how they are measured."""

import logging
import math
from dataclasses import replace

import pytest
import torch

from sertk.errors import SertkError
from sertk.models.resnet import ResNet
from sertk.models.spec import NetworkSpec
from sertk.training import stopwatch
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.stopwatch import Stopwatch, fastest_form

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PAPER = TrainingSettings(precision="bf16")  # four lengths
NEVER = (math.inf, math.inf)
TOY = NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)


@pytest.mark.parametrize(
    ("device", "steps", "times", "form"),
    [
        (CPU, 999, {}, "false"),  # short: nothing is timed
        (CPU, 3000, {"false": 1.0}, "false"),  # it could save 300 s, compiling takes 400 s: not tried
        (
            CPU,
            5000,
            {"false": 1.0, "true": (0.93, 80)},
            "false",
        ),  # saves 350 s, compiling takes 320 s: within the scatter
        (CPU, 20_000, {"false": 1.0, "true": (0.93, 80)}, "true"),
        (CPU, 20_000, {"false": 1.0, "true": (0.99, 80)}, "false"),
        (CPU, 20_000, {"false": 1.0, "true": NEVER}, "false"),  # no compiler
        (CPU, 20_000, {"false": math.inf, "true": NEVER}, "false"),  # out of memory: the training's own error says so
        (GPU, 10_000, {"false": 0.018, "fused": (0.009, 5), "graphs": NEVER}, "fused"),  # 90 s: compiling is not tried
        (GPU, 10_000, {"false": 0.018, "fused": (0.009, 5), "graphs": (0.006, 6)}, "graphs"),
        (GPU, 10_000, {"false": 0.018, "fused": (0.009, 5), "graphs": (0.009, 5)}, "fused"),
        # The kernels of the fused form are compiled once, and by then: 9 s; recorded 12.5 s.
        (GPU, 1_000, {"false": 0.018, "fused": (0.009, 30), "graphs": (0.0085, 1)}, "fused"),
        (GPU, 10_000, {"false": 0.018, "fused": NEVER}, "false"),
        (GPU, 100_000, {"false": 0.018, "fused": (0.009, 5), "graphs": NEVER, "true": (0.008, 47)}, "fused"),
        (GPU, 200_000, {"false": 0.018, "fused": (0.009, 5), "graphs": (0.008, 5), "true": (0.006, 47)}, "true"),
        (GPU, 200_000, {"false": 0.018, "fused": (0.019, 5), "graphs": (0.019, 5), "true": (0.02, 47)}, "false"),
    ],
)
def test_the_form_with_the_shortest_run_is_chosen(device, steps, times, form):
    asked = []

    def time_of(name):
        asked.append(name)
        return times[name] if isinstance(times[name], tuple) else (times[name], 3.0)

    assert fastest_form(steps, PAPER, device, time_of) == form
    assert asked == [*times]


def test_float32_on_a_cpu_is_never_compiled():
    assert fastest_form(10**9, replace(PAPER, precision="float32"), CPU, None) == "false"


def test_one_line_has_the_times_that_decided(caplog):
    times = {"false": (0.0175, 2.0), "fused": (0.0093, 4.0), "graphs": (0.009, 4.2), "true": (0.008, 47.4)}
    with caplog.at_level(logging.INFO, "sertk"):
        fastest_form(400_000, PAPER, GPU, times.get)
    assert [record.getMessage() for record in caplog.records] == [
        "a step takes 17.5 ms by torch's operations, 9.3 ms fused, 9 ms as CUDA"
        " graphs (4 s for each of 4 lengths first), 8 ms compiled"
        " (47 s for each of 4 lengths first); 400000 steps: --compile true"
    ]


def test_timing_leaves_the_network_and_random_numbers_alone():
    torch.manual_seed(0)
    network, steps = ResNet(TOY), []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    settings = TrainingSettings(precision="float32", chunk_frames=(32, 8, 24), batch_size=5, train="head")
    original = stopwatch.Step.__call__

    def counted(step, chunks, targets, size):
        steps.append((tuple(chunks.shape), size, step.settings.compile))
        return original(step, chunks, targets, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stopwatch.Step, "__call__", counted)
        step, first = Stopwatch(network, settings, CPU, World())("false")
    assert 0 < step < 10 and 0 <= first < 10
    assert steps == [((5, 16, 24), 5, "false")] * 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and all(
        p.requires_grad and p.grad is None for p in network.parameters()
    )


def test_forms_that_do_not_work_take_for_ever(monkeypatch, caplog):
    watch = Stopwatch(ResNet(TOY), TrainingSettings(precision="float32"), CPU, World())
    with caplog.at_level(logging.INFO, "sertk"):
        assert watch("fused") == NEVER
    assert caplog.text.count("--compile fused: not tried: the fused form needs 16 channels or more (--channels 2)") == 1

    def full(*_):
        raise SertkError("out of memory")

    monkeypatch.setattr(stopwatch.Step, "__call__", full)
    assert watch("false") == NEVER


def test_processes_average_what_they_measured(monkeypatch):
    """A stand-in of two processes; where a form works in one only, it works in none."""

    class Two(World):
        def sum(self, values):
            return values + torch.tensor(self.other, dtype=torch.float64)

    world = Two(0, 2, 0)
    watch = Stopwatch(ResNet(TOY), TrainingSettings(batch_size=5), CPU, world)
    assert watch.share == 3
    monkeypatch.setattr(watch, "_seconds", lambda form: (1.0, 4.0))
    for other, average in (((3.0, 2.0), (2.0, 3.0)), (NEVER, NEVER)):
        object.__setattr__(world, "other", other)
        assert watch("false") == average
