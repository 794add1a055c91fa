"""What the front-end binaries share: Kaldi's options of the features, and how features are stored."""

import logging
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import click

from sertk.cli.options import BOOL
from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions
from sertk.kaldi.specifiers import Wspecifier, parse_wspecifier
from sertk.kaldi.streams import classify_output

log = logging.getLogger("sertk")

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


_NO_VTLN = "there is no VTLN here; the binaries read the features of compute-fbank-feats too"
# Options of compute-fbank-feats that make-fbank has no use for: the type, the values that change nothing (None: all),
# and what to do where another one is wanted.
_KALDIS = {
    "use-log-fbank": (BOOL, (True,), "features are logarithms here"),
    "use-power": (BOOL, (True,), "filters sum power here; the binaries read the features of compute-fbank-feats too"),
    "subtract-mean": (BOOL, (False,), "pipe the features through cmvn-segment --norm-vars=false"),
    "output-format": (str, ("kaldi",), "tables are Kaldi's here; copy-feats-to-htk converts them"),
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


def kaldis_other_options(function):
    """The options of Kaldi's compute-fbank-feats that are not make-fbank's, so that its conf files can be read."""
    for name, (kind, _, _) in reversed(_KALDIS.items()):
        help = "Of compute-fbank-feats."
        function = click.option(f"--{name}", type=kind, default=None, hidden=True, help=help)(function)
    return function


def settle_kaldis_options(options: dict) -> dict:
    """`options` without those of kaldis_other_options, which are told of where they were given.

    Raises:
        click.UsageError: for one that would change the features.
    """
    options, ignored = dict(options), []
    for name, (_, harmless, remedy) in _KALDIS.items():
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
        log.info("without effect here: %s", " ".join(ignored))
    return options


class _NumbersPlace(click.ParamType):
    """Where a number for each utterance goes: any wspecifier, or a text file (then sorted)."""

    name = "wspecifier"

    def convert(self, value, param, ctx):
        if not isinstance(value, str):
            return value
        options, colon, _ = value.partition(":")
        try:
            if colon and {"ark", "scp"} & {word.strip() for word in options.split(",")}:
                return parse_wspecifier(value)
            if classify_output(value) != "file" or not value:
                raise SertkError(f"'{value}' is no file (a stream or a pipe is ark,t:- or 'ark,t:| command')")
        except SertkError as error:
            self.fail(str(error), param, ctx)
        return Path(value)


NUMBERS_PLACE = _NumbersPlace()


def refuse_shared_stdout(*targets: Wspecifier | Path | None):
    """click.UsageError where two tables would be written to standard output at once."""
    names = [t.archive for t in targets if isinstance(t, Wspecifier) and t.archive is not None]
    if sum(classify_output(name) == "stdout" for name in names) > 1:
        raise click.UsageError("two tables cannot both go to standard output")


@contextmanager
def numbers_writer(target: Wspecifier | Path | None, kind: str):
    """A context that gives `write(key, number)`; the table or the text file is published when the block ends well.

    Args:
        target: None writes nothing.
        kind: "int" or "double", as Kaldi stores them.
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
