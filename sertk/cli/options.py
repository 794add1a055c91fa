"""Shared by all binaries: the command class, common options, exit statuses, logging and progress."""

import copy
import functools
import logging
import math
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from sertk import __version__
from sertk.datadir.lists import read_lines
from sertk.errors import ReaderGone, SertkError, out_of_memory
from sertk.kaldi.specifiers import parse_rspecifier, parse_wspecifier
from sertk.options import MAX_SKIP

log = logging.getLogger("sertk")

# An option of a binary that reads another toolkit's YAML; --config FILE.yaml means it too.
TOOLKIT_CONFIG = "--toolkit-config"
STANDARD = ("config", "print_args", "verbose", "version")
# Metavars of option values in --help, by click's name of their type; a choice lists its values.
METAVARS = {
    "integer": "N",
    "integer range": "N",
    "float": "X",
    "float range": "X",
    "path": "FILE",
    "text": "NAME",
    "true|false": "true|false",
    "N,N,…": "N,N,…",
}


class Command(click.Command):
    """A binary: a click command with Kaldi's conventions.

    It reads --config files, ignores case and underscores in option names, takes `--flag` for `--flag=true`, prints an
    error as one line, and exits with Kaldi's statuses.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.sort(key=lambda param: param.name in STANDARD)  # common options come last in --help
        for param in self.params:
            if isinstance(param, click.Option) and param.metavar is None:
                param.metavar = METAVARS.get(param.type.name)
            if isinstance(param.type, _Bool) and isinstance(param.default, bool):
                param.default = str(param.default).lower()  # --help shows a default as it is typed

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: Any) -> None:
        """Run the binary and exit.

        The exit status is 0 on success, 1 on failure, 2 on misuse, and 141 in the shell (SIGPIPE) if the reader of the
        output has closed it.

        Args:
            args: arguments; None: those of the command line
            prog_name: ignored: the name is that of the file
        """
        self.words = sys.argv[1:] if args is None else list(args)
        # If standard error is closed, print() would write to standard output.
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        try:
            code = self._exit_code()
        except ReaderGone:
            code = None
        # Outside the except block: the live exception keeps generators open, and so their files.
        if code is None:
            _end_by_sigpipe()
        sys.exit(code)

    def _exit_code(self) -> int:
        name = self.name
        try:
            if sys.stdout is None:  # the next file to be opened would become standard output
                raise SertkError("standard output is closed (use > /dev/null to discard it)")
            if not self.words:
                with click.Context(self, info_name=name, **self.context_settings) as ctx:
                    _to_stderr(self.get_help(ctx))
                return 2
            code = super().main(self.words, prog_name=name, standalone_mode=False) or 0
            click.echo(nl=False)  # flush
        except click.UsageError as error:
            message = error.format_message().replace(" range.", ".")  # click's "integer range"
            if message.endswith("does not take a value."):  # most likely the arguments are in another order
                message += f" The order is {' '.join([name, *self.collect_usage_pieces(click.Context(self))])}."
            _to_stderr(f"{name}: ERROR: {_one_line(message)} (see {name} --help)")
            code = 2
        except ReaderGone:
            raise
        except BrokenPipeError as error:
            if _came_of_echo(error):
                raise ReaderGone("standard output") from None
            code = _failed(name, _reason(error))
        except (SertkError, OSError) as error:
            code = _failed(name, _reason(error))
            if _came_of_echo(error):  # no second flush at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "sertk":
                raise
            code = _failed(name, _wrong_environment(error))
        except (KeyboardInterrupt, click.Abort):  # before RuntimeError, the base class of Abort
            code = _failed(name, "interrupted", 130)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            code = _failed(name, f"out of memory: {_one_line(str(error))[:200] or 'numbers too large?'}")
        return code

    def invoke(self, ctx: click.Context) -> int:
        """Run the function with the parsed options; returns the exit status."""
        verbose, print_args = ctx.params.pop("verbose"), ctx.params.pop("print_args")
        if print_args:
            _to_stderr(shlex.join([self.name, *self.words]))
        _log_to_stderr(self.name, verbose)
        for param in self.params:
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value) and value != param.default:
                raise click.BadParameter(f"{value} is not a finite number", ctx, param)
        with _own_broken_pipes():
            result = super().invoke(ctx)
        return result if isinstance(result, int) else 0

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of --help, grouped; groups come in the order of their first options."""
        groups = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option):
                shown = copy.copy(param)
                shown.type = _without_bounds(param.type)
                if record := shown.get_help_record(ctx):
                    groups.setdefault(getattr(param, "group", None), []).append(record)
        ungrouped = "Options" if next(iter(groups)) is None else "Other options"
        for title, records in groups.items():
            with formatter.section(title or ungrouped):
                formatter.write_dl(records)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments, those of --config files first."""
        with _own_broken_pipes():  # --help and --version
            return super().make_context(info_name, self._with_config(list(args)), parent, **extra)

    def _with_config(self, args: list[str]) -> list[str]:
        """Put the options of --config files before `args`, so that the command line overrides them."""
        options = {flag: param for param in self.params if isinstance(param, click.Option) for flag in param.opts}
        lines, rest = [], []
        words = list(reversed(args))
        while words:
            word = words.pop()
            flag, equals, value = word.partition("=")
            flag = _normalised(flag)
            if word == "--":
                rest += [word, *reversed(words)]
                break
            if flag == "--config":
                path = value if equals else words.pop() if words else ""
                if not path:
                    raise click.UsageError("Option '--config' requires a file.")
                if TOOLKIT_CONFIG in options and path.lower().endswith((".yaml", ".yml")):
                    rest.append(f"{TOOLKIT_CONFIG}={path}")
                    continue
                lines += self._config_words(Path(path), options, args)
            elif flag in options and not equals and isinstance(options[flag].type, _Bool):
                # A bare flag means true. A following truth value belongs to it, any other word does not.
                rest.append(f"{flag}={words.pop() if words and words[-1].lower() in _TRUTH_WORDS else 'true'}")
            else:
                rest.append(word)
        return lines + rest

    def _config_words(self, path: Path, options: dict[str, click.Option], args: list[str]) -> Iterator[str]:
        """The options of a --config file as --name=value."""
        given = {_normalised(word.split("=")[0]) for word in args if word.startswith("--")}
        for number, line in read_lines(path, "a config file is UTF-8", windows=True):
            line = line.split("#")[0].strip()
            if not line:
                continue
            flag, equals, value = line.partition("=")
            flag, value = _normalised(flag.strip()), value.strip()
            option = options.get(flag)
            if not flag.startswith("--") or flag == "--config" or option is None or option.is_flag:
                raise SertkError(f"{path}:{number}: {self.name} has no setting '{line}' (use --name=value)")
            if not equals and not isinstance(option.type, _Bool):
                raise SertkError(f"{path}:{number}: {flag} needs a value (use --name=value)")
            value = value if equals else "true"
            try:
                option.type.convert(value, option, None)
            except click.BadParameter as error:
                raise SertkError(f"{path}:{number}: {flag}: {error.message}") from None
            if not (option.multiple and flag in given):
                yield f"{flag}={value}"


def command(function: Callable) -> Command:
    """Decorator: make a function the binary that its file is named after (make_fbank.py is make-fbank)."""
    name = Path(function.__code__.co_filename).stem.replace("_", "-")
    settings = {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": _normalised,
        "max_content_width": 110,
    }
    for option in reversed(STANDARD_OPTIONS):
        function = option(function)
    return click.command(name, cls=Command, context_settings=settings)(function)


def _normalised(name: str) -> str:
    """An option's name without case and underscores (Kaldi, src/util/parse-options.cc, NormalizeArgName)."""
    return name.replace("_", "-").lower()


def _show_version(ctx: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested:
        click.echo(f"{ctx.command.name} (sertk) {__version__}")
        ctx.exit()


_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
# Words that are read as the value of a truth option before them, also without '='; the last four are then refused.
_TRUTH_WORDS = (*_TRUE, *_FALSE, "yes", "no", "on", "off")


class _Bool(click.ParamType):
    """A truth value as Kaldi reads it (src/util/parse-options.cc, ToBool)."""

    name = "true|false"

    def convert(self, value: str | bool, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Convert true, t, 1, false, f or 0."""
        if isinstance(value, bool):
            return value
        if value.lower() not in _TRUE + _FALSE:
            self.fail(f"'{value}' is neither true nor false", param, ctx)
        return value.lower() in _TRUE


def _without_bounds(kind: click.ParamType) -> click.ParamType:
    """A type as --help shows it: without bounds, which the error of a value outside them names."""
    return {click.IntRange: click.INT, click.FloatRange: click.FLOAT}.get(type(kind), kind)


class _Numbers(click.ParamType):
    """A comma-separated list of positive integers."""

    name = "N,N,…"

    def convert(
        self, value: str | Iterable[int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Convert a text like 3,4,6,3."""
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
    """A value that a function of sertk parses; its SertkError is misuse.

    Args:
        name: name of the type
        parse: turns the text into the value
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a text; other values are returned."""
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


class _Path(click.Path):
    """A path; an empty one, as of an unset variable, is refused, since pathlib takes it for the current folder.

    Existence is checked when the file is opened, so that the exit status is 1 as in Kaldi.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert to a Path."""
        if value == "":
            self.fail("an empty name (is a variable not set?)", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path)
FOLDER = _Path(path_type=Path)


# In the order of --help.
STANDARD_OPTIONS = (
    # Command reads it before click parses the arguments; it is declared for --help.
    click.option(
        "--config",
        type=click.Path(),
        expose_value=False,
        metavar="FILE",
        help="Read options from lines of --name=value; the command line wins.",
    ),
    click.option(
        "--print-args",
        type=BOOL,
        default=True,
        show_default=True,
        help="Print the command line first, on stderr.",
    ),
    click.option(
        "--verbose",
        type=int,
        default=1,
        show_default=True,
        metavar="N",
        help="0: warnings; 1: progress too; 2: debug messages too.",
    ),
    click.option(
        "--version",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_version,
        help="Show the version and exit.",
    ),
)
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


class Tally:
    """Count processed and skipped keys, so that every key is accounted for.

    Leaving the block logs `Done 535, skipped 2`. Call `check` inside the writer's block too, so that a failed run does
    not replace a good table.

    Args:
        source: name of the input, for messages
        max_skip: fraction of the input that may be skipped

    Example:
        with Tally(feats_in, max_skip) as tally:
            … tally.done() … tally.skip(key, "3 frames only") …
    """

    def __init__(self, source: object, max_skip: float = MAX_SKIP) -> None:
        self.source, self.max_skip, self.num_done, self.num_skipped = source, max_skip, 0, 0
        self.first_reason = ""

    def done(self) -> None:
        """Count a processed key."""
        self.num_done += 1

    def skip(self, key: str, reason: str) -> None:
        """Count a skipped key and log the reason."""
        self.num_skipped += 1
        self.first_reason = self.first_reason or f", the first one: {key}: {reason}"
        log.warning("skipped %s: %s", key, reason)

    def check(self, to_come: int = 0) -> None:
        """Check the counts.

        Args:
            to_come: number of keys that are still to be processed

        Raises:
            SertkError: if no key was processed, or if too many were skipped.
        """
        total = self.num_done + self.num_skipped + to_come
        if not self.num_done + to_come:
            counts = f"{total} read, {self.num_skipped} skipped"
            raise SertkError(f"{self.source}: nothing was processed ({counts}){self.first_reason}")
        if self.num_skipped > self.max_skip * total:
            raise SertkError(
                f"{self.source}: {self.num_skipped} of {total} skipped, more than --max-skip={self.max_skip:g} allows"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            log.info("Done %d, skipped %d", self.num_done, self.num_skipped)
            self.check()


def progress(items: Iterable, total: int | None = None, unit: str = "seg") -> Iterable:
    """Show a progress bar over `items` if stderr is a terminal and --verbose is not 0."""
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        return items
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, dynamic_ncols=True)


class _Stderr(logging.StreamHandler):
    """Write to the current sys.stderr, which tests replace, without breaking tqdm's bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        tqdm = sys.modules.get("tqdm")
        line = self.format(record)
        if tqdm and sys.stderr.isatty():
            tqdm.tqdm.write(line, file=sys.stderr)
        else:
            _to_stderr(line)


def _to_stderr(text: str) -> None:
    """Print a line; if the log cannot be written (its disk is full), the work is done without one, as by Kaldi's tools."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise ReaderGone("standard error") from None
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)


def _failed(name: str, reason: str, code: int = 1) -> int:
    """Print the error in one line; returns the exit status."""
    _to_stderr(f"{name}: ERROR: {_one_line(reason)}")
    return code


class _own_broken_pipes:
    """Turn a broken pipe into a SertkError, that of click.echo into ReaderGone; click would exit with 1 silently."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("standard output") if _came_of_echo(error) else SertkError(_reason(error)) from None


def _end_by_sigpipe() -> None:
    """End by SIGPIPE and without a message, as Unix tools do; Python ignores the signal by default."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
    os.kill(os.getpid(), signal.SIGPIPE)


def _log_to_stderr(name: str, verbose: int) -> None:
    handler = _Stderr()
    handler.setFormatter(_Formatter(name))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}[min(max(verbose, 0), 2)])


class _Formatter(logging.Formatter):
    """`make-fbank: WARNING: …` for warnings and above, `make-fbank: …` below."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        return f"{self.name}: {level}{record.getMessage()}"


def _reason(error: SertkError | OSError) -> str:
    """The message of an error, with the file before the reason if it is known."""
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if _came_of_echo(error) else None)
        return f"{where}: {error.strerror}" if where else error.strerror
    return str(error)


def _wrong_environment(error: ImportError) -> str:
    """The message of an import error, with a remedy for the environment that sertk runs in."""
    foreign = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    remedy = f"its packages come before sertk's: unset PYTHONPATH (now {foreign})" if foreign else "pip install ."
    return f"a required package cannot be imported ({_one_line(str(error))[:150]}): {remedy}"


def _came_of_echo(error: OSError) -> bool:
    """Whether standard output failed: everything is printed there by click.echo, which flushes."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _one_line(message: str) -> str:
    return " ".join(message.split())


def group(title: str, *options: Callable) -> Callable:
    """A decorator that adds several options; --help lists them under `title`."""

    def decorate(function: Callable) -> Callable:
        before = len(getattr(function, "__click_params__", ()))
        function = functools.reduce(lambda f, option: option(f), reversed(options), function)
        for param in function.__click_params__[before:]:
            param.group = title
        return function

    return decorate
