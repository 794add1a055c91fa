"""Which form a layer takes, and a block in the fused form, in Triton's interpreter."""

import pytest
import torch
from torch import nn

from sertk.models import fusednormact, fusedstem, normact
from sertk.models.activation import LayerPReLU
from sertk.models.normact import conv_norm_act, norm_act, obstacle, use_fused
from sertk.models.resnet import Block

CPU = torch.device("cpu")


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("stored", "normalised"),
    [
        ([], [("bn1",), ("bn2", "shortcut.1")]),
        (["shortcut.1"], [("bn1",), ("bn2",)]),
        (["bn2"], [("bn1",), ("shortcut.1",)]),
        (["bn2", "shortcut.1"], [("bn1",)]),
    ],
)
def test_a_block_in_the_fused_form_is_that_of_torch(stored, normalised, monkeypatch):
    """Its last pass also normalises the shortcut (`normalised`: by pass), unless a BatchNorm has its stored statistics."""
    random, found, passes = torch.Generator().manual_seed(0), [], []
    x, mask = torch.randn(2, 8, 6, 10, generator=random), torch.arange(5) < torch.tensor([[5], [3]])
    states = {name: torch.rand(t.shape, generator=random) for name, t in Block(8, 10, 2, "prelu").state_dict().items()}
    apply = normact.FusedNormAct.apply
    monkeypatch.setattr(normact.FusedNormAct, "apply", lambda *given: passes.append(given) or apply(*given))
    for fused in (False, True):
        block = Block(8, 10, 2, "prelu").to(memory_format=torch.channels_last)
        block.load_state_dict(states)
        use_fused(block, fused)
        for name in stored:
            block.get_submodule(name).eval()
        maps = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        one, other = block(maps, maps, mask[:, None, None])
        (one.square() + other).sum().backward()
        gradients = [maps.grad, *(parameter.grad for parameter in block.parameters())]
        assert len({gradient.data_ptr() for gradient in gradients}) == len(gradients)  # changed in place by DDP
        found.append([one.detach(), *gradients, *block.buffers()])
    for fused, plain in zip(*found, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-4)
    names = {module: name for name, module in block.named_modules()}
    assert [tuple(names[norm] for norm in given if norm in names) for given in passes] == normalised


def test_maps_that_the_kernels_do_not_take_are_left_to_torch(monkeypatch):
    for function in (normact.FusedNormAct, normact.FusedStem):
        monkeypatch.setattr(function, "apply", None)
    norm, wide = nn.BatchNorm2d(2), nn.BatchNorm2d(16)
    for module in (norm, wide):
        use_fused(module, True)
    feats, conv = torch.randn(2, 1, 3, 4, requires_grad=True), nn.Conv2d(1, 16, 3, padding=1, bias=False)
    conv_norm_act(feats, conv, wide, LayerPReLU())  # features with a gradient
    norm_act(maps := torch.randn(2, 2, 3, 4), norm, LayerPReLU())  # channels first
    norm_act(maps.contiguous(memory_format=torch.channels_last), norm, nn.GELU())
    with pytest.raises(ValueError, match="more than 1 value"):
        norm_act(torch.randn(1, 2, 1, 1), norm, LayerPReLU())


def test_a_thin_convolution_takes_the_statistics_of_its_layer(interpreter, monkeypatch):
    """They are not taken again: that would read the map once more."""
    monkeypatch.setattr(fusednormact, "partial_statistics", None)
    normact._thin_layer(CPU, fused=True)


def test_the_reason_why_there_is_no_fused_form(interpreter, monkeypatch):
    assert obstacle(CPU) is None
    for name in ("_small_network", "_thin_layer"):
        for other in ("_small_network", "_thin_layer"):
            monkeypatch.setattr(normact, other, lambda device, fused: [])
        monkeypatch.setattr(normact, name, lambda device, fused: [torch.tensor([1.0 + fused])])
        assert obstacle(CPU) == "the kernels' results differ from torch's here"
    monkeypatch.undo()
    monkeypatch.setattr(
        fusedstem, "load_kernels", lambda name: (_ for _ in ()).throw(ImportError("No module named 'triton'\n…"))
    )
    assert obstacle(CPU) == "Triton does not work here: No module named 'triton'"
    monkeypatch.delenv("TRITON_INTERPRET")
    assert obstacle(CPU) == "the fused form needs a GPU"
