"""What the binaries share: how they are called, how they fail, and what they say on stderr."""

import copy
import functools
import logging
import math
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

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
# What --help calls the value of an option, by the name of its type; a choice lists its values.
METAVARS = {"integer": "N", "integer range": "N", "float": "X", "float range": "X", "path": "FILE", "text": "NAME",
            "true|false": "true|false", "N,N,…": "N,N,…"}  # fmt: skip


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
        """Run with `args` (default: the command line) and exit.

        0: done; 1: failed; 2: misuse; 141 in the shell (SIGPIPE): whoever read the output had enough.
        """
        self.words = sys.argv[1:] if args is None else list(args)
        # Where standard error is closed, print() would fall back on standard output.
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        try:
            code = self._exit_code()
        except ReaderGone:
            code = None
        # Not in the handler, where the error still holds the frames of generators that have something to close.
        if code is None:
            _end_by_sigpipe()
        sys.exit(code)

    def _exit_code(self) -> int:
        name = self.name
        try:
            if sys.stdout is None:  # the next file to be opened would take its place
                raise SertkError("standard output is closed (> /dev/null drops what is written)")
            if not self.words:
                with click.Context(self, info_name=name, **self.context_settings) as ctx:
                    _to_stderr(self.get_help(ctx))
                return 2
            code = super().main(self.words, prog_name=name, standalone_mode=False) or 0
            click.echo(nl=False)  # flushes
        except click.UsageError as error:
            message = error.format_message().replace(" range.", ".")  # click's word for a number with bounds
            if message.endswith("does not take a value."):  # another order of arguments was meant
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
            if _came_of_echo(error):  # do not flush again at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "sertk":
                raise
            code = _failed(name, _wrong_environment(error))
        except (KeyboardInterrupt, click.Abort):  # before RuntimeError, which an Abort is one of
            code = _failed(name, "interrupted", 130)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            code = _failed(name, f"out of memory: {_one_line(str(error))[:200] or 'numbers too large?'}")
        return code

    def invoke(self, ctx):
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

    def format_options(self, ctx, formatter):
        """The options of --help, group by group in the order in which their first ones were declared."""
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

    def make_context(self, info_name, args, parent=None, **extra):
        with _own_broken_pipes():  # --help and --version
            return super().make_context(info_name, self._with_config(list(args)), parent, **extra)

    def _with_config(self, args: list[str]) -> list[str]:
        """`args` with the lines of each --config file put before them, so that the command line wins."""
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
                # Alone it means true; what may follow is a truth value, or an argument that is not this option's.
                rest.append(f"{flag}={words.pop() if words and words[-1].lower() in _SPOKEN else 'true'}")
            else:
                rest.append(word)
        return lines + rest

    def _config_words(self, path: Path, options: dict[str, click.Option], args: list[str]) -> Iterator[str]:
        given = {_normalised(word.split("=")[0]) for word in args if word.startswith("--")}
        for number, line in read_lines(path, "a config file is UTF-8", windows=True):
            line = line.split("#")[0].strip()
            if not line:
                continue
            flag, equals, value = line.partition("=")
            flag, value = _normalised(flag.strip()), value.strip()
            option = options.get(flag)
            if not flag.startswith("--") or flag == "--config" or option is None or option.is_flag:
                raise SertkError(f"{path}:{number}: {self.name} has no setting '{line}' (wanted: --name=value)")
            if not equals and not isinstance(option.type, _Bool):
                raise SertkError(f"{path}:{number}: {flag} needs a value (wanted: --name=value)")
            value = value if equals else "true"
            try:
                option.type.convert(value, option, None)
            except click.BadParameter as error:
                raise SertkError(f"{path}:{number}: {flag}: {error.message}") from None
            if not (option.multiple and flag in given):
                yield f"{flag}={value}"


def command(function):
    """Make `function` the binary that its file is named after (make_fbank.py is make-fbank; a recipe's local/ too)."""
    name = Path(function.__code__.co_filename).stem.replace("_", "-")
    function = click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
                            help="Show the version and exit.")(function)  # fmt: skip
    function = click.option("--verbose", type=int, default=1, show_default=True, metavar="N",
                            help="0: warnings only; 1: progress; 2 or more: everything.")(function)  # fmt: skip
    function = click.option("--print-args", type=BOOL, default=True, show_default=True,
                            help="Print the command line first, on stderr.")(function)  # fmt: skip
    # Read by Command before click sees the arguments; declared so that --help shows it.
    function = click.option("--config", type=click.Path(), expose_value=False, metavar="FILE",
                            help="Read options from lines of --name=value; the command line wins.")(function)  # fmt: skip
    settings = {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": _normalised,
        "max_content_width": 110,
    }
    return click.command(name, cls=Command, context_settings=settings)(function)


def _normalised(name: str) -> str:
    """An option's name as it is compared (Kaldi, src/util/parse-options.cc, NormalizeArgName)."""
    return name.replace("_", "-").lower()


def _show_version(ctx: click.Context, _, wanted: bool):
    if wanted:
        click.echo(f"{ctx.command.name} (sertk) {__version__}")
        ctx.exit()


_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
# What is read as the value of the option before it, though there is no '=' between; the last ones are then refused.
_SPOKEN = (*_TRUE, *_FALSE, "yes", "no", "on", "off")


class _Bool(click.ParamType):
    """A truth value as Kaldi reads it (src/util/parse-options.cc, ToBool)."""

    name = "true|false"

    def convert(self, value, param, ctx):
        if isinstance(value, bool):
            return value
        if value.lower() not in _TRUE + _FALSE:
            self.fail(f"'{value}' is neither true nor false", param, ctx)
        return value.lower() in _TRUE


def _without_bounds(kind: click.ParamType) -> click.ParamType:
    """A type as --help shows it: the bounds of a number are told where they are broken."""
    return {click.IntRange: click.INT, click.FloatRange: click.FLOAT}.get(type(kind), kind)


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
max_skip_option = click.option("--max-skip", type=click.FloatRange(0, 1), default=MAX_SKIP, show_default=True,
                               help="Fail when more than this part of the input had to be skipped.")  # fmt: skip
verify_option = click.option("--verify", type=BOOL, default=False, show_default=True,
                             help="Check tables against their manifests (sha256) before they are read.")  # fmt: skip


class Tally:
    """Counts what was done and what was skipped, and why, so that every key is accounted for.

    with Tally(feats_in, max_skip) as tally: … tally.done(); … tally.skip(key, "3 frames only")

    Leaving the block prints `Done 535, skipped 2`. `check()` raises when nothing was done or too much was
    skipped: call it inside the writer's block, so that a bad run does not replace a good table.
    """

    def __init__(self, source, max_skip: float = MAX_SKIP):
        self.source, self.max_skip, self.num_done, self.num_skipped = source, max_skip, 0, 0
        self.first_reason = ""

    def done(self):
        self.num_done += 1

    def skip(self, key: str, reason: str):
        self.num_skipped += 1
        self.first_reason = self.first_reason or f", the first one: {key}: {reason}"
        log.warning("skipped %s: %s", key, reason)

    def check(self, to_come: int = 0):
        """Raise where nothing was done, or too much was skipped of what was read and is `to_come`."""
        total = self.num_done + self.num_skipped + to_come
        if not self.num_done + to_come:
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
            _to_stderr(line)


def _to_stderr(text: str):
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise ReaderGone("standard error") from None


def _failed(name: str, reason: str, code: int = 1) -> int:
    """Say in one line why a binary ends; its exit status."""
    _to_stderr(f"{name}: ERROR: {_one_line(reason)}")
    return code


class _own_broken_pipes:
    """A broken pipe of click.echo is ReaderGone: click itself would end without a word and with status 1."""

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("standard output") if _came_of_echo(error) else SertkError(_reason(error)) from None


def _end_by_sigpipe():
    """End as Unix tools do when nobody reads on: without a word, by SIGPIPE, which Python itself ignores."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
    os.kill(os.getpid(), signal.SIGPIPE)


def _log_to_stderr(name: str, verbose: int):
    handler = _Stderr()
    handler.setFormatter(_Formatter(name))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}[min(max(verbose, 0), 2)])


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
