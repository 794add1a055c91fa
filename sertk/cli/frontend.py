"""What the front-end binaries share: Kaldi's options of the features, and how features are stored."""

from dataclasses import fields

import click

from sertk.cli.options import BOOL
from sertk.frontend.options import FbankOptions
from sertk.kaldi.specifiers import Wspecifier
from sertk.kaldi.streams import classify_output

compress_option = click.option(
    "--compress",
    type=click.Choice(["none", "cm", "cm2", "cm3"]),
    help="Kaldi's compression.  [default: cm2 (16 bits) in files; none in pipes and text]",
)


def compression(chosen: str | None, target: Wspecifier) -> str:
    """What was chosen, or the default: a pipe hands every bit on, a file keeps what 16 bits hold.

    Raises:
        click.UsageError: where numbers in text are to be compressed.
    """
    if chosen not in (None, "none") and not target.binary:
        raise click.UsageError(f"--compress {chosen} is for binary tables: {target} is text")
    if chosen:
        return chosen
    return "cm2" if target.binary and classify_output(target.archive or "-") == "file" else "none"


def fbank_options(function):
    """An option for each of Kaldi's, with the defaults of FbankOptions."""
    for option in reversed(fields(FbankOptions)):
        kind = BOOL if isinstance(option.default, bool) else type(option.default)
        name = f"--{option.name.replace('_', '-')}"
        text = option.metadata["help"]
        function = click.option(name, type=kind, default=option.default, show_default=True, help=text)(function)
    return function
