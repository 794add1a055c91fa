"""sertk's shell helpers and Kaldi's on one PATH, in either order, and Kaldi's utils linked into a recipe of ours."""

import os
import shutil
import subprocess

import pytest
from support import ROOT

COMMON = ROOT / "egs" / "common"
OURS = [path for path in (*(COMMON / "utils").iterdir(), *(COMMON / "steps").iterdir(), *(ROOT / "bin").iterdir())]
KALDIS = {
    name
    for line in (ROOT / "tests" / "egs" / "kaldi_names.txt").read_text().splitlines()
    if not line.startswith("#")
    for name in line.split()
}


@pytest.fixture
def kaldi(tmp_path):
    """A folder with a file of each of Kaldi's names; each ends what sources or runs it with 99."""
    folder = tmp_path / "kaldi"
    folder.mkdir()
    (folder / "any").write_text("exit 99\n")
    (folder / "any").chmod(0o755)
    for name in KALDIS:
        (folder / name).symlink_to("any")
    return folder


def test_no_helper_has_a_name_of_kaldis():
    assert {"parse_options.sh", "split_data.sh", "make_mfcc.sh", "copy-feats"} <= KALDIS
    assert not {path.name for path in OURS} & KALDIS
    modules = {path.stem for path in OURS if path.suffix == ".py"}
    assert not modules & {name.removesuffix(".py") for name in KALDIS}


@pytest.mark.parametrize("first", ["ours", "Kaldi's"])
def test_helpers_work_in_either_order_on_path(kaldi, tmp_path, first):
    ours = [ROOT / "bin", COMMON / "utils", COMMON / "steps"]
    folders = [*ours, kaldi] if first == "ours" else [kaldi, *ours]
    path = ":".join(map(str, [*folders, os.environ["PATH"]]))
    line = "run-local a.log make_feats.sh --help \\; score_folds.sh --help && cat a.log && parse_options.sh"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.count("usage: ") == 2, done.stdout + done.stderr
    assert done.returncode == 99  # Kaldi's name is Kaldi's file


def test_recipe_with_links_to_kaldis_utils_and_steps(kaldi, tmp_path):
    recipe = tmp_path / "recipe"
    shutil.copytree(ROOT / "egs" / "mini", recipe)
    (recipe / "utils").symlink_to(kaldi)
    (recipe / "steps").symlink_to(kaldi)
    line = "./run.sh --help && . ./path.sh && make_feats.sh --help"
    env = os.environ | {"SERTK_ROOT": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], cwd=recipe, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == 2
