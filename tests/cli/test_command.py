"""What all binaries have in common: how options are given, and what becomes of a standard output that fails."""

import errno
import importlib
import json
import os
import signal
import subprocess

import numpy as np
import pytest
import soundfile
from support import ROOT, without_commands

import sertk
from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_table


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a recording in wav.scp, three labelled segments in data, and posteriors of a table of two folds."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 16000)
    write_list("wav.scp", {"a": "a.wav"})
    (tmp_path / "data").mkdir()
    write_list("data/utt2label", {f"{n}-{label}": label for n in (1, 2) for label in ("ang", "neu")})
    write_list("data/utt2session", {f"{n}-{label}": str(n) for n in (1, 2) for label in ("ang", "neu")})
    return tmp_path


def num_bins(*options, call):
    call("make-fbank", *options, "scp:wav.scp", "ark,t:feats.txt")
    ((_, feats),) = read_table("ark:feats.txt")
    return feats.shape[1]


@pytest.mark.parametrize(
    "words", [["--num-mel-bins", "8"], ["--num-mel-bins=8"], ["--num_mel_bins=8"], ["--num_mel-bins", "8"]]
)
def test_options_take_blank_or_equals_and_underscores(here, call, words):
    assert num_bins(*words, call=call) == 8


def test_options_stand_before_between_and_after_the_arguments(here, call):
    call("make-fbank", "scp:wav.scp", "--num-mel-bins=8", "ark:x.ark", "--verbose", 0)
    assert (here / "x.ark").exists()


def test_a_config_file_sets_options_and_the_command_line_wins(here, call):
    (here / "a.conf").write_text("# Kaldi's form\n\n--num-mel-bins=8   # as few as that\n--use_energy=true\n")
    assert num_bins("--config", "a.conf", call=call) == 9
    assert num_bins("--config=a.conf", "--num-mel-bins=7", call=call) == 8
    assert num_bins("--num-mel-bins=7", "--config=a.conf", call=call) == 8
    (here / "b.conf").write_text("--num-mel-bins=6\n")
    assert num_bins("--config=a.conf", "--config=b.conf", call=call) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"--num-mel-bins=8\n--num-bins=8\n", "a.conf:2: make-fbank has no setting '--num-bins=8'"),
        (b"--num-mel-bins 8\n", "a.conf:1: make-fbank has no setting '--num-mel-bins 8'"),
        (b"num-mel-bins=8\n", "a.conf:1: make-fbank has no setting"),
        (b"--config=b.conf\n", "a.conf:1: make-fbank has no setting '--config=b.conf'"),
        (b"\n--num-mel-bins=many\n", "a.conf:2: --num-mel-bins: 'many' is not a valid integer"),
        (b"--use-energy=2\n", "a.conf:1: --use-energy: '2' is neither true nor false"),
        (b"--use-energy=\n", "a.conf:1: --use-energy: '' is neither true nor false"),
        (b"--num-mel-bins\n", "a.conf:1: --num-mel-bins needs a value"),
        (b"--version\n", "a.conf:1: make-fbank has no setting '--version'"),
        (b"--num-mel-bins=8\n\xff\n", "a.conf:2: not UTF-8"),
        (
            b"\xef\xbb\xbf--num-mel-bins=8\n",
            "a.conf:1: begins with a byte order mark (Windows); a config file is UTF-8",
        ),
    ],
)
def test_a_wrong_line_of_a_config_file_is_named(here, call, text, said):
    (here / "a.conf").write_bytes(text)
    result = call("make-fbank", "--config", "a.conf", "scp:wav.scp", "ark:x.ark", code=1)
    assert said in result.err and len(result.err.splitlines()) == 1 and "Kaldi" not in result.err


@pytest.mark.parametrize(
    "text",
    [
        b"--num-mel-bins=8\n--use-energy\n",
        b"--num-mel-bins=8\r\n--use-energy=T\r\n",
        b"--num_mel_bins = 8 # few\n--USE-ENERGY=true",
        b"--num-mel-bins=8\n\n   --use-energy=1\n--verbose=3\n--print-args=false\n",
    ],
)
def test_config_files_are_read_as_kaldi_reads_them(here, call, text):
    (here / "a.conf").write_bytes(text)
    assert num_bins("--config", "a.conf", call=call) == 9


def test_an_empty_config_value_does_not_take_the_next_word(here, call):
    (here / "a.conf").write_text("--num-mel-bins=8\n")
    for words in (["--config=", "a.conf"], ["--config", "", "a.conf"]):
        err = call("make-fbank", *words, "scp:wav.scp", "ark:x.ark", code=2).err
        assert "'--config' requires a file" in err and len(err.splitlines()) == 1


def test_a_config_file_that_is_missing_or_not_named(here, call):
    assert "no.conf: cannot be read" in call("make-fbank", "--config=no.conf", "scp:wav.scp", "ark:x.ark", code=1).err
    assert "'--config' requires a file" in call("make-fbank", "--config", code=2).err


@pytest.mark.parametrize(
    ("words", "bins"),
    [
        (["--use-energy"], 9),
        (["--use-energy", "--snip-edges"], 9),
        (["--use-energy=T"], 9),
        (["--Use_Energy=TRUE"], 9),
        (["--use-energy", "t"], 9),
        (["--use-energy=1"], 9),
        (["--use-energy=f"], 8),
        (["--use-energy", "False"], 8),
        (["--use-energy", "0"], 8),
        (["--use-energy=0"], 8),
    ],
)
def test_booleans_are_read_as_kaldi_reads_them(here, call, words, bins):
    assert num_bins("--num-mel-bins=8", *words, call=call) == bins


@pytest.mark.parametrize("value", ["yes", "no", "on", "", "truee", "2"])
def test_a_boolean_that_is_neither_is_misuse(here, call, value):
    result = call("make-fbank", f"--cmvn={value}", "scp:wav.scp", "ark:x.ark", code=2)
    assert f"'{value}' is neither true nor false" in result.err


def test_a_wrong_word_behind_a_boolean_is_taken_as_its_value(here, call):
    err = call("make-fbank", "--cmvn", "yes", "scp:wav.scp", "ark:x.ark", code=2).err
    assert "'yes' is neither true nor false" in err


def test_a_boolean_alone_is_true_wherever_it_stands(here, call):
    call("make-fbank", "scp:wav.scp", "ark,t:x.txt", "--num-mel-bins=8", "--use-energy")
    ((_, feats),) = read_table("ark:x.txt")
    assert feats.shape[1] == 9


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_that_is_none_is_misuse(here, call, value):
    result = call("make-fbank", f"--max-overshoot={value}", "scp:wav.scp", "ark:x.ark", code=2)
    assert "--max-overshoot" in result.err


@pytest.mark.parametrize("words", [["--seed", 10**22], ["--num-threads", 10**11], ["--seed", 2**63], ["--seed", -1]])
def test_a_number_that_torch_does_not_take_is_misuse(here, call, words):
    err = call("make-fbank", *words, "scp:wav.scp", "ark:x.ark", code=2).err
    assert f"Invalid value for '{words[0]}': {words[1]} is not in the range" in err and len(err.splitlines()) == 1


def test_torch_takes_the_greatest_seed(call, here):
    import torch

    from sertk.training.loop import seeded

    call("make-fbank", "--seed", 2**63 - 1, "scp:wav.scp", "ark:x.ark")
    assert seeded(lambda: torch.rand(1), 2**63 - 1) != seeded(lambda: torch.rand(1), 0)


def test_the_command_comes_first_as_it_was_given(here, capfd):
    words = ["--num-mel-bins=8", "scp:wav.scp", "ark:a b'$c.ark"]
    main = importlib.import_module("sertk.cli.make_fbank").main
    for more, echoed in (([], True), (["--verbose", "0"], True), (["--print-args=false"], False)):
        with pytest.raises(SystemExit):
            main([*words, *more])
        first = capfd.readouterr().err.splitlines()[:1]
        line = subprocess.run(["bash", "-c", f"printf '%s\\n' {first[0]}"], capture_output=True, text=True).stdout
        assert (line.splitlines() == ["make-fbank", *words, *more]) == echoed


@pytest.mark.parametrize("verbose", [-1, 0, 1, 2, 3, 10])
def test_verbose_takes_any_number(here, call, verbose):
    err = call("make-fbank", f"--verbose={verbose}", "scp:wav.scp", "ark:x.ark").err
    assert err == ("make-fbank: Done 1, skipped 0\n" if verbose > 0 else "")


def test_version_and_the_usage_without_arguments(call):
    for path in sorted((ROOT / "bin").iterdir()):
        if path.name != "launch":
            assert call(path.name, "--version").text == f"{path.name} (sertk) {sertk.__version__}\n"
            bare = call(path.name, code=2)
            assert bare.out == b"" and bare.err == call(path.name, "--help").text


@pytest.mark.parametrize(("given", "count"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"),
                                              ({"OMP_WAIT_POLICY": "ACTIVE"}, None)])  # fmt: skip
def test_waiting_threads_sleep_unless_the_user_says_otherwise(call, monkeypatch, given, count):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # restored afterwards, also where a binary sets it
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    call("make-fbank", "--version")
    assert os.environ.get("GOMP_SPINCOUNT") == count


def test_verbose_0_says_nothing_of_what_went_well(here, call):
    assert call("make-fbank", "--verbose", 0, "scp:wav.scp", "ark:x.ark").err == ""
    assert call("make-fbank", "scp:wav.scp", "ark:x.ark").err == "make-fbank: Done 1, skipped 0\n"


# One that writes a table, one that prints what it found, and --help.
WRITERS = [
    "make-fbank scp:wav.scp ark:-",
    "make-fbank scp:wav.scp ark,t:-",
    "validate-data data",
    "make-folds --help",
]


@pytest.fixture
def bash(here):
    """Run a line: bash(line) -> (exit status, standard error)."""

    def run(line):
        path = f"{ROOT / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", line], env=os.environ | {"PATH": path}, capture_output=True, text=True)
        return done.returncode, without_commands(done.stderr)

    return run


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_line_and_exit_1(bash, writer):
    code, err = bash(f"{writer} > /dev/full")
    assert code == 1 and "ERROR: standard output: " in err and "No space left on device" in err
    assert len(err.splitlines()) == 1


def test_a_full_disk_elsewhere_is_not_taken_for_standard_output(here, call, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as TensorBoard's writer does, without a file

    monkeypatch.setattr("sertk.cli.make_folds.write_folds", full)
    err = call("make-folds", "data", "folds", code=1).err
    assert err.splitlines()[-1] == "make-folds: ERROR: No space left on device"


def test_a_full_disk_is_told_where_python_does_not_buffer(bash):
    code, err = bash("PYTHONUNBUFFERED=1 validate-data data > /dev/full")
    assert code == 1 and err.startswith("validate-data: ERROR: standard output: No space left on device")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_closed_standard_output_is_one_line_and_exit_1(bash, writer):
    code, err = bash(f"{writer} >&-")
    assert code == 1 and "ERROR: standard output is closed" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("writer", [*WRITERS, "make-fbank --version"])
def test_a_reader_that_is_gone_ends_a_binary_by_sigpipe(bash, writer):
    # The reader has left for certain when the writer begins.
    code, err = bash(f"mkfifo p; (exec <p) & {{ wait $!; {writer}; }} >p")
    assert (code, err) == (128 + signal.SIGPIPE, "")


def test_a_closed_reader_of_stderr_ends_a_binary_by_sigpipe(bash, here):
    code, _ = bash("mkfifo p; (exec <p) & { wait $!; make-fbank scp:wav.scp ark:x.ark; } 2>p")
    assert code == 128 + signal.SIGPIPE and not (here / "x.ark").exists()


def test_a_command_that_fails_behind_an_output_pipe_is_an_error(here, call):
    err = call("make-fbank", "scp:wav.scp", "ark:| exit 3", code=1).err
    assert "the command exited with 3" in err and len(err.splitlines()) == 1


def test_log_that_cannot_be_written_costs_only_the_log(here, call, monkeypatch):
    """A job of hours must not end because the disk of its log is full."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stderr", full)
        call("make-fbank", "--num-mel-bins=8", "scp:wav.scp", "ark:x.ark", code=0)
    assert [key for key, _ in read_table("ark:x.ark")] == ["a"]


def test_results_go_to_stdout_and_messages_to_stderr(here, call):
    result = call("make-folds", "data", "folds")
    assert result.out == b"" and result.err.startswith("make-folds: fold 1: 1 ang, 1 neu\n")
    assert json.loads((here / "folds/scheme.json").read_text())["scheme"] == "loso"


def test_control_c_is_one_line_and_the_status_of_an_interrupt(here, call, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    call("make-fbank", "scp:wav.scp", "ark:x.ark")
    monkeypatch.setattr("sertk.frontend.cmvntable.normalised_alone", interrupt)
    err = call("cmvn-segment", "ark:x.ark", "ark:y.ark", code=130).err
    assert err.strip() == "cmvn-segment: ERROR: interrupted" and not (here / "y.ark").exists()
