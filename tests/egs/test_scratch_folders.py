"""Recipes copied to a scratch folder, called from anywhere, over corpora that nobody may write to (slow)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT

pytestmark = pytest.mark.slow
EGS = ROOT / "egs"
TINY = "--channels=2\n--blocks=1,1,1,1\n--embedding-dim=8\n--chunk-frames=50\n--augment=none\n--epochs=1\n"
DRAWS = "--draws=1\n--chunk-frames=50\n--augment=none\n"


def contents(folder: Path) -> dict[str, int]:
    """Every file below a folder but Python's own cache, with the time of its last change."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if not {"__pycache__", ".git", ".venv", ".pytest_cache", ".ruff_cache"} & set(path.parts) and path.is_file()
    }


@pytest.fixture
def scratch(tmp_path):
    """A scratch folder with copies of all recipes, tiny settings, and an empty folder to call them from."""
    for recipe in ("mini", "emodb", "voxceleb", "iemocap"):
        ignored = shutil.ignore_patterns("data", "exp", "corpus", "__pycache__")
        shutil.copytree(EGS / recipe, tmp_path / "copies" / recipe, ignore=ignored)
    for name in ("speaker", "scratch", "finetune"):
        for recipe in ("mini", "emodb"):
            options = TINY if name != "finetune" else "--chunk-frames=50\n--augment=none\n--epochs=1\n"
            (tmp_path / "copies" / recipe / "conf" / f"{name}.conf").write_text(options)
            (tmp_path / "copies" / recipe / "conf" / "draws.conf").write_text(DRAWS)
            (tmp_path / "copies" / recipe / "conf" / "head.conf").write_text("--epochs=1\n")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def run_and_look(scratch, recipe, corpora, work, *words):
    """Run a copied recipe from elsewhere; nothing may have changed but its folder `work`."""
    watched = [scratch / "copies", ROOT, *corpora]
    before = [contents(folder) for folder in watched]
    done = subprocess.run(
        [scratch / "copies" / recipe / "run.sh", "--work", f"../{work}", *map(str, words)],
        cwd=scratch / "elsewhere",
        env=os.environ | {"SERTK_ROOT": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [contents(folder) for folder in watched] == before
    assert not any((scratch / "elsewhere").iterdir())


def test_mini_writes_to_its_work_folder_only(scratch):
    corpus = scratch / "corpus"
    words = [EGS / "mini" / "local" / "simulate_speech.py", "--speakers", "12", "--trial-speakers", "8", corpus]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    subprocess.run(words, env=environment, check=True, capture_output=True)
    for path in corpus.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    run_and_look(scratch, "mini", [corpus], "work", "--stage", "2", "--corpus", "../corpus", "--exp", "1")
    assert (scratch / "work" / "RESULTS").exists()
    assert (scratch / "work/iemocap/exp/exp1_scratch/results.json").exists()
    # The two recipes that it has called, themselves copied, over the features that are there.
    conf, init = scratch / "copies/mini/conf", scratch / "work/voxceleb/exp/resnet34/final.pt"
    feats = ["--fbank-conf", conf / "fbank.conf"]
    tiny = ["--draws-conf", conf / "draws.conf", "--head-conf", conf / "head.conf", "--simulated", "true", "--exp", "1"]
    run_and_look(scratch, "iemocap", [corpus], "work/iemocap", "--stage", "3", "--init", init, *feats, *tiny)
    run_and_look(
        scratch, "voxceleb", [corpus], "work/voxceleb", "--stage", "3", "--speaker-conf", conf / "speaker.conf",
        "--large-margin-conf", conf / "large-margin.conf", "--perturb-conf=", *feats,
    )  # fmt: skip


def test_emodb_writes_to_its_work_folder_only(scratch, librispeech, emodb):
    words = ["--librispeech", librispeech, "--emodb", emodb, "--train-per-speaker", "1", "--nj", "2"]
    run_and_look(scratch, "emodb", [librispeech, emodb], "work", *words)
    assert (scratch / "work/exp/emodb/results.json").exists() and (scratch / "work/exp/report/report.html").exists()
