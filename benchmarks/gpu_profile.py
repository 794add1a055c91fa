"""The kernels of a training step by groups and one by one, for gpu.py. Runs nothing by itself."""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

STEPS, SHOWN = 3, 8
# Groups of kernels by words in their names; the first that fits counts.
GROUPS = {
    "fused": ("norm_act_", "fusednormact", "fusedstem", "_statistics", "_gradients", "sum_of_spans", "stem_forward"),
    "activation": ("prelu", "leaky_relu", "slopedrelu", "clamp", "threshold"),
    "BatchNorm": ("batch_norm", "batchnorm", "bn_fw", "bn_bw"),
    "copies and casts": ("copy", "memcpy", "memset", "_to_", "nchwtonhwc", "nhwctonchw", "fill", "cat"),
    "optimiser": ("multi_tensor", "sgd", "foreach"),
    "compiled": ("triton_",),
    "convolution": ("conv", "xmma", "cudnn", "implicit", "dgrad", "wgrad", "mkldnn", "onednn"),
    "products": ("gemm", "addmm", "cutlass", "cublas", "nvjet", "::mm", "::bmm"),
    "sums": ("reduce", "sum", "softmax", "nll"),
    "other": ("",),
}


def report(run: Callable[[], object], what: str, device: torch.device, row: Callable) -> None:
    """Profile some steps and print their kernels (on a CPU: operations): groups, and the longest ones of each."""
    prof, on_gpu = profiled(run, device), device.type == "cuda"
    times = times_of(prof, on_gpu)
    total = sum(time for time, _ in times.values())
    groups: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, figures in times.items():
        groups[group_of(name)][name] = figures
    row(f"profile of a step, {what}: {'kernels' if on_gpu else 'operations'}", ms=ms(total))
    for group, members in sorted(groups.items(), key=lambda item: -sum(time for time, _ in item[1].values())):
        time, count = (sum(figures) for figures in zip(*members.values()))
        row(f"- {group}", ms=ms(time), percent=round(100 * time / total, 1), calls=round(count))
        for name, (time, count) in sorted(members.items(), key=lambda item: -item[1][0])[:SHOWN]:
            shown = name[:120].replace("|", " ")
            row(f"-- {shown}", ms=ms(time), percent=round(100 * time / total, 1), calls=round(count))
    operations(prof, on_gpu, row)


def profiled(run: Callable[[], object], device: torch.device) -> profile:
    """Profile STEPS calls."""
    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (device.type == "cuda")]
    for _ in range(3):
        run()
    with profile(activities=kinds, record_shapes=True) as prof:
        for _ in range(STEPS):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return prof


def times_of(prof: profile, on_gpu: bool) -> dict[str, tuple[float, float]]:
    """Microseconds and number of the kernels of a call, by name."""
    events = [event for event in prof.key_averages() if (event.device_type != torch.autograd.DeviceType.CPU) == on_gpu]
    return {event.key: (own_time(event, on_gpu) / STEPS, event.count / STEPS) for event in events}


def times_of_kernels(run: Callable[[], object], device: torch.device) -> dict[str, tuple[float, float]]:
    """Microseconds and number of the kernels of a call, by name."""
    return times_of(profiled(run, device), device.type == "cuda")


def operations(prof: profile, on_gpu: bool, row: Callable) -> None:
    """The longest operations with the bytes of their inputs and an output like the largest, two bytes a number."""
    by_shape = [event for event in prof.key_averages(group_by_input_shape=True) if event.key.startswith("aten::")]
    for event in sorted(by_shape, key=lambda event: -own_time(event, on_gpu))[:SHOWN]:
        sizes = [numel(shape) for shape in event.input_shapes]
        size, time = 2 * (sum(sizes) + max(sizes, default=0)), own_time(event, on_gpu) / event.count
        shapes = " ".join("×".join(map(str, shape)) for shape in event.input_shapes[:3] if numel(shape) > 1)
        row(f"-- {event.key} of {shapes}", ms=ms(own_time(event, on_gpu) / STEPS), calls=round(event.count / STEPS),
            MB_each=round(size / 1e6, 1), GB_per_s_estimated=round(size / max(time, 1e-3) / 1e3))  # fmt: skip


def numel(shape: list) -> int:
    """Numbers of a tensor; 0 for what is none, or a list of tensors."""
    product = 1 if shape and all(isinstance(side, int) for side in shape) else 0
    for side in shape if product else ():
        product *= side
    return product


def own_time(event: object, on_gpu: bool) -> float:
    """Microseconds of an event without those that it contains."""
    names = ("self_device_time_total", "self_cuda_time_total") if on_gpu else ("self_cpu_time_total",)
    return next(getattr(event, name) for name in names if hasattr(event, name))


def group_of(name: str) -> str:
    return next(group for group, words in GROUPS.items() if any(word in name.lower() for word in words))


def ms(microseconds: float) -> float:
    return round(microseconds / 1000, 3)
