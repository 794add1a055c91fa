"""The command class of all binaries: Kaldi's conventions for options, config files and exit statuses."""

import copy
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from sertk import __version__
from sertk.cli.messages import (
    came_of_echo,
    end_by_sigpipe,
    failed,
    log_to_stderr,
    one_line,
    own_broken_pipes,
    reason,
    to_stderr,
    wrong_environment,
)
from sertk.cli.types import BOOL, TRUTH_WORDS, Bool
from sertk.datadir.lists import read_lines
from sertk.errors import ReaderGone, SertkError, out_of_memory

# An option of a binary that reads another toolkit's YAML; --config FILE.yaml means it too.
TOOLKIT_CONFIG = "--toolkit-config"
STANDARD = ("config", "print_args", "verbose", "version")
# How often a thread of libgomp (torch's) looks for new work before it sleeps: some 50 µs. By default it looks for 15 ms, and
# wherever threads have to share cores, they take these from those that compute.
SPIN_COUNT = 1000
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
    "P,P,…": "P,P,…",
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
            if isinstance(param.type, Bool) and isinstance(param.default, bool):
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
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))  # libgomp reads it when torch is imported
        # If standard error is closed, print() would write to standard output.
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        try:
            code = self._exit_code()
        except ReaderGone:
            code = None
        # Outside the except block: the live exception keeps generators open, and so their files.
        if code is None:
            end_by_sigpipe()
        sys.exit(code)

    def _exit_code(self) -> int:
        name = self.name
        try:
            if sys.stdout is None:  # the next file to be opened would become standard output
                raise SertkError("standard output is closed (use > /dev/null to discard it)")
            if not self.words:
                with click.Context(self, info_name=name, **self.context_settings) as ctx:
                    to_stderr(self.get_help(ctx))
                return 2
            code = super().main(self.words, prog_name=name, standalone_mode=False) or 0
            click.echo(nl=False)  # flush
        except click.UsageError as error:
            message = error.format_message().replace(" range.", ".")  # click's "integer range"
            if message.endswith("does not take a value."):  # most likely the arguments are in another order
                message += f" The order is {' '.join([name, *self.collect_usage_pieces(click.Context(self))])}."
            to_stderr(f"{name}: ERROR: {one_line(message)} (see {name} --help)")
            code = 2
        except ReaderGone:
            raise
        except BrokenPipeError as error:
            if came_of_echo(error):
                raise ReaderGone("standard output") from None
            code = failed(name, reason(error))
        except (SertkError, OSError) as error:
            code = failed(name, reason(error))
            if came_of_echo(error):  # no second flush at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "sertk":
                raise
            code = failed(name, wrong_environment(error))
        except (KeyboardInterrupt, click.Abort):  # before RuntimeError, the base class of Abort
            code = failed(name, "interrupted", 130)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            code = failed(name, f"out of memory: {one_line(str(error))[:200] or 'numbers too large?'}")
        return code

    def invoke(self, ctx: click.Context) -> int:
        """Run the function with the parsed options; returns the exit status."""
        verbose, print_args = ctx.params.pop("verbose"), ctx.params.pop("print_args")
        if print_args:
            to_stderr(shlex.join([self.name, *self.words]))
        log_to_stderr(self.name, verbose)
        for param in self.params:
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value) and value != param.default:
                raise click.BadParameter(f"{value} is not a finite number", ctx, param)
        with own_broken_pipes():
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
        with own_broken_pipes():  # --help and --version
            return super().make_context(info_name, self._with_config(list(args)), parent, **extra)

    def _with_config(self, args: list[str]) -> list[str]:
        """Put the options of --config files before `args`, so that the command line overrides them."""
        options = {flag: param for param in self.params if isinstance(param, click.Option) for flag in param.opts}
        self.typed = {_normalised(word.split("=")[0]) for word in args if word.startswith("--")}
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
                lines += self._config_words(Path(path), options)
            elif flag in options and not equals and isinstance(options[flag].type, Bool):
                # A bare flag means true. A following truth value belongs to it, any other word does not.
                rest.append(f"{flag}={words.pop() if words and words[-1].lower() in TRUTH_WORDS else 'true'}")
            else:
                rest.append(word)
        return lines + rest

    def _config_words(self, path: Path, options: dict[str, click.Option]) -> Iterator[str]:
        """The options of a --config file as --name=value."""
        for number, line in read_lines(path, "a config file is UTF-8", windows=True):
            line = line.split("#")[0].strip()
            if not line:
                continue
            flag, equals, value = line.partition("=")
            flag, value = _normalised(flag.strip()), value.strip()
            option = options.get(flag)
            if not flag.startswith("--") or flag == "--config" or option is None or option.is_flag:
                raise SertkError(f"{path}:{number}: {self.name} has no setting '{line}' (use --name=value)")
            if not equals and not isinstance(option.type, Bool):
                raise SertkError(f"{path}:{number}: {flag} needs a value (use --name=value)")
            value = value if equals else "true"
            try:
                option.type.convert(value, option, None)
            except click.BadParameter as error:
                raise SertkError(f"{path}:{number}: {flag}: {error.message}") from None
            if not (option.multiple and flag in self.typed):
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


def _without_bounds(kind: click.ParamType) -> click.ParamType:
    """A type as --help shows it: without bounds, which the error of a value outside them names."""
    return {click.IntRange: click.INT, click.FloatRange: click.FLOAT}.get(type(kind), kind)


def _show_version(ctx: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested:
        click.echo(f"{ctx.command.name} (sertk) {__version__}")
        ctx.exit()


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
