"""sertk_options.sh and recipe.sh, sourced by small scripts as the recipes source them."""

import os
import subprocess

import pytest
from support import ROOT

import sertk

UTILS = ROOT / "egs" / "common" / "utils"
SCRIPT = """#!/usr/bin/env bash
# Does a thing.
#
# usage: toy.sh [--stage 1] FILE
set -euo pipefail
# Not help.
stage=1 stop_stage=9 stamp= final_epoch=false init=
. sertk_options.sh
. recipe.sh
echo "stage=$stage final_epoch=$final_epoch init=$init rest=$*"
"""


@pytest.fixture
def script(tmp_path):
    """Write a script and run it with words: script("--stage", "2", text=…) -> CompletedProcess."""

    def run(*words, text=SCRIPT, **environment):
        (tmp_path / "toy.sh").write_text(text)
        env = os.environ | {"PATH": f"{UTILS}:{os.environ['PATH']}"} | environment
        return subprocess.run(
            ["bash", tmp_path / "toy.sh", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=20,
        )

    return run


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ([], "stage=1 final_epoch=false init= rest="),
        (["--stage", "3", "a", "--stage"], "stage=3 final_epoch=false init= rest=a --stage"),
        (["--stage=3", "--final-epoch=true", "a b"], "stage=3 final_epoch=true init= rest=a b"),
        (["--final_epoch", "true", "--init", "", "--", "--x"], "stage=1 final_epoch=true init= rest=--x"),
        (["--init=--a=b", "-"], "stage=1 final_epoch=false init=--a=b rest=-"),
        (["--final-epoch", "--stage", "3"], "stage=3 final_epoch=true init= rest="),
        (["--final-epoch"], "stage=1 final_epoch=true init= rest="),
        (["--stage", "-1"], "stage=-1 final_epoch=false init= rest="),
    ],
)
def test_options_set_the_scripts_variables(script, words, printed):
    done = script(*words)
    assert (done.returncode, done.stdout.strip()) == (0, printed), done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stage"], "--stage needs a value"),
        (["--stage", "--init", "x"], "--stage needs a value"),
        (["--nosuch", "1"], "there is no option --nosuch"),
        (["--PATH=/tmp"], "there is no option --PATH"),
        (["--final-epoch", "yes"], "--final-epoch takes true or false, not 'yes'"),
        (["--final-epoch="], "--final-epoch takes true or false, not ''"),
        (["-x"], "there is no option -x"),
        (["--a[0]=1"], "there is no option --a[0]"),
        (["--config", "nosuch.conf"], "--config: cannot read 'nosuch.conf'"),
        (["--config"], "--config needs a value"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(script, words, message):
    done = script(*words)
    assert done.returncode == 2
    assert done.stderr == f"toy.sh: ERROR: {message} (see toy.sh --help)\n"


def test_a_value_is_never_evaluated(script, tmp_path):
    value = "$(touch hacked)`touch hacked`; touch hacked\n'\"x"
    done = script(f"--init={value}", f"--x[$(touch {tmp_path}/hacked)]=1")
    assert done.returncode == 2
    done = script("--init", value)
    assert f"init={value} rest=" in done.stdout
    assert not (tmp_path / "hacked").exists()


def test_help_prints_the_header_comment(script):
    done = script("--stage", "2", "--help")
    assert (done.returncode, done.stdout) == (0, "Does a thing.\n\nusage: toy.sh [--stage 1] FILE\n")


def test_version_is_sertks(script):
    done = script("--stage", "2", "--version")
    assert (done.returncode, done.stdout) == (0, f"toy.sh (sertk) {sertk.__version__}\n"), done.stderr


def test_config_file_with_windows_line_ends(script, tmp_path):
    (tmp_path / "my.conf").write_bytes(b"# why\r\n\r\n--init=a b\r\n--final-epoch=true\r\n")
    done = script("--config", "my.conf")
    assert done.stdout == "stage=1 final_epoch=true init=a b rest=\n", done.stderr


def test_the_command_line_wins_over_the_config_file(script, tmp_path):
    (tmp_path / "my.conf").write_text("# why\n\n--init=a b=c\n--stage=5\n--final-epoch=true")
    done = script("--stage", "2", "--config", "my.conf", "x")
    assert done.stdout == "stage=2 final_epoch=true init=a b=c rest=x\n", done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--nosuch=1", "there is no option --nosuch"),
        ("stage=1", "'stage=1' is not --name=value"),
        ("--final-epoch=1", "--final-epoch takes true or false, not '1'"),
    ],
)
def test_a_wrong_config_line_is_named_by_file_and_line(script, tmp_path, line, message):
    (tmp_path / "my.conf").write_text(f"--stage=1\n{line}\n")
    done = script("--config=my.conf")
    assert (done.returncode, done.stderr) == (2, f"toy.sh: ERROR: my.conf:2: {message} (see toy.sh --help)\n")


def test_a_scripts_own_variable_config_is_an_option(script):
    done = script("--config", "x.conf", text=SCRIPT.replace("init=\n", "init= config=\n") + 'echo "$config"\n')
    assert done.stdout.endswith("\nx.conf\n"), done.stderr


def test_stages_run_from_stage_to_stop_stage_with_dates(script):
    text = SCRIPT + 'for n in 1 2 3 10; do if at_stage $n "part $n"; then echo "ran $n"; fi; done\n'
    done = script("--stage", "2", "--stop-stage=3", text=text)
    assert [line for line in done.stdout.split("\n") if line.startswith("ran")] == ["ran 2", "ran 3"]
    assert "stage 2: part 2" in done.stdout
    done = script("--stage", "10", "--stop-stage=10", "--stamp", "SIMULATED", text=text)
    assert "stage 10: [SIMULATED] part 10\nran 10" in done.stdout
    done = script("--stage", "two", text=text)
    assert (done.returncode, done.stderr) == (1, "toy.sh: ERROR: --stage and --stop-stage are numbers, not 'two'\n")


def test_a_missing_input_is_named_with_what_makes_it(script):
    done = script(text=SCRIPT + 'need toy.sh "here"; need data/feats.scp "stage 2 makes it"; echo not reached\n')
    assert (done.returncode, done.stderr) == (1, "toy.sh: ERROR: data/feats.scp is missing (stage 2 makes it)\n")
    assert "not reached" not in done.stdout


def test_path_sh_needs_only_sertk_root_where_a_recipe_was_copied(script, tmp_path):
    (tmp_path / "path.sh").write_text((ROOT / "egs" / "mini" / "path.sh").read_text())
    text = "set -euo pipefail\n. ./path.sh\ntype -p make-fbank run-local make_feats.sh\n"
    done = script(text=text, SERTK_ROOT=str(ROOT))
    common = ROOT / "egs" / "common"
    assert done.stdout.split() == [
        f"{ROOT}/bin/make-fbank", f"{common}/utils/run-local", f"{common}/steps/make_feats.sh"
    ]  # fmt: skip
    done = script(text=text, SERTK_ROOT="/nowhere")
    assert done.returncode == 1
    assert "SERTK_ROOT" in done.stderr


def test_features_of_an_imported_network_are_its_own(script, tmp_path):
    """MODEL.fbank.conf beside MODEL.pt, which import-resnet writes; else the recipes' common settings."""
    (tmp_path / "resnet.pt").touch()
    (tmp_path / "resnet.fbank.conf").touch()
    text = SCRIPT.replace('echo "', 'fbank_conf_of "$init" #')
    common = "/root/of/sertk/egs/common/conf/fbank.conf"
    for init, conf in (("resnet.pt", "resnet.fbank.conf"), ("other.pt", common), ("", common)):
        done = script(f"--init={init}", text=text, SERTK_ROOT="/root/of/sertk")
        assert (done.returncode, done.stdout) == (0, f"{conf}\n"), done.stderr


def test_features_of_other_settings_are_refused_where_read(script, tmp_path):
    """By their settings, not by comments; of a call that starts after the stage that makes them and before the last reader."""
    for name in ("one", "two"):
        (tmp_path / name / "feats").mkdir(parents=True)
    (tmp_path / "unknown").mkdir()  # made by hand
    (tmp_path / "conf").write_text("# bins\n--num-mel-bins = 20 # few\r\n\n--low-freq=60\n")
    (tmp_path / "one/feats/fbank.conf").write_text("--num-mel-bins=20\n--low-freq=60\n")
    text = SCRIPT.replace('echo "', "check_feats 3 5 conf one two unknown; check_feats 3 5 <(cat conf) one two #")
    for settings, stages in (("--num-mel-bins=20\n--low-freq=60\n", ()), ("--num-mel-bins=20\n", (3, 5)), ("", (3, 5))):
        (tmp_path / "two/feats/fbank.conf").write_text(settings)
        for stage in (1, 2, 3, 5, 6):
            done = script("--stage", str(stage), text=text)
            message = "two/feats.scp: computed with other settings (two/feats/fbank.conf) than conf: start at stage 2"
            expected = f"toy.sh: ERROR: {message}, or give the same again\n" if stage in stages else ""
            assert (done.returncode, done.stderr) == (int(stage in stages), expected)
    done = script("--stage", "3", text=text.replace("check_feats 3 5 conf one two unknown; ", ""))
    assert "than those of this call: start at stage 2" in done.stderr


def test_models_and_scores_of_more_folds_are_refused(script, tmp_path):
    """The message names what to move away; other folders with numbers in their names are none."""
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds/utt2fold").write_text("a 1\nb 10\nc 2\n")
    for name in ("1", "10", "11.old", "12", "13/log"):
        (tmp_path / "exp" / name).mkdir(parents=True)
    (tmp_path / "exp/11.old/final.pt").touch()
    (tmp_path / "exp/10/final.pt").touch()
    lines = ("only_folds exp folds", 'seeds=0 repeats=1; run=$(run_of exp 0 folds); echo "$run"')
    for line in lines:
        done = script(text=SCRIPT + f"{line}\n")
        assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("exp\n")
    for name in ("final.pt", "scores.ark"):
        (tmp_path / "exp/12" / name).touch()
        message = (
            "exp has fold 12 of an earlier call, this one has 10 folds: move exp/[0-9]* away, or give those folds again"
        )
        for line in lines:
            done = script(text=SCRIPT + f"{line}; echo reached\n")
            assert (done.returncode, done.stderr) == (1, f"toy.sh: ERROR: {message}\n")
            assert "reached" not in done.stdout
        (tmp_path / "exp/12" / name).unlink()


def test_a_table_is_kept_unless_its_command_fails(script, tmp_path):
    """As for commands with process substitutions, and for functions that fail in the middle."""
    functions = SCRIPT + "rows() { cat $1; false; echo more; }\n"
    done = script(text=SCRIPT + "keep_as table cat <(echo one)\n")
    assert (done.returncode, done.stdout.splitlines()[1:], (tmp_path / "table").read_text()) == (0, ["one"], "one\n")
    for line in ("keep_as table cat nosuch", "keep_as table rows <(echo two)"):
        done = script(text=functions + f"{line}\necho reached\n")
        assert done.returncode == 1 and "reached" not in done.stdout and "more" not in done.stdout
        assert (tmp_path / "table").read_text() == "one\n"
