"""BatchNorm, PReLU and shortcut of the maps of each stage in all forms, for gpu.py. Runs nothing by itself."""

from gpu_common import Size, row, timed
from torch import Tensor, autograd, channels_last, device, nn, randn

from sertk.models import normact
from sertk.models.activation import LayerPReLU

# Constants of normact in the fused form; None: torch's operations.
FORMS = {
    "torch's operations": None, "fused": {}, "fused, 1024 spans": {"SPANS": 1024}, "fused, 2048 spans": {"SPANS": 2048},
    "fused, tiles of 4096": {"TILE": 4096},
}  # fmt: skip
# Maps that the fused form reads and writes. Forward: x twice, shortcut, output; backward: gradient, x twice, shortcut,
# its gradient twice, that of x.
PASSES = 11


def report(size: Size, device: device) -> None:
    """Time of the forms, forward and backward, and the error of their values and gradients against float32."""
    if reason := normact.obstacle(device):
        row("the fused form cannot be used", reason=reason)
        return
    usual = {name: getattr(normact, name) for name in ("SPANS", "TILE")}
    for stage in range(4):
        channels, shrunk = size.spec.channels << stage, 2**stage
        shape = (size.batches[0], channels, -(-size.spec.bins // shrunk), -(-size.frames[-1] // shrunk))
        x, shortcut, grad = (randn(shape, device=device).bfloat16().to(memory_format=channels_last) for _ in range(3))
        norm, act = nn.BatchNorm2d(channels).to(device), LayerPReLU().to(device)
        x.requires_grad_()
        shortcut.requires_grad_()

        def run(x=x, shortcut=shortcut, grad=grad, norm=norm, act=act) -> list[Tensor]:
            out = normact.norm_act(x, norm, act, shortcut)
            return [out.detach(), *autograd.grad(out, (x, shortcut, *norm.parameters(), *act.parameters()), grad)]

        normact.use_fused(norm, False)
        exact = run(*(tensor.detach().float().requires_grad_() for tensor in (x, shortcut, grad)))
        for name, constants in FORMS.items():
            normact.use_fused(norm, constants is not None)
            for constant, value in (usual | (constants or {})).items():
                setattr(normact, constant, value)
            error = max(float((a.float() - b).norm() / b.norm().clamp(min=1e-9)) for a, b in zip(run(), exact))
            each, host = timed(run, size.seconds / 4, device)
            row(f"stage {stage + 1}, maps of {' × '.join(map(str, shape))}, {name}",
                ms=round(1000 * each, 3), ms_of_the_host=round(1000 * host, 3),
                GB_per_s_if_in_one_pass=round(PASSES * 2 * x.numel() / each / 1e9, 1),
                relative_error=float(f"{error:.1e}"))  # fmt: skip
