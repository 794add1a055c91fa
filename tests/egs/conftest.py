"""The recipes' preparation scripts, called inside this process; the runners, with a stand-in for Slurm on PATH."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing
from support import ROOT, Result, call_main

UTILS = ROOT / "egs" / "common" / "utils"


@pytest.fixture
def prepare(capfdbinary):
    """Call a script of a recipe: prepare("emodb/local/prepare_emodb.py", …), NAME=value) -> Result.

    NAME=value replaces a global of the script.
    """

    def run(script: str, *args, code: int | None = 0, **replaced) -> Result:
        spec = importlib.util.spec_from_file_location("script", ROOT / "egs" / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in replaced.items():
            assert hasattr(module, name)
            setattr(module, name, value)
        return call_main(module.main, args, code, capfdbinary)

    return run


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what recipes call, for tests of minutes that compare models byte by byte.

    A model's card has a digest of the code: an edit or a merge in the checkout meanwhile would change it.
    """
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("bin", "egs/common", "sertk"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    if (ROOT / ".venv").exists():
        (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A real Slurm of this machine's own, for the tests of a module; they are skipped where it is not installed."""
    if missing():
        pytest.skip(missing())
    slurm = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture
def slurm_environment(tmp_path) -> dict[str, str]:
    """An environment in which Slurm's programs are the stand-in's; its state is in tmp_path/slurm/state."""
    programs, state = tmp_path / "slurm" / "bin", tmp_path / "slurm" / "state"
    programs.mkdir(parents=True)
    state.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel"):
        (programs / name).write_text(f'#!/bin/bash\nexec python3 {programs}/{name}.py "$@"\n')
        (programs / name).chmod(0o755)
        (programs / f"{name}.py").symlink_to(ROOT / "tests" / "helpers" / "standin_slurm.py")
    return os.environ | {"STANDIN_SLURM": str(state), "PATH": f"{programs}:{UTILS}:{os.environ['PATH']}"}


@pytest.fixture
def call_runner(tmp_path, slurm_environment):
    """Call a runner in tmp_path: call_runner("run-slurm", "JOB=1:3", "JOB.log", "true", NAME=value) -> CompletedProcess."""

    def call(runner, *words, timeout=60, **environment):
        return subprocess.run(
            [UTILS / runner, *words],
            cwd=tmp_path,
            env=slurm_environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return call


@pytest.fixture
def start_slurm(tmp_path):
    """Start a run-slurm in tmp_path and leave it: start_slurm(runner, environment, words) -> Popen."""
    drivers = []

    def start(runner, environment, words):
        words = " ".join(map(str, words)).split()
        drivers.append(
            subprocess.Popen([runner, *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        )
        return drivers[-1]

    yield start
    for driver in drivers:  # one that is left would wait for ever for a Slurm that is gone
        driver.kill()
        driver.wait()


@pytest.fixture
def start_driver(cluster, checkout, start_slurm):
    """Start a run-slurm of the checkout on the real Slurm: start_driver("JOB=1:2 JOB.log sleep 3") -> Popen."""
    utils = checkout / "egs" / "common" / "utils"
    environment = cluster.environment | {
        "PATH": f"{checkout / 'bin'}:{utils}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    return lambda *words: start_slurm(utils / "run-slurm", environment, words)


@pytest.fixture
def run_slurm(call_runner):
    """Call run-slurm with all words of some strings: run_slurm("--gpu 1", "x.log sleep 3") -> CompletedProcess."""
    return lambda *words: call_runner("run-slurm", *" ".join(words).split())


@pytest.fixture
def slurm_state(tmp_path) -> Path:
    """The stand-in's folder of arrays."""
    return tmp_path / "slurm" / "state"
