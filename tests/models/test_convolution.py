"""Which convolutions are computed in faster ways; their values are tested in tests/gpu."""

import pytest
import torch
from convolutions import CASES, convolution_results

from sertk.models import convolution
from sertk.models.convolution import convolve


@pytest.mark.parametrize(("case", "faster"), CASES.items())
def test_faster_ways_are_taken_where_they_are_known(case, faster, monkeypatch):
    called = []
    for name in ("Paired", "Strided"):
        of_class = getattr(convolution, name)
        monkeypatch.setattr(
            of_class, "apply", lambda *given, of=of_class.apply, name=name: called.append(name) or of(*given)
        )
    convolution_results(*case, convolve, torch.bfloat16)
    assert called == ([faster] if faster else [])


def test_other_formats_are_left_to_torch():
    case = (32, 32, 3, 1, 8)
    wanted = convolution_results(*case, lambda conv, x: conv(x), torch.float32)
    assert all(map(torch.equal, convolution_results(*case, convolve, torch.float32), wanted))
