"""What the tests share: binaries called as a user calls them, and the real corpora where they are."""

import importlib
import os
import subprocess
from pathlib import Path

import pytest
from support import CORPORA, ROOT, Result

# A toy network on several threads waits more than it computes, on a busy machine most of all.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture
def call(capfdbinary):
    """Call a binary inside this process: call("score-loso", "utt2label", …) -> Result (fast: nothing is imported twice)."""

    def run(binary: str, *args, code: int | None = 0) -> Result:
        main = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(arg) for arg in args])
        out, err = capfdbinary.readouterr()
        result = Result(exit.value.code, out, err.decode())
        assert code is None or result.code == code, result.err
        return result

    return run


@pytest.fixture
def shell(tmp_path):
    """Run a bash line with bin/ on PATH, in tmp_path: shell("make-fbank … | cmvn-segment …") -> Result."""

    def run(line: str, code: int | None = 0, stdin: bytes = b"", **environment) -> Result:
        env = os.environ | {"PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}"} | environment
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=env, input=stdin, capture_output=True, timeout=600
        )
        result = Result(done.returncode, done.stdout, done.stderr.decode())
        assert code is None or result.code == code, result.err
        return result

    return run


@pytest.fixture(scope="session")
def emodb() -> Path:
    """The folder of EmoDB's recordings (SERTK_CORPORA/emodb)."""
    return _corpus("emodb")


@pytest.fixture(scope="session")
def librispeech() -> Path:
    """The folder of LibriSpeech (SERTK_CORPORA/librispeech)."""
    return _corpus("librispeech")


def _corpus(name: str) -> Path:
    if not (CORPORA / name).is_dir():
        pytest.skip(f"no {name} under {CORPORA} (SERTK_CORPORA names the folder of the corpora)")
    return CORPORA / name
