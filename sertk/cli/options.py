"""Options that several binaries share."""

import functools
from collections.abc import Callable

import click

from sertk.cli.types import BOOL
from sertk.options import MAX_SKIP

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),  # as in torch
    default=0,
    show_default=True,
    help="Random seed.",
)
device_option = click.option(
    "--device",
    default=None,
    metavar="cpu|cuda|cuda:N",
    help="Device to compute on.  [default: cuda if available, else cpu]",
)
threads_option = click.option(
    "--num-threads",
    type=click.IntRange(1, 4096),
    default=None,
    help="Number of CPU threads.  [default: OMP_NUM_THREADS, else all cores]",
)
max_skip_option = click.option(
    "--max-skip",
    type=click.FloatRange(0, 1),
    default=MAX_SKIP,
    show_default=True,
    help="Fail if more than this fraction of the input is skipped.",
)
verify_option = click.option(
    "--verify",
    type=BOOL,
    default=False,
    show_default=True,
    help="Check tables against the sha256 of their manifests first.",
)


def group(title: str, *options: Callable) -> Callable:
    """A decorator that adds several options; --help lists them under `title`."""

    def decorate(function: Callable) -> Callable:
        before = len(getattr(function, "__click_params__", ()))
        function = functools.reduce(lambda f, option: option(f), reversed(options), function)
        for param in function.__click_params__[before:]:
            param.group = title
        return function

    return decorate
