"""The parts of gpu.py: each prints its figures as lines of JSON. Runs nothing by itself.

Calls: gpu_parts.py PART paper|toy DEVICE.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from gpu_common import (
    FOLDS,
    LABELS,
    SIZES,
    Size,
    new_step,
    rate,
    report_step,
    row,
    settings_of,
    steps_of,
    store,
    timed,
    training,
    wait,
)

from sertk.data.loader import HostChunks, behind
from sertk.data.resident import ResidentChunks
from sertk.data.store import store_of
from sertk.kaldi.tables import table_writer
from sertk.models.inference import on_segments
from sertk.models.normact import use_fused
from sertk.models.resnet import ResNet
from sertk.runtime import choose_device, keep_memory
from sertk.training import trunk_pass
from sertk.training.compile import obstacle
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.loop import Training
from sertk.training.settings import HeadSettings
from sertk.training.side_by_side import side_by_side
from sertk.training.targets import Targets
from sertk.training.trunk_pass import DrawPlan, draw_vectors

# Forms of the step that need no compiler, with what is added to a line's name.
FORMS = {"false": "", "fused": ", fused", "graphs": ", CUDA graphs"}


def card(size: Size, device: torch.device) -> None:
    side = 8192 if size.spec.bins > 100 else 64
    source = torch.ones(side * side, device=device)
    target = torch.empty_like(source)
    each, _ = timed(lambda: target.copy_(source), size.seconds / 4, device)
    row("a copy in memory", GB_per_s=round(8 * side * side / each / 1e9))
    for name, kind in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        a = torch.randn(side, side, device=device).to(kind)
        each, _ = timed(lambda a=a: a @ a, size.seconds / 4, device)
        row(f"a product of matrices, {name}", TFLOP_per_s=round(2 * side**3 / each / 1e12, 2))


def steps(size: Size, device: torch.device) -> None:
    for batch in size.batches:
        for frames in size.frames:
            for form, name in forms(size, device).items():
                run = new_step(size, batch, frames, device, compile=form)
                report_step(f"step, {batch} × {frames}{name}", size, batch, frames, device, run)


def forms(size: Size, device: torch.device) -> dict[str, str]:
    """The forms that work here."""
    settings = settings_of(size, size.batches[0], size.frames)
    return {form: name for form, name in FORMS.items() if not obstacle(form, settings, size.spec, device)}


def fused(size: Size, device: torch.device) -> None:
    from gpu_fused import report

    report(size, device)


def convolutions(size: Size, device: torch.device) -> None:
    from gpu_convolutions import report

    for batch in (size.batches[-1], size.batches[0]):
        report(size, device, batch, size.usual)


def variants(size: Size, device: torch.device) -> None:
    """The step of the smallest and the largest batch with one thing changed."""
    from gpu_convolutions import chosen

    frames = size.usual

    def report(batch: int, name: str, network: ResNet | None = None, **fields: object) -> None:
        run = new_step(size, batch, frames, device, network, **fields)
        report_step(f"step, {batch} × {frames}, {name}", size, batch, frames, device, run)

    for batch in (size.batches[0], size.batches[-1]):
        report(batch, "as it is")
        for choice, name in (
            ("any", "algorithms that need not be deterministic"),
            ("fastest", "the fastest algorithms by cuDNN's benchmark"),
            ("fastest deterministic", "the fastest deterministic algorithms by cuDNN's benchmark"),
        ):
            with chosen(choice):
                report(batch, name)
    batch = size.batches[0]
    if "graphs" in forms(size, device):
        network = ResNet(size.spec)
        run = new_step(size, batch, frames, device, network, compile="graphs")
        use_fused(network, False)
        report_step(f"step, {batch} × {frames}, CUDA graphs of torch's operations", size, batch, frames, device, run)
    report(batch, "float32", precision="float32")
    report(batch, "ReLU for PReLU", ResNet(replace(size.spec, activation="relu")))
    run = new_step(size, batch, frames, device, network := ResNet(size.spec))
    network.to(memory_format=torch.contiguous_format)
    report_step(f"step, {batch} × {frames}, NCHW", size, batch, frames, device, run)


def profile(size: Size, device: torch.device) -> None:
    from gpu_profile import report

    frames = size.usual
    for batch in (size.batches[0], size.batches[-1]):
        for form, name in forms(size, device).items():
            if form == "graphs":  # they have the kernels of the fused form
                continue
            report(new_step(size, batch, frames, device, compile=form), f"{batch} × {frames}{name}", device, row)


def training_loop(size: Size, device: torch.device) -> None:
    for batch in (size.batches[0], size.batches[-1]):
        for name, source in (("on the device", ResidentChunks), ("on the host", HostChunks)):
            one = training(size, batch, device, source)
            figure = rate(steps_of(one), batch, 2 * size.seconds, device, size.warm_up)
            row(f"training loop, batches of {batch}, features {name}", segments_per_s=round(figure))
        for form, name in forms(size, device).items():
            if form != "false":
                two = training(size, batch, device, ResidentChunks, compile=form)
                figure = rate(steps_of(two), batch, 2 * size.seconds, device, size.warm_up)
                row(f"training loop, batches of {batch}, features on the device{name}", segments_per_s=round(figure))
    for name, source in (("cut, on the host", HostChunks), ("planned, for features on the device", ResidentChunks)):
        chunks = source(one.store, one.settings.chunk_rule(), device)
        prepared = (chunks.prepare(batch, epoch) for epoch in count(1) for batch in one.sampler.batches(epoch))
        figure = rate(prepared, size.batches[-1], size.seconds, device, warm_up=1)
        row(f"chunks {name}, by one thread", per_s=round(figure))


def compiled(size: Size, device: torch.device) -> None:
    """In a process of its own with a new cache, and in a second one with what the first has left there."""
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first", "second"):
            words = [
                sys.executable,
                __file__,
                "compile_one",
                "toy" if size is SIZES["toy"] else "paper",
                str(device),
                name,
            ]
            subprocess.run(words, env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}, check=True)
    if device.type == "cuda":
        compile_one(size, device, "first", size.batches[-1], size.usual)


def compile_one(size: Size, device: torch.device, name: str, batch: int = 0, frames: int = 0) -> None:
    batch, frames = int(batch) or size.batches[0], int(frames) or size.usual
    run = new_step(size, batch, frames, device, compile="true")
    start = time.perf_counter()
    for _ in range(3):  # the third records and replays CUDA graphs
        run()
    wait(device)
    what = f"step, {batch} × {frames}, compiled, {name} process"
    row(what, s_to_compile=round(time.perf_counter() - start, 1))
    report_step(what, size, batch, frames, device, run)


def folds(size: Size, device: torch.device) -> None:
    """Rates of five trainings together: in turn in one process, in each form; as five processes at once."""
    batch, seconds, alone = size.batches[0], 3 * size.seconds, {}
    for form, name in forms(size, device).items():
        run = steps_of(training(size, batch, device, compile=form))
        alone[form] = rate(run, batch, seconds, device, size.warm_up)
        row(f"one training{name}", segments_per_s=round(alone[form]))
        rates = in_turn([training(size, batch, device, compile=form) for _ in range(FOLDS)], size, seconds, device)
        row(
            f"{FOLDS} trainings in turn in one process{name}",
            segments_per_s=round(rates),
            times=ratio(rates, alone[form]),
        )
    with tempfile.TemporaryDirectory() as name:
        kind = "toy" if size is SIZES["toy"] else "paper"
        words = [sys.executable, __file__, "one_of_folds", kind, str(device), name]
        others = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(FOLDS)]
        figures = [float(other.communicate()[0].split()[-1]) for other in others]
    row(f"{FOLDS} processes at once", segments_per_s=round(sum(figures)), times=ratio(sum(figures), alone["false"]))


def in_turn(trainings: list[Training], size: Size, seconds: float, device: torch.device) -> float:
    """Segments per second of trainings that take their steps in turn."""
    done, batch, runs = [], size.batches[0], [steps_of(one) for one in trainings]
    for one in runs:
        for _ in islice(one, size.warm_up):
            pass
    wait(device)
    start = time.perf_counter()

    def until_the_end(one: Iterator[None]) -> Iterator[None]:
        for _ in one:
            done.append(batch)
            yield
            if time.perf_counter() > start + seconds:
                return

    side_by_side({fold: until_the_end(one) for fold, one in enumerate(runs)}, device)
    wait(device)
    return sum(done) / (time.perf_counter() - start)


def ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}"


def one_of_folds(size: Size, device: torch.device, folder: str) -> None:
    """One of five processes: waits until all have taken their first steps, then prints its rate."""
    batch = size.batches[0]
    run = steps_of(training(size, batch, device))
    for _ in islice(run, size.warm_up):
        pass
    wait(device)
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < FOLDS:
        time.sleep(0.01)
    print(rate(run, batch, 3 * size.seconds, device, warm_up=0))


def draws(size: Size, device: torch.device) -> None:
    feats, network = store(size, size.trained), ResNet(size.spec).eval()
    plan = DrawPlan(settings_of(size, 32, size.frames).chunk_rule(), 20 if size.spec.bins > 100 else 1, size.frames)

    def report(what: str, write: Callable[[str, np.ndarray], object]) -> None:
        def passes() -> Iterator[None]:
            for key, rows in draw_vectors(network, feats, plan, "pool", device, "bf16"):
                yield write(key, rows)

        row(f"draws, {what}", chunks_per_s=round(rate(passes(), plan.rows, 3 * size.seconds, device, size.window)))

    report("computed only", lambda key, rows: None)
    queued, trunk_pass.QUEUED = trunk_pass.QUEUED, dict.fromkeys(trunk_pass.QUEUED, 0)
    report("computed only, the GPU waits while vectors are sorted", lambda key, rows: None)
    trunk_pass.QUEUED = queued
    with tempfile.TemporaryDirectory() as name:
        with table_writer(f"ark:{name}/draws.ark", compress="cm2") as write:
            report("written in turn", write)
        with table_writer(f"ark:{name}/draws.ark", compress="cm2") as write, behind(write, size.window) as later:
            report("written by a thread, as embed-segments does", later)


def heads(size: Size, device: torch.device) -> None:
    """An epoch of 15 heads, stacked and one by one; a third of the corpus, since an epoch's time is proportional to it."""
    segments, rng = max(10, size.segments // 3), np.random.default_rng(0)
    rows = rng.standard_normal((3, size.spec.pooled_dim), np.float32)
    of_draws = store_of([f"utt{i}" for i in range(segments)], [rows] * segments)
    settings = HeadSettings(epochs=2, batch_size=32 if size.spec.bins > 100 else 4)
    targets, members = Targets(torch.arange(segments) % LABELS), np.arange(segments)
    taken = {}
    for name, stacked in (("stacked", True), ("one by one", False)):
        trainings = {
            (n, fold): HeadTraining(size.spec, members[members % FOLDS != fold], targets, settings, device)
            for n in range(3) for fold in range(FOLDS)
        }  # fmt: skip
        # The second epoch: in the first, libraries are loaded.
        for epoch, _, _ in train_heads(trainings, dict.fromkeys(trainings, members), of_draws, device, stacked=stacked):
            if epoch == 1:
                wait(device)
                start = time.perf_counter()
        wait(device)
        taken[name] = time.perf_counter() - start
        batches = sum(one.sampler.num_batches() for one in trainings.values())
        row(
            f"an epoch of {len(trainings)} heads, {segments} segments, {name}",
            s=round(taken[name], 2),
            steps_per_s=round(batches / taken[name]),
        )
    row("heads stacked against one by one", times=ratio(taken["one by one"], taken["stacked"]))


def predict(size: Size, device: torch.device) -> None:
    feats, network = store(size, size.segments), ResNet(size.spec).eval()
    for precision in ("bf16", "float32"):
        segments = ((feats.keys[i], feats[i].rows(0, int(feats.num_frames[i]))) for i in range(len(feats)))
        start = time.perf_counter()
        done = sum(1 for _ in on_segments(network, segments, "posterior", device, precision))
        wait(device)
        taken = time.perf_counter() - start
        hours = int(feats.num_frames.sum()) / 360_000
        row(
            f"posteriors of {done} segments ({hours:.1f} h), {precision}",
            s=round(taken, 2),
            segments_per_s=round(done / taken),
        )


def table3(size: Size, device: torch.device, epochs: str = "1") -> None:
    if missing := [name for name in ("click", "scipy") if importlib.util.find_spec(name) is None]:
        raise SystemExit(f"{missing[0]} is not installed: the binaries need it")
    from table3 import run

    run(row, *((size.segments, 32) if size.spec.bins > 100 else (20, 2)), int(epochs), str(device))


PARTS = {
    "card": card, "steps": steps, "fused": fused, "convolutions": convolutions, "variants": variants, "profile": profile,
    "loop": training_loop, "compile": compiled, "compile_one": compile_one, "folds": folds, "one_of_folds": one_of_folds,
    "draws": draws, "heads": heads, "predict": predict, "table3": table3,
}  # fmt: skip


def main(part: str, size: str, device: str, *more: str) -> None:
    keep_memory()
    torch.manual_seed(0)
    PARTS[part](SIZES[size], choose_device(device), *more)


if __name__ == "__main__" and len(sys.argv) > 1:
    main(*sys.argv[1:])
