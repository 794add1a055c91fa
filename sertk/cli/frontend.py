"""Shared by make-fbank, cmvn-segment and embed-ssl: options of recordings and features, compression, tables of numbers."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from sertk.cli.types import BOOL, FILE
from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions
from sertk.kaldi.specifiers import Wspecifier, parse_wspecifier
from sertk.kaldi.streams import classify_output

log = logging.getLogger("sertk")

compress_option = click.option(
    "--compress",
    type=click.Choice(["none", "cm", "cm2", "cm3"]),
    help="Compression, as in Kaldi.  [default: cm2 (16 bits) for files; none for pipes and text]",
)
segments_option = click.option(
    "--segments", type=FILE, help="Segments to cut out: lines of 'utterance recording start end [channel]'."
)
utt2perturb_option = click.option(
    "--utt2perturb", type=FILE, help="Perturb the utterances of this list, as perturb-data writes it."
)
channel_option = click.option(
    "--channel",
    type=click.IntRange(-1),
    help="Channel to take, from 0; -1: recordings must have one channel.  [default: -1]",
)
overshoot_option = click.option(
    "--max-overshoot",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Seconds by which a segment may end after its recording.",
)


def compression(chosen: str | None, target: Wspecifier) -> str:
    """The compression of a table: 16 bits in a file, none in a pipe or in text, if the user has not chosen.

    Args:
        chosen: the option's value
        target: where the table is written

    Returns:
        none, cm, cm2 or cm3

    Raises:
        click.UsageError: if text is to be compressed.
    """
    if chosen not in (None, "none") and not target.binary:
        raise click.UsageError(f"--compress {chosen} is for binary tables: {target} is text")
    if chosen:
        return chosen
    return "cm2" if target.binary and classify_output(target.archive or "-") == "file" else "none"


def fbank_options(function: Callable) -> Callable:
    """Decorator: add the options of FbankOptions."""
    for option in reversed(fields(FbankOptions)):
        kind = BOOL if isinstance(option.default, bool) else type(option.default)
        name = f"--{option.name.replace('_', '-')}"
        text = option.metadata["help"]
        function = click.option(name, type=kind, default=option.default, show_default=True, help=text)(function)
    return function


_USE_KALDI = "use compute-fbank-feats, whose features the binaries read too"
_NO_VTLN = f"make-fbank has no VTLN; {_USE_KALDI}"
# Options of compute-fbank-feats that make-fbank does not have: type, values that change nothing (None: all), remedy for
# another value.
_OTHER_OPTIONS = {
    "use-log-fbank": (BOOL, (True,), f"make-fbank computes logarithms only; {_USE_KALDI}"),
    "use-power": (BOOL, (True,), f"make-fbank sums power spectra only; {_USE_KALDI}"),
    "subtract-mean": (BOOL, (False,), "pipe the features through cmvn-segment --norm-vars=false"),
    "output-format": (str, ("kaldi",), "make-fbank writes Kaldi tables only; copy-feats-to-htk converts them"),
    "vtln-warp": (float, (1.0,), _NO_VTLN),
    "vtln-map": (str, ("",), _NO_VTLN),
    "vtln-low": (float, None, ""),
    "vtln-high": (float, None, ""),
    "utt2spk": (str, None, ""),
    "debug-mel": (BOOL, None, ""),
    "max-feature-vectors": (int, None, ""),
    "allow-downsample": (BOOL, None, ""),
    "allow-upsample": (BOOL, None, ""),
}


def kaldis_other_options(function: Callable) -> Callable:
    """Decorator: add the other options of compute-fbank-feats, hidden, so that its conf files can be read."""
    for name, (kind, _, _) in reversed(_OTHER_OPTIONS.items()):
        help = "An option of compute-fbank-feats."
        function = click.option(f"--{name}", type=kind, default=None, hidden=True, help=help)(function)
    return function


def settle_kaldis_options(options: dict) -> dict:
    """Take out the options of `kaldis_other_options` and log those that are ignored.

    Args:
        options: all options

    Returns:
        The options without them; `allow_resample` is set if Kaldi's --allow-downsample or --allow-upsample is.

    Raises:
        click.UsageError: if one would change the features.
    """
    options, ignored = dict(options), []
    for name, (_, harmless, remedy) in _OTHER_OPTIONS.items():
        value = options.pop(name.replace("-", "_"))
        if value is None:
            continue
        if harmless is not None and value not in harmless:
            shown = str(value).lower() if isinstance(value, bool) else value
            raise click.UsageError(f"--{name}={shown} is not supported: {remedy}")
        if name.startswith("allow-") and value:
            log.info("--%s: read as --allow-resample=true", name)
            options["allow_resample"] = True
        else:
            ignored.append(f"--{name}")
    if ignored:
        log.info("ignored options of compute-fbank-feats: %s", " ".join(ignored))
    return options


class _NumbersPlace(click.ParamType):
    """Where a number for each utterance is written: a wspecifier, or a text file, which is sorted."""

    name = "wspecifier"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a wspecifier, or take the text as the path of a file."""
        if not isinstance(value, str):
            return value
        options, colon, _ = value.partition(":")
        try:
            if colon and {"ark", "scp"} & {word.strip() for word in options.split(",")}:
                return parse_wspecifier(value)
            if classify_output(value) != "file" or not value:
                raise SertkError(f"'{value}' is not a file (for a stream or a pipe use ark,t:- or 'ark,t:| command')")
        except SertkError as error:
            self.fail(str(error), param, ctx)
        return Path(value)


NUMBERS_PLACE = _NumbersPlace()


def refuse_shared_stdout(*targets: Wspecifier | Path | None) -> None:
    """Check that no two tables are written to standard output.

    Raises:
        click.UsageError: if they are.
    """
    names = [t.archive for t in targets if isinstance(t, Wspecifier) and t.archive is not None]
    if sum(classify_output(name) == "stdout" for name in names) > 1:
        raise click.UsageError("two tables cannot both go to standard output")


@contextmanager
def numbers_writer(target: Wspecifier | Path | None, kind: str) -> Iterator[Callable[[str, float], None]]:
    """Context manager that writes a number for each key.

    Args:
        target: a table, or a text file, which is sorted; None writes nothing
        kind: Kaldi's type of the table's numbers, "int" or "double"

    Yields:
        A function of key and number; the table or file appears when the block ends without an error.
    """
    from sertk.datadir.lists import write_list
    from sertk.kaldi.encode import number_text
    from sertk.kaldi.writer import table_writer

    if isinstance(target, Wspecifier):
        with table_writer(target, kind=kind) as write:
            yield write
        return
    texts = {}
    yield lambda key, value: texts.update({key: number_text(value)})
    if target is not None:
        write_list(target, texts)
