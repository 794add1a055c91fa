"""The fused form of BatchNorm, shortcut, activation and mask: torch's values and gradients, in Triton's interpreter."""

import pytest
import torch
from normacts import results, stem_results, worst
from torch import nn

from sertk.models import normact
from sertk.models.activation import LayerPReLU
from sertk.models.normact import norm_act, obstacle, use_fused
from sertk.models.resnet import Block

CPU = torch.device("cpu")


@pytest.fixture
def interpreter():
    """Triton's interpreter (see conftest)."""
    pytest.importorskip("triton", reason="this torch came without Triton")


@pytest.fixture
def small_tiles(interpreter, monkeypatch):
    """Tiles of 8 rows and 8 channels, two or three spans: a small map has several of each, and parts of some."""
    for name, size in {"TILE": 64, "STATISTICS": 2, "GRADIENTS": 3, "TILE_CHANNELS": 8}.items():
        monkeypatch.setattr(normact, name, size)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("dtype", "shape", "kind", "shortcut", "masked"),
    [
        (torch.float32, (2, 3, 2, 5), "prelu", False, True),
        (torch.float32, (2, 10, 2, 5), "prelu", True, False),  # 20 rows: two spans of two tiles; a rest of two channels
        (torch.float32, (1, 4, 3, 6), "prelu-channel", True, True),  # one chunk
        (torch.float32, (3, 8, 1, 3), "relu", True, False),
        (torch.float32, (5, 1, 1, 1), "prelu", False, False),
        (torch.bfloat16, (2, 3, 2, 5), "prelu", False, True),
        (torch.bfloat16, (1, 8, 3, 6), "prelu", True, False),
        (torch.float32, (2, 10, 2, 5), "prelu", "norm", False),
        (torch.float32, (3, 8, 1, 3), "prelu-channel", "norm", True),
        (torch.bfloat16, (1, 10, 3, 6), "relu", "norm", True),
    ],
)
@pytest.mark.parametrize("twice", [False, True])
def test_fused_form_has_the_values_and_gradients_of_float64(dtype, shape, kind, shortcut, masked, twice):
    """In bf16 to two units of the last place: the interpreter cuts numbers off where a GPU rounds them."""
    case, most = (shape, kind, shortcut, masked), 2e-6 if dtype == torch.float32 else 2**-6
    wanted = results(*case, dtype=dtype, exact=True, twice=twice)
    assert worst(results(*case, dtype=dtype, fused=True, twice=twice), wanted) < most
    assert worst(results(*case), results(*case, exact=True)) < 2e-6  # torch's own form, with the same measure


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


@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "kind"), [((2, 16, 5, 7), "prelu"), ((3, 20, 4, 9), "prelu-channel"), ((1, 16, 1, 3), "relu")]
)
def test_the_stem_in_the_fused_form_is_that_of_float64(dtype, shape, kind, monkeypatch):
    """Its maps are not stored: tiles of 16 rows and two spans."""
    for name, size in {"TILE": 256, "STATISTICS": 2, "GRADIENTS": 3, "TILE_CHANNELS": 16}.items():
        monkeypatch.setattr(normact, name, size)
    wanted, most = stem_results(shape, kind, dtype=dtype, exact=True), 2e-5 if dtype == torch.float32 else 2**-5
    assert worst(stem_results(shape, kind, dtype=dtype, fused=True), wanted) < most
    assert worst(stem_results(shape, kind), stem_results(shape, kind, exact=True)) < 2e-5


@pytest.mark.usefixtures("interpreter")
def test_statistics_hold_where_the_mean_is_large():
    """Mean 1000, deviation 1: the mean of squares less the square of the mean would lose the variance in float32."""
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) + 1000
    norm = nn.BatchNorm2d(3, momentum=1.0)
    use_fused(norm, True)
    norm_act(x.contiguous(memory_format=torch.channels_last), norm, nn.ReLU())
    torch.testing.assert_close(norm.running_var, x.double().var((0, 2, 3)).float(), rtol=1e-4, atol=0)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)))
    assert norm.num_batches_tracked == 1


def test_maps_that_the_kernels_do_not_take_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(normact.FusedNormAct, "apply", None)
    norm = nn.BatchNorm2d(2)
    use_fused(norm, True)
    norm_act(maps := torch.randn(2, 2, 3, 4), norm, LayerPReLU())  # channels first
    norm_act(maps.contiguous(memory_format=torch.channels_last), norm, nn.GELU())
    with pytest.raises(ValueError, match="more than 1 value"):
        norm_act(torch.randn(1, 2, 1, 1), norm, LayerPReLU())


def test_the_reason_why_there_is_no_fused_form(interpreter, monkeypatch):
    assert obstacle(CPU) is None
    monkeypatch.setattr(normact, "_small_network", lambda device, fused: [torch.tensor([1.0 + fused])])
    assert obstacle(CPU) == "the kernels' results differ from torch's here"
    monkeypatch.undo()
    monkeypatch.setattr(
        normact, "load_kernels", lambda name: (_ for _ in ()).throw(ImportError("No module named 'triton'\n…"))
    )
    assert obstacle(CPU) == "Triton does not work here: No module named 'triton'"
    monkeypatch.delenv("TRITON_INTERPRET")
    assert obstacle(CPU) == "the fused form needs a GPU"
