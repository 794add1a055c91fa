"""What the binaries share: how they are called, how they fail, and what they say on stderr."""

import functools
import logging
import math
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from sertk.datadir.lists import read_lines
from sertk.errors import SertkError, out_of_memory
from sertk.kaldi.specifiers import parse_rspecifier, parse_wspecifier

log = logging.getLogger("sertk")

STANDARD = ("config", "verbose")
# What --help calls the value of an option, by the name of its type; a choice lists its values.
METAVARS = {"integer": "N", "integer range": "N", "float": "X", "float range": "X", "path": "FILE", "text": "NAME",
            "true|false": "true|false", "N,N,…": "N,N,…"}  # fmt: skip


class _NoReader(SertkError):
    """Whoever read our standard output is gone."""


class Command(click.Command):
    """A binary: Kaldi's manners on top of click's."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.params.sort(key=lambda param: param.name in STANDARD)  # what is the binary's own comes first in --help
        for param in self.params:
            if isinstance(param, click.Option) and param.metavar is None:
                param.metavar = METAVARS.get(param.type.name)
            if isinstance(param.type, _Bool) and isinstance(param.default, bool):
                param.default = str(param.default).lower()  # --help shows a default as it is typed

    def main(self, args=None, prog_name=None, **_):
        """Run with `args` (default: the command line) and exit: 0 done, 1 failed, 2 misuse."""
        name, code = self.name, 1
        # Where standard error is closed, print() would fall back on standard output.
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        try:
            if sys.stdout is None:  # the next file to be opened would take its place
                raise SertkError("standard output is closed (> /dev/null drops what is written)")
            code = super().main(args, prog_name=name, standalone_mode=False) or 0
            click.echo(nl=False)  # flushes
        except click.UsageError as error:
            message = error.format_message().replace(" range.", ".")  # click's word for a number with bounds
            print(f"{name}: ERROR: {_one_line(message)} (see {name} --help)", file=sys.stderr)
            code = 2
        except (SertkError, OSError) as error:
            print(f"{name}: ERROR: {_one_line(_reason(error))}", file=sys.stderr)
            if isinstance(error, BrokenPipeError | _NoReader) or _came_of_echo(error):  # do not flush again at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "sertk":
                raise
            print(f"{name}: ERROR: {_one_line(_wrong_environment(error))}", file=sys.stderr)
        except (KeyboardInterrupt, click.Abort):  # before RuntimeError, which an Abort is one of
            print(f"{name}: ERROR: interrupted", file=sys.stderr)
            code = 130
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            reason = _one_line(str(error))[:200] or "numbers too large?"
            print(f"{name}: ERROR: out of memory: {reason}", file=sys.stderr)
        sys.exit(code)

    def invoke(self, ctx):
        verbose = ctx.params.pop("verbose")
        _log_to_stderr(self.name, verbose)
        for param in self.params:
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value) and value != param.default:
                raise click.BadParameter(f"{value} is not a finite number", ctx, param)
        try:
            result = super().invoke(ctx)
        except BrokenPipeError as error:  # click would end without a word
            raise _NoReader(_reason(error)) from None
        return result if isinstance(result, int) else 0

    def format_options(self, ctx, formatter):
        """The options of --help, group by group in the order in which their first ones were declared."""
        groups = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option):
                groups.setdefault(getattr(param, "group", None), []).append(param.get_help_record(ctx))
        ungrouped = "Options" if next(iter(groups)) is None else "Other options"
        for title, records in groups.items():
            with formatter.section(title or ungrouped):
                formatter.write_dl(records)

    def make_context(self, info_name, args, parent=None, **extra):
        return super().make_context(info_name, self._with_config(list(args)), parent, **extra)

    def _with_config(self, args: list[str]) -> list[str]:
        """`args` with the lines of each --config file put before them, so that the command line wins."""
        lines, rest = [], []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word == "--config" or word.startswith("--config="):
                path = next(words, None) if word == "--config" else word.partition("=")[2]
                if not path:
                    raise click.UsageError("Option '--config' requires a file.")
                lines += self._config_words(Path(path), args)
            else:
                rest.append(word)
        return lines + rest

    def _config_words(self, path: Path, args: list[str]) -> Iterator[str]:
        options = {flag: param for param in self.params if isinstance(param, click.Option) for flag in param.opts}
        given = {word.split("=")[0].replace("_", "-") for word in args if word.startswith("--")}
        for number, line in read_lines(path, "a config file is UTF-8 with lines that end in LF"):
            line = line.split("#")[0].strip()
            if not line:
                continue
            flag, equals, value = line.partition("=")
            flag, value = flag.strip().replace("_", "-"), value.strip()
            if flag not in options or flag == "--config" or not equals:
                raise SertkError(f"{path}:{number}: {self.name} has no setting '{line}' (wanted: --name=value)")
            try:
                options[flag].type.convert(value, options[flag], None)
            except click.BadParameter as error:
                raise SertkError(f"{path}:{number}: {flag}: {error.message}") from None
            if not (options[flag].multiple and flag in given):
                yield f"{flag}={value}"


def command(function):
    """Make `function` the binary that its file is named after (make_fbank.py is make-fbank; a recipe's local/ too)."""
    name = Path(function.__code__.co_filename).stem.replace("_", "-")
    function = click.option("--verbose", type=click.Choice(["0", "1", "2"]), default="1", show_default=True,
                            help="What to say on stderr: warnings, progress, everything.")(function)  # fmt: skip
    # Read by Command before click sees the arguments; declared so that --help shows it.
    function = click.option("--config", type=click.Path(), expose_value=False, metavar="FILE",
                            help="Read options from lines of --name=value; the command line wins.")(function)  # fmt: skip
    settings = {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 110,
    }
    return click.command(name, cls=Command, context_settings=settings)(function)


class _Bool(click.ParamType):
    name = "true|false"

    def convert(self, value, param, ctx):
        if isinstance(value, bool):
            return value
        if value not in ("true", "false"):
            self.fail(f"'{value}' is neither true nor false", param, ctx)
        return value == "true"


class _Numbers(click.ParamType):
    """A comma-separated list of positive integers."""

    name = "N,N,…"

    def convert(self, value, param, ctx):
        if not isinstance(value, str):
            return tuple(value)
        try:
            numbers = tuple(int(word) for word in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < 1:
            self.fail(f"'{value}' is not a comma-separated list of positive integers", param, ctx)
        return numbers


class _Parsed(click.ParamType):
    """An argument that a parser of ours turns into a value; what it refuses is misuse."""

    def __init__(self, name, parse):
        self.name, self.parse = name, parse

    def convert(self, value, param, ctx):
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except SertkError as error:
            self.fail(str(error), param, ctx)


BOOL = _Bool()
NUMBERS = _Numbers()
RSPECIFIER = _Parsed("rspecifier", parse_rspecifier)
WSPECIFIER = _Parsed("wspecifier", parse_wspecifier)
# Existence is checked when the file is opened, so that it fails with exit 1 as Kaldi's do.


class _Path(click.Path):
    """A path that is none for an empty word, as an unset variable leaves it: to pathlib that is the current folder."""

    def convert(self, value, param, ctx):
        if value == "":
            self.fail("an empty name (is a variable not set?)", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path)
FOLDER = _Path(path_type=Path)


# As large as torch takes them.
seed_option = click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
                           help="All that is random is a function of this.")  # fmt: skip
device_option = click.option("--device", default=None, metavar="cpu|cuda|cuda:N",
                             help="Where to compute.  [default: cuda if there is one, else cpu]")  # fmt: skip
threads_option = click.option("--num-threads", type=click.IntRange(1, 4096), default=None,
                              help="CPU threads for the computation.  [default: OMP_NUM_THREADS, else all cores]")  # fmt: skip
max_skip_option = click.option("--max-skip", type=click.FloatRange(0, 1), default=0.05, show_default=True,
                               help="Fail when more than this part of the input had to be skipped.")  # fmt: skip
verify_option = click.option("--verify", type=BOOL, default=False, show_default=True,
                             help="Check tables against their manifests (sha256) before they are read.")  # fmt: skip


class Tally:
    """Counts what was done and what was skipped, and why, so that every key is accounted for.

    with Tally(feats_in, max_skip) as tally: … tally.done(); … tally.skip(key, "3 frames only")

    Leaving the block prints `Done 535, skipped 2`. `check()` raises when nothing was done or too much was
    skipped: call it inside the writer's block, so that a bad run does not replace a good table.
    """

    def __init__(self, source, max_skip: float = 0.05):
        self.source, self.max_skip, self.num_done, self.num_skipped = source, max_skip, 0, 0
        self.first_reason = ""

    def done(self):
        self.num_done += 1

    def skip(self, key: str, reason: str):
        self.num_skipped += 1
        self.first_reason = self.first_reason or f", the first one: {key}: {reason}"
        log.warning("skipped %s: %s", key, reason)

    def check(self):
        total = self.num_done + self.num_skipped
        if not self.num_done:
            counts = f"{total} read, {self.num_skipped} skipped"
            raise SertkError(f"{self.source}: nothing was processed ({counts}){self.first_reason}")
        if self.num_skipped > self.max_skip * total:
            raise SertkError(
                f"{self.source}: {self.num_skipped} of {total} skipped, more than --max-skip={self.max_skip:g} allows"
            )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            log.info("Done %d, skipped %d", self.num_done, self.num_skipped)
            self.check()


def progress(items: Iterable, total: int | None = None, unit: str = "seg") -> Iterable:
    """`items` with a progress bar where stderr is a terminal and --verbose is not 0."""
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        return items
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, dynamic_ncols=True)


class _Stderr(logging.StreamHandler):
    """Writes to whatever sys.stderr is now (tests replace it), around tqdm's bar if there is one."""

    def emit(self, record):
        tqdm = sys.modules.get("tqdm")
        line = self.format(record)
        if tqdm and sys.stderr.isatty():
            tqdm.tqdm.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)


def _log_to_stderr(name: str, verbose: str):
    handler = _Stderr()
    handler.setFormatter(_Formatter(name))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({"0": logging.WARNING, "1": logging.INFO, "2": logging.DEBUG}[verbose])


class _Formatter(logging.Formatter):
    """`make-fbank: WARNING: …`, and `make-fbank: …` for what is only told."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def format(self, record):
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        return f"{self.name}: {level}{record.getMessage()}"


def _reason(error: SertkError | OSError) -> str:
    """What an error says, with the file before the reason as everywhere else, where it is known."""
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if _came_of_echo(error) else None)
        return f"{where}: {error.strerror}" if where else error.strerror
    return str(error)


def _wrong_environment(error: ImportError) -> str:
    """What an import error says of the environment that sertk runs in, and the remedy."""
    foreign = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    remedy = f"its packages come before sertk's own: unset PYTHONPATH (now {foreign})" if foreign else "pip install ."
    return f"a package that is wanted cannot be imported ({_one_line(str(error))[:150]}): {remedy}"


def _came_of_echo(error: OSError) -> bool:
    """Whether it was standard output that failed: all that is printed there goes through click.echo, which flushes."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _one_line(message: str) -> str:
    return " ".join(message.split())


def group(title: str, *options):
    """One decorator out of several options; in --help they stand together under `title`."""

    def decorate(function):
        before = len(getattr(function, "__click_params__", ()))
        function = functools.reduce(lambda f, option: option(f), reversed(options), function)
        for param in function.__click_params__[before:]:
            param.group = title
        return function

    return decorate
