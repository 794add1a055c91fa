"""Every binary's --help: it says what the binary does, its examples run as printed, and it is quick."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from textwrap import dedent

import click
import pytest
from support import ROOT

BINARIES = sorted(path.name for path in (ROOT / "bin").iterdir() if path.name != "launch")
# In these a shell does more than to split a line into words, to call one command after another, or to write a file.
SHELL = set("|<*$;")


def main(binary):
    return importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main


def examples(binary):
    """The lines from `e.g.:` to `See also:` as they are printed, and joined where one ends in a backslash."""
    about = dedent(main(binary).callback.__doc__.partition("\n")[2])
    printed = re.search(r"e\.g\.: .*(?=\nSee also: )", about, re.DOTALL)[0].splitlines()
    joined = "\n".join(line.removeprefix("e.g.: ").strip() for line in printed).replace("\\\n", "")
    return printed, joined.splitlines()


@pytest.mark.parametrize("binary", BINARIES)
def test_help_says_what_it_does_with_examples_and_relatives(call, binary):
    text = call(binary, "--help").text
    assert text == call(binary, "-h").text
    usage, _, about = text.split("\n", 2)
    assert usage.startswith(f"Usage: {binary} [OPTIONS] ")
    assert re.match(r"  [A-Z].*\.", about, re.DOTALL)
    printed, joined = examples(binary)
    assert "\n".join(f"  {line}" for line in printed) in text
    assert all(binary in line.split() for line in joined)
    assert not any("  " in line.strip() for line in printed)  # a backslash that Python took
    others = re.search(r"See also: (.*)", text)[1].split(", ")
    assert set(others) <= set(BINARIES) - {binary}
    assert " [OPTIONS]" in usage and "RANGE" not in text and "TRUE|FALSE" not in text and "True" not in text
    options = [option for option in main(binary).params if isinstance(option, click.Option)]
    assert all(option.help for option in options)
    named = [option for option in options if "|" in option.type.name and not option.metavar]
    assert all(option.type.name.isupper() for option in named)  # click prints it in capitals, also a word to be typed


def test_many_options_stand_in_groups_and_each_once(call):
    text = call("train-resnet", "--help").text
    assert re.findall(r"^(\w.*):$", text, re.MULTILINE) == [
        "The network",
        "Chunks and masks",
        "Gradient descent",
        "Loss",
        "Targets",
        "Starting from another network",
        "Held-out fold and model selection",
        "The run",
        "Other options",
    ]
    shown = re.findall(r"^  (--[a-z0-9-]+|-h)", text, re.MULTILINE)
    declared = [param.opts[0] for param in main("train-resnet").params if isinstance(param, click.Option)]
    assert sorted(shown) == sorted([*declared, "-h"])
    section = text.partition("Chunks and masks:")[2].partition("Gradient descent:")[0]
    assert "--augment" in section and "--copies" in section and "--epochs" not in section
    assert call("score-loso", "--help").text.count("Options:\n") == 1


@pytest.mark.parametrize(("binary", "line"), [(binary, line) for binary in BINARIES for line in examples(binary)[1]])
def test_the_examples_run_as_printed(call, linked_box, undrawn, monkeypatch, binary, line):
    if binary == "train-resnet" and "--init" not in line:
        (linked_box / "exp/resnet34/final.pt").unlink()  # of other settings: it would not be overwritten
        for param in main(binary).params:
            if param.name in ("channels", "epochs"):
                monkeypatch.setattr(param, "default", 2)  # of the paper's network, in seconds
    if SHELL & set(line):
        path = f"{ROOT / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], env=os.environ | {"PATH": path},
                              capture_output=True, text=True, timeout=300)  # fmt: skip
        assert done.returncode == 0, done.stderr
    else:
        for words in map(shlex.split, line.split(" && ")):
            call(*words[: words.index(">") if ">" in words else None])


def test_no_help_imports_what_is_slow_to_import():
    script = f"""
import contextlib, importlib, io, sys
sys.path.insert(0, {str(ROOT)!r})
for name in {BINARIES!r}:
    main = importlib.import_module("sertk.cli." + name.replace("-", "_")).main
    for flag in ("--help", "-h"):
        with contextlib.redirect_stdout(io.StringIO()) as text:
            try:
                main([flag])
            except SystemExit as exit:
                assert exit.code == 0
        assert "Usage: " + name in text.getvalue()
    slow = {{"torch", "torchaudio", "scipy", "soundfile", "matplotlib", "tqdm"}} & set(sys.modules)
    assert not slow, (name, slow)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_every_binary():
    readme = (ROOT / "README.md").read_text()
    assert [binary for binary in BINARIES if f"`{binary}`" not in readme] == []
