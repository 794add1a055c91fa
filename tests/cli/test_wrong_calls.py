"""Wrong calls: each ends in one line that says what is wrong with what, and leaves every file as it was."""

import os
import shlex
import shutil
from pathlib import Path

import pytest
from support import ROOT
from wrong_calls_data import DATA
from wrong_calls_models import MODEL, MODELS
from wrong_calls_scores import SCORES

# bad/ is made by the fixture `place`; existing files are named as outputs, so that a call that fails must leave them as
# they were.
CALLS = DATA | MODELS | SCORES
MISUSE = (
    "Missing argument",
    "requires an argument",
    "not a valid",
    "neither true nor false",
    "' is not one of '",
    "go together",
    "is for --",
    "is for binary tables",
)


def make_bad(here: Path):
    """bad/: files that are not what they should be."""
    bad = here / "bad"
    bad.mkdir()
    texts = {
        "empty": "", "one-column": "a\n", "missing.scp": "a interview.wav\nb nowhere.wav\n",
        "noise.scp": "a bad/noise\nb bad/noise\n", "backwards": "a Ses1F-ang 0.4 0.1\n", "strangers": "stranger x\n",
        "offset.scp": "a fbank.ark:99999999\n", "unknown-map": "ang ang\nbored neu\n",
        "unknown.conf": "--epochs=2\n--epoch=2\n", "trials": "a b maybe\n",
        "temperature.json": '{"calibration": {"temperatures": {"1": 0, "2": 1}}}',
        "own-trials": "trainspk0-0 trainspk0-1 target\ntrainspk0-0 trainspk1-1 nontarget\n",
        "one-label": "".join(f"{line.split()[0]} x\n" for line in (here / "utt2spk").read_text().splitlines()),
        "narrow.ark": "a [ 1 2 3\n 4 5 6 ]\nb [ 1 2 3\n 3 2 1 ]\n", "narrow-labels": "a x\nb y\n",
        "nan.ark": "a [ 1 2 nan 4\n 1 2 3 4 ]\n",
    }  # fmt: skip
    for name, text in texts.items():
        (bad / name).write_text(text)
    (bad / "noise").write_bytes(bytes(range(256)) * 8)
    (bad / "pickle.ark").write_bytes(b"a PKL\x80\x04N.")
    cut = {
        "cut.ark": "fbank.ark",
        "cut.pt": MODEL,
        "cut-scores.ark": "exp/exp1/1/scores.ark",
        "cut-draws.ark": "draws.ark",
    }
    for name, source in cut.items():
        content = (here / source).read_bytes()
        (bad / name).write_bytes(content[: len(content) - 10])
    for name in ("ark", "scp", "manifest"):
        shutil.copy(here / f"fbank.{name}", bad / f"changed.{name}")
    content = bytearray((bad / "changed.ark").read_bytes())
    content[-1] ^= 1
    (bad / "changed.ark").write_bytes(content)
    script = (bad / "changed.scp").read_text()
    (bad / "changed.scp").write_text(script.replace(" fbank.ark", " bad/changed.ark"))
    labels = (here / "exp/folds/utt2label").read_text()
    (bad / "unknown-labels").write_text(labels.replace(" ang\n", " bored\n"))
    folders = {
        "data": {"utt2spk": "a-1 a extra\n", "wav.scp": "a-1 interview.wav\n", "utt2label": "a-1\n"},
        "disjoint": {"utt2spk": "a-1 a\n", "wav.scp": "b-1 interview.wav\n"},
        "twice": {"utt2spk": "a b\na c\n", "wav.scp": "a interview.wav\n"},
        "one-dialog": {"utt2label": "a ang\nb ang\n", "utt2session": "a 1\nb 2\n"},
    }
    for folder, lists in folders.items():
        (bad / folder).mkdir()
        for name, text in lists.items():
            (bad / folder / name).write_text(text)


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    """A copy of the sandbox with bad/ in it."""
    folder = tmp_path_factory.mktemp("wrong") / "box"
    shutil.copytree(made, folder)
    make_bad(folder)
    return folder


def files(folder: Path) -> dict:
    entries = (entry for root, _, _ in os.walk(folder) for entry in os.scandir(root))
    return {entry.path: entry.stat().st_mtime_ns for entry in entries if entry.is_file()}


@pytest.mark.parametrize(("binary", "words", "said"), [(name, *one) for name, many in CALLS.items() for one in many])
def test_a_wrong_call_is_one_clear_line_and_changes_nothing(call, place, monkeypatch, binary, words, said):
    monkeypatch.chdir(place)
    before = files(place)
    result = call(binary, *shlex.split(words), code=None)
    assert result.code == 2 if any(piece in result.err for piece in MISUSE) else result.code in (1, 2)
    lines = result.err.splitlines()
    errors = [line for line in lines if line.startswith(f"{binary}: ERROR: ")]
    assert len(errors) == 1 and said in errors[0], result.err
    assert all(line.startswith(f"{binary}: ") for line in lines), result.err
    assert len([line for line in lines if ": WARNING: " not in line]) <= 2, result.err
    assert result.out == b"" or binary in ("validate-data", "classify-audio")
    assert files(place) == before


def test_every_binary_has_its_wrong_calls():
    binaries = {path.name for path in (ROOT / "bin").iterdir()} - {"launch"}
    assert set(CALLS) == binaries and min(map(len, CALLS.values())) >= 5
