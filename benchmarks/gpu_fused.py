"""BatchNorm, PReLU and shortcut of the maps of each stage in all forms, for gpu.py. Runs nothing by itself."""

import torch
from gpu_common import Size, row
from gpu_profile import times_of_kernels
from torch import Tensor, autograd, channels_last, nn, randn

from sertk.models import fusednormact, normact
from sertk.models.activation import LayerPReLU

# Constants of fusednormact in the fused form; None: torch's operations.
FORMS = {
    "torch's operations": None, "fused": {}, "fused, 6 spans a multiprocessor": {"STATISTICS": 6, "GRADIENTS": 6},
    "fused, a tile at once": {"STAGES": 1}, "fused, 4 tiles at once": {"STAGES": 4},
}  # fmt: skip
# Maps that the fused form reads and writes. Forward: x twice, shortcut, output; backward: two gradients, x twice, shortcut,
# its gradient twice, that of x.
PASSES = 12


def report(size: Size, device: torch.device) -> None:
    """Time of the forms, forward and backward, and the error of their values and gradients against float32."""
    if reason := normact.obstacle(device):
        row("the fused form cannot be used", reason=reason)
        return
    batch, names = size.batches[-1], ("STATISTICS", "GRADIENTS", "STAGES")
    usual = {name: getattr(fusednormact, name) for name in names}
    for stage in range(5):  # 0: the stem
        channels, shrunk = size.spec.channels << max(stage - 1, 0), 2 ** max(stage - 1, 0)
        shape = (batch, channels, -(-size.spec.bins // shrunk), -(-size.usual // shrunk))
        given = [randn(shape, device=device).bfloat16().to(memory_format=channels_last) for _ in range(4)]
        conv = nn.Conv2d(1, channels, 3, padding=1, bias=False).to(device)
        norm, act = nn.BatchNorm2d(channels).to(device), LayerPReLU().to(device)

        def run(
            x: Tensor, shortcut: Tensor, *grads: Tensor, stage=stage, conv=conv, norm=norm, act=act
        ) -> list[Tensor]:
            if stage:
                leaves = [x.requires_grad_(), shortcut.requires_grad_(), *norm.parameters(), *act.parameters()]
                outs = normact.norm_act(x, norm, act, shortcut)
            else:
                leaves = [*conv.parameters(), *norm.parameters(), *act.parameters()]
                with torch.autocast(device.type, torch.bfloat16, enabled=x.dtype == torch.bfloat16):
                    outs = normact.conv_norm_act(x[:, :1].detach(), conv, norm, act)
            return [outs[0].detach(), *autograd.grad(outs, leaves, grads)]

        normact.use_fused(norm, False)
        exact = run(*(tensor.float() for tensor in given))
        name = f"stage {stage}" if stage else "stem"
        for form, constants in FORMS.items():
            normact.use_fused(norm, constants is not None)
            for constant, value in (usual | (constants or {})).items():
                setattr(fusednormact, constant, value)
            error = max(float((a.float() - b).norm() / b.norm().clamp(min=1e-9)) for a, b in zip(run(*given), exact))
            times = times_of_kernels(lambda: run(*given), device)  # noqa: B023 (called at once)
            whole = sum(time for time, _ in times.values())
            ours = {f"ms_{kernel}": round(time / 1000, 3) for kernel, (time, _) in times.items() if is_pass(kernel)}
            row(f"{name}, maps of {' × '.join(map(str, shape))}, {form}", ms=round(whole / 1000, 3), **ours,
                GB_per_s_if_in_one_pass=round(PASSES * 2 * given[0].numel() / max(whole, 1e-3) / 1e3, 1),
                relative_error=float(f"{error:.1e}"))  # fmt: skip


def is_pass(name: str) -> bool:
    """True for the kernels of the fused form that pass over maps."""
    return name.startswith(("partial_", "norm_act_", "stem_"))
