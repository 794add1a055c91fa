"""bin/launch: a checkout's binaries in any environment, or one line that says what is missing."""

import os
import shutil
import subprocess
import sys

import pytest
from support import ROOT

REMEDY = "call make run (or pip install .)"


def run(binary, *args, **environment):
    done = subprocess.run([str(binary), *args], capture_output=True, text=True, env=environment, timeout=60)
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.fixture
def checkout(tmp_path):
    """A checkout without an environment."""
    shutil.copytree(ROOT / "bin", tmp_path / "clone/bin", symlinks=True)
    (tmp_path / "clone/sertk").symlink_to(ROOT / "sertk")
    return tmp_path / "clone"


def python3(folder, *lines):
    """A PATH whose python3 runs these lines of Python before what it is given, without this environment's packages."""
    path = folder / "python" / "python3"
    path.parent.mkdir(exist_ok=True)
    rest = ("program, sys.argv = sys.argv[2], ['-c', *sys.argv[3:]]", "exec(program)")
    path.write_text("\n".join([f"#!{sys.executable} -IS", "import sys", *lines, *rest, ""]))
    path.chmod(0o755)
    return f"{path.parent}:/usr/bin:/bin"


def venv(checkout, python, config="home = /usr/bin\n"):
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/pyvenv.cfg").write_text(config)
    if python is not None:
        (checkout / ".venv/bin/python").symlink_to(python)


@pytest.mark.parametrize("kind", ["none", "dangling", "home gone"])
def test_no_environment_is_one_line_with_the_remedy(checkout, tmp_path, kind):
    if kind == "dangling":
        venv(checkout, "/root/.pyenv/versions/9/bin/python")
    if kind == "home gone":
        venv(checkout, sys.executable, f"home = {tmp_path}/gone\n")
    code, out, err = run(checkout / "bin/make-fbank", "--help", PATH=python3(tmp_path))
    assert (code, out) == (1, "")
    where = f"{checkout}/.venv is not there (or cannot be run), and python3 lacks click"
    assert err == [f"make-fbank: ERROR: {where}: {REMEDY}"]


def test_python_that_is_no_program_ends_with_the_remedy(checkout, tmp_path):
    (tmp_path / "python").write_text("\x7fELF")
    (tmp_path / "python").chmod(0o755)
    venv(checkout, tmp_path / "python")
    (tmp_path / "bin").mkdir()
    for name in ("env", "bash"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    code, _, err = run(checkout / "bin/make-fbank", "--help", PATH=str(tmp_path / "bin"))
    where = f"{checkout}/.venv is not there (or cannot be run), and no python3 is on PATH"
    assert code == 1 and err[-1] == f"make-fbank: ERROR: {where}: {REMEDY}"


def test_environment_that_lacks_packages_is_named(checkout, tmp_path):
    python3(tmp_path)
    (tmp_path / "python/python3").write_text(f'#!/bin/sh\nexec {sys.executable} -IS "$@"\n')
    venv(checkout, tmp_path / "python/python3")
    code, _, err = run(checkout / "bin/make-fbank", "--help", PATH="/usr/bin:/bin")
    assert code == 1 and err == [f"make-fbank: ERROR: {checkout}/.venv lacks click: {REMEDY}"]


def test_old_python_is_one_line(checkout, tmp_path):
    path = python3(tmp_path, "sys.version_info = (3, 9, 2, 'final', 0)")
    code, _, err = run(checkout / "bin/score-loso", "--help", PATH=path)
    assert code == 1 and len(err) == 1
    assert f"python3 is Python 3.9, expected 3.11 or later: {REMEDY}" in err[0]


@pytest.mark.parametrize("name", ["launch", "make-coffee"])
def test_name_of_no_binary_is_one_line(checkout, tmp_path, name):
    if name != "launch":
        (checkout / "bin" / name).symlink_to("launch")
    code, out, err = run(checkout / "bin" / name, "--help", PATH=python3(tmp_path))
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith(f"{name}: ERROR: there is no binary of this name: ")


@pytest.fixture
def foreign(tmp_path):
    """A PYTHONPATH with packages that are another Python's."""
    for name in ("numpy", "click", "scipy", "struct", "sertk"):
        (tmp_path / "foreign" / name).mkdir(parents=True)
        (tmp_path / "foreign" / name / "__init__.py").write_text("raise ImportError('of another Python')\n")
    return str(tmp_path / "foreign")


needs_venv = pytest.mark.skipif(not os.access(ROOT / ".venv/bin/python", os.X_OK), reason="this checkout has no .venv")


@needs_venv
def test_foreign_pythonpath_is_for_pipes_alone(tmp_path, foreign):
    """The checkout's packages are not mixed with it, and a pipe's command still finds it in its environment."""
    command = f"echo $PYTHONPATH > {tmp_path}/seen; printf 'k [ 1 2\\n3 5 ]\\n' |"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": foreign}
    code, out, err = run(ROOT / "bin/cmvn-segment", f"ark:{command}", "ark,t:-", **environment)
    assert code == 0, err
    assert out.split() == ["k", "[", "-1.0", "-1.0", "1.0", "1.0", "]"]
    assert (tmp_path / "seen").read_text().strip() == foreign


@needs_venv
def test_recipe_does_not_mix_environments(foreign):
    line = f"cd {ROOT}/egs/mini && . ./path.sh && python3 -c 'import numpy, sertk; print(1)'"
    assert run("/bin/bash", "-c", line, PATH="/usr/bin:/bin", PYTHONPATH=foreign) == (0, "1\n", [])


def test_foreign_packages_of_python3_are_named(checkout, tmp_path, foreign):
    path = python3(tmp_path, f"sys.path.append({foreign!r})")
    code, _, err = run(checkout / "bin/make-fbank", "--help", PATH=path)
    assert code == 1 and len(err) == 1 and "cannot be imported (of another Python)" in err[0] and REMEDY in err[0]


@needs_venv
def test_bare_environment_and_links_from_elsewhere(tmp_path):
    """No HOME, no locale; called through a link, and from bin itself."""
    (tmp_path / "score").symlink_to(ROOT / "bin/score-loso")
    (tmp_path / "fix-data").symlink_to(ROOT / "bin/fix-data")
    assert run(tmp_path / "fix-data", "--help", PATH="/usr/bin:/bin")[0] == 0
    line = f"cd {ROOT}/bin && ./cmvn-segment --help && cd .. && LC_ALL=C bin/cmvn-segment --help"
    assert run("/bin/sh", "-c", line, PATH="/usr/bin:/bin")[0] == 0


def test_installed_binary_names_pythonpath_as_the_fault(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/__init__.py").write_text("raise ImportError('you should not try to import numpy from here')\n")
    line = f"import sys; sys.path.append({str(ROOT)!r}); from sertk.cli.cmvn_segment import main; main()"
    words = ("-c", line, "--print-args=false", "ark:x.ark", "ark:-")
    code, out, err = run(sys.executable, *words, PATH="/usr/bin", PYTHONPATH=str(tmp_path))
    assert (code, out, len(err)) == (1, "", 1)
    assert "cmvn-segment: ERROR:" in err[0] and f"unset PYTHONPATH (now {tmp_path})" in err[0]
