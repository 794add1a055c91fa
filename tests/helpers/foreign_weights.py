"""Networks in the layout of wespeaker, pyannote.audio and 3D-Speaker: random weights by name, and samples to try them on."""

import io
import types

import numpy as np
import torch

RATE = 16000


def weights(channels=4, blocks=(1, 1, 1, 1), bins=80, dim=6, second=0, seed=0) -> dict[str, torch.Tensor]:
    """A state_dict of theirs: names and shapes as foreign.py describes them.

    second: size of 3D-Speaker's second layer; 0: there is none.
    """
    random = np.random.RandomState(seed)  # its numbers are the same for ever
    state: dict[str, np.ndarray] = {}

    def conv(name, ours, before, size):
        state[f"{name}.weight"] = random.standard_normal((ours, before, size, size)) * (2 / (before * size**2)) ** 0.5

    def norm(name, size, affine=True):
        if affine:
            state[f"{name}.weight"] = random.uniform(0.5, 1.5, size)
            state[f"{name}.bias"] = random.standard_normal(size) * 0.2
        state[f"{name}.running_mean"] = random.standard_normal(size) * 0.2
        state[f"{name}.running_var"] = random.uniform(0.5, 2, size)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    def linear(name, size, before):
        state[f"{name}.weight"] = random.standard_normal((size, before)) * before**-0.5
        state[f"{name}.bias"] = random.standard_normal(size) * 0.1

    conv("conv1", channels, 1, 3)
    norm("bn1", channels)
    before = channels
    for stage, count in enumerate(blocks):
        width = channels << stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            conv(f"{name}.conv1", width, before, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if before != width:
                conv(f"{name}.shortcut.0", width, before, 1)
                norm(f"{name}.shortcut.1", width)
            before = width
    linear("seg_1", dim, 2 * before * (bins // 8))
    if second:
        norm("seg_bn_1", dim, affine=False)
        linear("seg_2", second, dim)
    return {
        name: torch.tensor(value) if value.ndim == 0 else torch.tensor(value, dtype=torch.float32)
        for name, value in state.items()
    }


def speech(seconds=1.0, level=3000.0, channels=1, seed=1) -> np.ndarray:
    """Noise that swells and fades over a harmonic tone: (samples,) or (samples, channels) int16."""
    random, count = np.random.RandomState(seed), int(seconds * RATE)
    time = np.arange(count)[:, None] / RATE
    tone = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time + np.arange(channels))
    samples = level * swell * (tone + 0.3 * random.standard_normal((count, channels)))
    samples = np.clip(np.round(samples), -32768, 32767).astype(np.int16)
    return samples if channels > 1 else samples[:, 0]


# The cases of the parity: name -> int16 samples.
CASES = {
    "loud": lambda: speech(1.0, 30000),
    "speech": lambda: speech(1.0),
    "quiet": lambda: speech(1.0, 4),
    "9 frames": lambda: speech((400 + 8 * 160) / RATE),
    "stereo": lambda: speech(0.6, channels=2),
    "60 s": lambda: speech(60.0),
}


class Pickled:
    """Stands for the classes of other packages that a checkpoint holds beside its tensors."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def file_forms(state: dict, projection: bool = True) -> dict[str, bytes]:
    """The forms in which such weights are found."""
    trained = dict(state)
    if projection and "seg_1.weight" in state:
        trained["projection.weight"] = torch.zeros(12, state["seg_1.weight"].shape[0])
    averaged = {name: value / 1.0 if value.ndim == 0 else value for name, value in trained.items()}
    # Classes of a package that the reader does not have.
    package = types.ModuleType("absent_package")
    package.Specifications = type("Specifications", (Pickled,), {"__module__": "absent_package"})
    package.AttributeDict = type("AttributeDict", (dict,), {"__module__": "absent_package"})
    lightning = {
        "state_dict": {f"resnet.{name}": value for name, value in state.items()},
        "pyannote.audio": {"architecture": {"module": "wespeaker", "class": "WeSpeakerResNet34"}},
        "hyper_parameters": package.AttributeDict(sample_rate=16000, num_mel_bins=80, window_type="hamming"),
        "pytorch-lightning_version": "2.0.0",
        "specifications": package.Specifications(duration=5.0),
    }
    contents = {
        "plain": trained,
        "averaged": averaged,
        "without projection": dict(state),
        "in model": {"model": trained, "optimizer": {"lr": 0.1}},
        "in state_dict": {"state_dict": {f"module.{name}": value for name, value in trained.items()}, "epoch": 3},
        "lightning": lightning,
    }
    import sys

    files = {}
    sys.modules["absent_package"] = package
    try:
        for form, content in contents.items():
            buffer = io.BytesIO()
            torch.save(content, buffer)
            files[form] = buffer.getvalue()
    finally:
        del sys.modules["absent_package"]
    return files
