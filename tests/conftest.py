"""What the tests share: binaries called as a user calls them, and the real corpora where they are."""

import gc
import importlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from bycalling import by_calling  # noqa: F401 (fixture)
from interpreter import as_on_a_gpu
from support import CORPORA, ROOT, Result, call_main, let_children_take, without_commands
from toydata import NETWORK, write_toy_data
from trainings import draws, folds, head_words, select_heads, speakers  # noqa: F401 (fixtures)

# An example may take longer on a busy machine. The same examples every time: what nobody changed does not begin to fail.
# pytest --hypothesis-profile search tries others.
hypothesis.settings.register_profile("sertk", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("sertk")
# What is imported for tests stays: it is searched for cycles neither while it is imported nor afterwards.
gc.disable()
# A toy network on several threads waits more than it computes, on a busy machine most of all.
os.environ["OMP_NUM_THREADS"] = "1"
# The runners are scripts of python3, which needs no packages: one that has none starts in a third of the time. Without .venv
# it is the binaries' Python as well, which must have torch: this one.
if (ROOT / ".venv").exists():
    bare = tempfile.TemporaryDirectory(prefix="sertk-python-")
    venv.create(bare.name, symlinks=True)
    prefix = bare.name
else:
    prefix = sys.prefix
os.environ["PATH"] = f"{prefix}/bin:{os.environ['PATH']}"


def pytest_configure(config):
    """Make every machine compute the same, before torch is imported here or by a process that a test starts.

    What names no device computes on the CPU, unless the tests marked gpu are asked for (-m gpu), and what names no
    precision in float32, by a processor that is kept from its bf16 instructions. Triton's kernels run in its interpreter.
    """
    let_children_take(signal.SIGINT, signal.SIGHUP)  # as tests/egs and tests/runs send them
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    if not re.search(r"(?<!not )\bgpu\b", config.getoption("markexpr")):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["TRITON_INTERPRET"] = "1"


def pytest_collection_finish(session):
    as_on_a_gpu()
    gc.freeze()
    gc.enable()


@pytest.fixture
def call(capfdbinary):
    """Call a binary inside this process: call("score-loso", "utt2label", …) -> Result (fast: nothing is imported twice)."""

    def run(binary: str, *args, code: int | None = 0) -> Result:
        main = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main
        return call_main(main, args, code, capfdbinary)

    return run


@pytest.fixture
def shell(tmp_path):
    """Run a bash line with bin/ on PATH, in tmp_path: shell("make-fbank … | cmvn-segment …") -> Result."""

    def run(line: str, code: int | None = 0, stdin: bytes = b"", **environment) -> Result:
        env = os.environ | {"PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}"} | environment
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=env, input=stdin, capture_output=True, timeout=600
        )
        result = Result(done.returncode, done.stdout, without_commands(done.stderr.decode()))
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


@pytest.fixture(scope="session")
def corpus():
    """The folder of a corpus by name: corpus("ravdess")."""
    return _corpus


def _corpus(name: str) -> Path:
    if not (CORPORA / name).is_dir():
        pytest.skip(f"no {name} under {CORPORA} (SERTK_CORPORA names the folder of the corpora)")
    return CORPORA / name


@pytest.fixture
def feats() -> dict[str, np.ndarray]:
    """Twelve small feature matrices, keys in order."""
    random = np.random.default_rng(0)
    return {
        f"spk{i // 4}-utt{i:02}": (random.normal(size=(int(random.integers(1, 60)), 20)) * 4).astype(np.float32)
        for i in range(12)
    }


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toy(tmp_path):
    """A folder with the toy task's feats.scp, utt2label and utt2fold."""
    return write_toy_data(tmp_path)


@pytest.fixture
def train(toy, call):
    """train("exp/a", "--epochs", 2, …): train-resnet on the toy task, in this process."""

    def run(name, *options, code=0, network=NETWORK):
        return call(
            "train-resnet", *network, *options, f"scp:{toy}/feats.scp", toy / "utt2label", toy / name, code=code
        )

    return run


@pytest.fixture(scope="session")
def stamped_folder(tmp_path_factory):
    """A folder whose results are stamped SIMULATED. Leave it as it is."""
    from report_folder import make

    root = tmp_path_factory.mktemp("report")
    make(root, stamps=("SIMULATED",))
    return root


@pytest.fixture
def undrawn(monkeypatch):
    """Figures without content: exporting them is most of the time of a report whose words are tested."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda _, file, **options: file.write(b'<svg width="1pt"></svg>'))


@pytest.fixture(scope="session")
def page(stamped_folder):
    """The page, its Markdown and its folder, made once; PNG and PDF are drawn of the first figure, for all of them.

    tests/report/test_render.py draws them all (slow).
    """
    from sertk.report.build import Choices, build_report
    from sertk.report.document import Figure
    from sertk.report.render import write_report

    out = stamped_folder / "out"
    report = build_report(stamped_folder / "exp", Choices(data=stamped_folder / "data"))
    first, *others = (item for section in report.sections for item in section.items if isinstance(item, Figure))
    for figure in others:
        vars(figure).update(png=first.png, pdf=first.pdf)
    write_report(report, out)
    return (out / "report.html").read_text(), (out / "report.md").read_text(), out
