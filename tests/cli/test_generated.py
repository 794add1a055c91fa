"""Options that are generated from dataclasses: their defaults, bounds and help."""

from dataclasses import fields

import click
import pytest

from sertk.cli.train_resnet import main as train_resnet
from sertk.cli.transfer_head import main as transfer_head
from sertk.jobs.options import HeadOptions, TrainingOptions
from sertk.models.spec import NetworkSpec
from sertk.training.settings import DescentSettings, TrainingSettings

CASES = [(train_resnet, kind) for kind in (NetworkSpec, TrainingSettings, TrainingOptions)]


@pytest.mark.parametrize(("binary", "kind"), [*CASES, (transfer_head, DescentSettings), (transfer_head, HeadOptions)])
def test_defaults_are_those_of_the_dataclass(binary, kind):
    params = {param.name: param for param in binary.params}
    context = click.Context(binary)
    for field in fields(kind):
        if field.name in params and field.name not in ("seed", "max_skip"):
            value = params[field.name].get_default(context)
            value = params[field.name].type_cast_value(context, value)
            assert value == (None if field.metadata.get("unset") else field.default), field.name


def test_every_declared_option_is_offered():
    for binary, kind in [*CASES, (transfer_head, HeadOptions)]:
        offered = {param.name for param in binary.params}
        assert {field.name for field in fields(kind) if "help" in field.metadata} <= offered


def test_help_shows_defaults_that_depend(call):
    text = " ".join(call("train-resnet", "--help").text.split())
    for field in fields(NetworkSpec):
        if "unset" in field.metadata:
            default = field.default if not isinstance(field.default, tuple) else ",".join(map(str, field.default))
            # As in the help: true, not True; 32, not 32.0.
            default = str(default).lower().removesuffix(".0")
            assert field.metadata["unset"] == default
            assert f"{field.metadata['help']} [default: {default}]" in text
    assert "[default: 1; with --init 0.1]" in text


@pytest.mark.parametrize(
    ("words", "bound"),
    [(("--momentum", "1"), "0<=x<1"), (("--learning-rate", "0"), "x>0"), (("--epochs", "0"), "x>=1")],
)
def test_bounds_are_told_where_they_are_broken(call, words, bound):
    assert bound in call("train-resnet", *words, "scp:f", "l", "d", code=2).err
