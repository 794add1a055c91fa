"""The recipes' preparation scripts, called inside this process; the runners, with a stand-in for Slurm on PATH."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing
from support import ROOT, Result, call_main

from sertk.datadir.lists import write_list

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
def folds_of_jobs(tmp_path):
    """What jobs a step starts: folds_of_jobs("--device", "cpu", cores=4) -> the --fold of each, of five folds.

    The step is predict_folds.sh, or step=…, with the runner cmd=…, on a machine with so many cores and GPUs. queue.pl
    stands for a cluster. What the jobs call prints its arguments and is looked for in their logs.
    """
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (tmp_path / "folds").mkdir()
    write_list(tmp_path / "folds/utt2fold", {f"u{n}": str(1 + n % 5) for n in range(9)})
    path = os.pathsep.join(map(str, (stubs, UTILS, UTILS.parent / "steps", ROOT / "bin", os.environ["PATH"])))

    def run(*options, step="predict_folds.sh", after=(), cmd="run-local --max-jobs-run 4", cores=4, gpus=0):
        listed = [f"GPU {number}: NVIDIA H100 (UUID: GPU-{number})" for number in range(gpus)]
        stub = {
            "predict-emotion": 'echo "called $*"',
            "train-resnet": 'echo "called $*"',
            "nproc": f"echo ${{OMP_NUM_THREADS:-{cores}}}",
            "nvidia-smi": "\n".join([*(f"echo '{line}'" for line in listed), f"exit {int(not gpus)}"]),
            "queue.pl": 'exec run-local "$@"',
        }
        for name, line in stub.items():
            (stubs / name).write_text(f"#!/bin/bash\n{line}\n")
            (stubs / name).chmod(0o755)
        words = [step, "--cmd", cmd, *options, "scp:feats.scp", "folds", "exp", *after]
        env = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
        env.pop("CUDA_VISIBLE_DEVICES", None)  # conftest.py hides all GPUs by it
        subprocess.run(words, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=120)
        logs = sorted((tmp_path / "exp/log").glob("*.log"))
        called = [
            line.split()[1:] for log in logs for line in log.read_text().splitlines() if line.startswith("called ")
        ]
        for log in logs:
            log.unlink()
        run.words = called
        return [words[words.index("--fold") + 1] for words in called]

    return run


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
