"""Options that several binaries share."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from sertk.cli.types import BOOL, FILE
from sertk.options import MAX_SKIP

log = logging.getLogger("sertk")

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
labels_option = click.option(
    "--labels",
    type=FILE,
    help="Class names, in the order of the posteriors.  [default: labels.txt beside UTT2LABEL]",
)
json_option = click.option("--json", "json_file", type=FILE, help="Also write all results to this file, as JSON.")
stamp_option = click.option(
    "--stamp", multiple=True, metavar="WORD", help="Add a word to the headline (PARTIAL, …); repeatable."
)
i_know_option = click.option(
    "--i-know", type=BOOL, default=False, show_default=True, help="Accept leaks; the results are stamped LEAKY."
)
licence_option = click.option("--licence", metavar="TEXT", help="Licence of the weights, for reports.")
allow_partial_option = click.option(
    "--allow-partial",
    type=BOOL,
    default=False,
    show_default=True,
    help="Continue with an incomplete corpus and list the gaps in the data folder's PARTIAL.",
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


def only_for(purpose: str, wanted: object, *names: str, options: dict[str, Any] | None = None) -> None:
    """Refuse options that have no effect in this call; those of --config files, which calls share, are ignored.

    Args:
        purpose: what the options are for, such as "--noise, --music and --babble".
        wanted: true if the call has this purpose: then nothing is refused.
        names: parameters of the options.
        options: values by parameter, in which ignored ones are set to their defaults, where their values would do harm.

    Raises:
        click.UsageError: the command line has one of them.
    """
    if wanted:
        return
    context = click.get_current_context()
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    params = {param.name: param for param in context.command.params}
    for name in given:
        param = params[name]
        if not context.command.typed.isdisjoint(param.opts):
            raise click.UsageError(f"{param.opts[0]} is for {purpose}")
        log.debug("%s of the config file is ignored: it is for %s", param.opts[0], purpose)
        if options is not None:
            options[name] = param.type_cast_value(context, param.get_default(context))
