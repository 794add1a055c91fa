"""Out of memory: the largest batch is tried first, errors name sizes that fit."""

import pytest
import torch

from sertk.errors import SertkError
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training import loop, memory
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.targets import Targets

CPU = torch.device("cpu")


def gpu_is_full():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def onednn_is_full():
    raise RuntimeError("could not create a primitive")


class Small(ResNet):
    """A network on a device whose memory holds `room` frames of a batch."""

    room, fail = 0, staticmethod(gpu_is_full)

    def forward(self, feats, lengths=None):
        if len(feats) * feats.shape[2] > self.room:
            self.fail()
        return super().forward(feats, lengths)


def step_with_room(room, world=World(), fail=gpu_is_full, largest=int):  # noqa: B008
    network = Small(NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)).train()
    network.room, network.fail = room, fail
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    return Step(network, optimiser, TrainingSettings(chunk_frames=(24, 32, 48)), CPU, world, largest)


@pytest.mark.parametrize(
    ("room", "frames", "advice"),
    [
        (8 * 48, 48, "16 chunks of 48 frames do not fit; 8 of 48 frames do (--batch-size 8), 16 of 24 frames do"),
        (16 * 32, 48, "16 chunks of 48 frames do not fit; 8 of 48 frames do (--batch-size 8), 16 of 32 frames do"),
        # What is advised fits the longest chunks too, not only those that happened to come first.
        (16 * 24, 32, "16 chunks of 32 frames do not fit; 8 of 48 frames do (--batch-size 8), 16 of 24 frames do"),
        (3 * 48, 48, "16 chunks of 48 frames do not fit; 2 of 48 frames do (--batch-size 2)"),
        (10, 24, "16 chunks of 24 frames do not fit; make --batch-size or --chunk-frames smaller"),
    ],
)
def test_error_names_sizes_that_fit(room, frames, advice):
    with pytest.raises(SertkError) as error:
        step_with_room(room)(torch.zeros(16, 16, frames), Targets(torch.zeros(16, dtype=torch.long)), 16)
    assert str(error.value).startswith(f"out of memory on cpu: {advice}") and "\n" not in str(error.value)


def test_advised_size_fits_its_largest_batch():
    """A rest of less than half a batch joins the last one."""
    with pytest.raises(SertkError, match=r"; 5 of 48 frames do \(--batch-size 4\)"):
        step_with_room(6 * 48, largest=lambda size: size + size // 2 - 1)(
            torch.zeros(16, 16, 48), Targets(torch.zeros(16, dtype=torch.long)), 16
        )


# The allocator of a CPU is asked for what no machine has; within a limit (ulimit -v) oneDNN may crash instead of failing.
@pytest.mark.parametrize(
    "fail", [lambda: torch.empty(1 << 50, dtype=torch.uint8), onednn_is_full, lambda: [0] * (1 << 60)]
)
def test_cpu_libraries_have_messages_of_their_own(fail):
    with pytest.raises(SertkError, match="16 chunks of 48 frames do not fit; 8 of 48 frames do"):
        step_with_room(8 * 48, fail=fail)(torch.zeros(16, 16, 48), Targets(torch.zeros(16, dtype=torch.long)), 16)


def test_one_of_several_processes_tries_no_sizes():
    # Trying would need the others: layers may exchange statistics.
    with pytest.raises(
        SertkError, match="8 chunks of 48 frames do not fit in one of 2 processes: make --batch-size smaller"
    ):
        step_with_room(48, World(1, 2, 1))(torch.zeros(8, 16, 48), Targets(torch.zeros(8, dtype=torch.long)), 16)


def test_largest_batch_is_tried_before_the_first(toy, train, monkeypatch):
    train("straight", "--epochs", 1)
    monkeypatch.setitem(loop.REHEARSED, "cpu", True)
    tried, fits = [], memory.fits
    monkeypatch.setattr(memory, "fits", lambda step, *size: tried.append(size) or fits(step, *size))
    train("rehearsed", "--epochs", 1)
    assert tried == [(32, 16, 32)]  # 120 chunks are three batches of 32, and one of 24
    assert (toy / "rehearsed/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()
    monkeypatch.setattr(memory, "fits", lambda step, batch, bins, frames: batch < 12)
    error = train("large", "--epochs", 1, code=1).err.splitlines()[-1]
    assert "out of memory on cpu: 32 chunks of 32 frames do not fit; 8 of 32 frames do (--batch-size 8)" in error
    assert not (toy / "large/state.pt").exists()


def test_kept_maps_are_those_of_the_formula_in_docs_gpu_md():
    """Bytes of what autograd saves, without computing it; a per cent more are pooling, head and statistics."""
    spec, batch, frames = NetworkSpec(4), 32, 300
    with torch.device("meta"):
        network, chunks = ResNet(spec).train(), torch.empty(batch, spec.bins, frames)
    weights = {tensor.untyped_storage()._cdata for tensor in network.state_dict(keep_vars=True).values()}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(chunks).sum()
    found = sum(tensor.untyped_storage().nbytes() for name, tensor in kept.items() if name not in weights)
    maps = sum((6 * blocks + (3 if stage == 0 else 1)) / 2**stage for stage, blocks in enumerate(spec.blocks))
    derived = 4 * batch * frames * spec.channels * spec.bins * maps
    assert derived / (batch * frames) == pytest.approx(0.74e6, rel=0.01)
    assert found == pytest.approx(derived, rel=0.01)
