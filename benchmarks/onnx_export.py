"""An exported network beside the model file: equality, size, CPU time. Usage: benchmarks/onnx_export.py [WAVS [MODEL…]]

WAVS is a folder of recordings at the models' rate; parts of 0.1 to 60 s are cut from them, joined, or from noise without
it. Without MODEL, random networks of the paper's size and of egs/mini's. One thread, float32, in turns.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from paired import machine

from sertk.frontend.audio import read_audio
from sertk.frontend.options import FbankOptions
from sertk.models.classifier import Classifier
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.onnxexport import export_onnx
from sertk.models.onnxfile import load_onnx
from sertk.models.resnet import NetworkSpec, ResNet

SECONDS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 40, 60)


def random_models(folder: Path) -> list[Path]:
    """Networks whose BatchNorm has seen features, and whose posteriors are spread."""
    specs = {"paper": NetworkSpec(4), "mini": NetworkSpec(4, 32, 8, (1, 1, 1, 1), embedding_dim=64, activation="relu")}
    for name, spec in specs.items():
        torch.manual_seed(0)
        network = ResNet(spec).train()
        with torch.no_grad():
            for _ in range(3):
                network(torch.randn(4, spec.bins, 200))
            network.head.output.weight.mul_(10)
        frontend = {"cmvn": "segment", "fbank": FbankOptions(num_mel_bins=spec.bins).settings()}
        save_model(folder / f"{name}.pt", Model(network.eval(), ["ang", "hap", "neu", "sad"], frontend))
    return [folder / f"{name}.pt" for name in specs]


def parts(wavs: Path | None) -> list[np.ndarray]:
    """Parts of every length, int16, at five places of the joined recordings."""
    if wavs:
        joined = np.concatenate([read_audio(path)[0] for path in sorted(wavs.rglob("*.wav"))[:60]])
    else:
        joined = np.random.default_rng(0).normal(0, 2000, 16000 * 70) * np.sin(np.arange(16000 * 70) / 3000)
    joined = joined.astype(np.int16)
    found = []
    for seconds in SECONDS:
        size = round(16000 * seconds)
        found += [joined[place : place + size] for place in np.linspace(0, len(joined) - size, 5).astype(int)]
    return found


def compare(path: Path, recordings: list[np.ndarray], folder: Path) -> None:
    """Print a row of the table."""
    out = folder / f"{path.stem}.onnx"
    export_onnx(load_model(path), path, out)
    classifier, graph = Classifier(load_model(path), path), load_onnx(out, num_threads=1)
    worst, spent, posteriors = 0.0, np.zeros(2), []
    for samples in recordings:
        begun = time.process_time()
        ours = np.array(list(classifier.classify(samples, 16000).values()))
        between = time.process_time()
        theirs = graph([samples.astype(np.float32)])[0]
        spent += between - begun, time.process_time() - between
        worst = max(worst, float(np.abs(ours - theirs).max()))
        posteriors.append(ours)
    hours = sum(map(len, recordings)) / 16000 / 3600
    sizes = [file.stat().st_size / 1e6 for file in (path, out)]
    spread = np.ptp(posteriors, axis=0).max()
    print(f"| {path.stem} | {worst:.1e} | {spread:.2f} | {sizes[0]:.1f} / {sizes[1]:.1f} |"
          f" {spent[0] / hours:.0f} / {spent[1] / hours:.0f} |")  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        models = [Path(word) for word in sys.argv[2:]] or random_models(Path(name))
        recordings = parts(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
        lasting = sum(map(len, recordings)) / 16000
        print(f"{len(recordings)} recordings of {SECONDS[0]} to {SECONDS[-1]} s, {lasting:.0f} s in all; {machine()}\n")
        print(
            "| network | largest difference of a posterior | their spread | MB, model file / ONNX | s CPU an hour, torch / ONNX |"
        )
        print("|---|---|---|---|---|")
        for model in models:
            compare(model, recordings, Path(name))
