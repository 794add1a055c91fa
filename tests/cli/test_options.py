"""Options that several binaries share."""

import click
import pytest

from sertk.cli.command import command
from sertk.cli.options import group, max_skip_option, only_for, seed_option
from sertk.cli.types import BOOL


def test_grouped_options_bear_their_title():
    @click.command()
    @group("Sizes", click.option("--a"), click.option("--b"))
    @seed_option
    @max_skip_option
    def main(**_):
        pass

    titles = {param.name: getattr(param, "group", None) for param in main.params}
    assert titles == {"a": "Sizes", "b": "Sizes", "seed": None, "max_skip": None}
    assert {param.name: param.default for param in main.params}["max_skip"] == 0.05


@pytest.fixture
def toolbox():
    """A binary with options that are for each other."""

    @command
    @click.option("--noise", default=None)
    @click.option("--snr", type=int, default=None)
    @click.option("--each", type=BOOL, default=True)
    @click.option("--names", "--labels", multiple=True)
    def main(**options):
        only_for("--noise", options["noise"], "snr", "each", "names", options=options)
        click.echo(" ".join(f"{name}={value}" for name, value in sorted(options.items())))

    def run(*args):
        with pytest.raises(SystemExit) as exit:
            main([*args, "--print-args=false"])
        return exit.value.code

    return run


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--snr", "3"), "--snr"),
        (("--SNR=3",), "--snr"),
        (("--each",), "--each"),
        (("--each=true",), "--each"),
        (("--labels", "a"), "--names"),
        (("--config=x.conf", "--snr=3"), "--snr"),
    ],
)
def test_an_option_without_effect_is_refused(toolbox, here, capsys, words, flag):
    (here / "x.conf").write_text("--snr=5\n")
    assert toolbox(*words) == 2
    assert f"ERROR: {flag} is for --noise (see" in capsys.readouterr().err
    assert toolbox("--noise=pink", *words) == 0


def test_a_config_file_may_have_options_without_effect(toolbox, here, capsys):
    (here / "x.conf").write_text("--snr=5\n--each=false\n")
    assert toolbox("--config", "x.conf") == 0
    assert capsys.readouterr() == ("each=True names=() noise=None snr=None\n", "")
    assert toolbox("--config", "x.conf", "--verbose", "2") == 0
    err = capsys.readouterr().err
    name = err.partition(":")[0]
    assert err.splitlines() == [
        f"{name}: {flag} of the config file is ignored: it is for --noise" for flag in ("--snr", "--each")
    ]
    assert toolbox("--config", "x.conf", "--noise", "pink") == 0
    assert capsys.readouterr().out == "each=False names=() noise=pink snr=5\n"
