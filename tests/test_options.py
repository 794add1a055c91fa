"""Options declared as dataclass fields."""

from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from sertk.options import option, take_options
from sertk.training.settings import HeadSettings


@dataclass(frozen=True)
class Size:
    bins: int = option(128, "Mel bins.", least=1)
    frames: tuple[int, ...] = option((150, 200), "Chunk lengths.", metavar="N,N")
    plain: str = "not an option"


def test_option_is_a_field_with_default_and_help():
    assert (Size().bins, Size().frames) == (128, (150, 200))
    declared = {field.name: dict(field.metadata) for field in fields(Size)}
    assert declared["bins"] == {"help": "Mel bins.", "least": 1}
    assert declared["frames"]["metavar"] == "N,N" and declared["plain"] == {}
    with pytest.raises(FrozenInstanceError):
        Size().bins = 1


def test_take_options_leaves_what_it_does_not_know():
    options = {"bins": 80, "frames": None, "seed": 0, "plain": "x"}
    assert take_options(Size, options) == Size(80, (150, 200), "x")
    assert options == {"seed": 0}


def test_falsy_values_are_no_missing_ones():
    assert take_options(Size, {"bins": 0, "frames": ()}) == Size(0, ())


def test_take_options_leaves_the_other_options():
    options = {"epochs": 3, "learning_rate": None, "device": "cpu"}
    settings = take_options(HeadSettings, options)
    assert (settings.epochs, settings.learning_rate, options) == (3, 0.01, {"device": "cpu"})
