"""predict_folds.sh: which jobs classify which folds."""

import os
import subprocess

import pytest
from support import ROOT

from sertk.datadir.lists import write_list

COMMON = ROOT / "egs" / "common"


@pytest.fixture
def folds_of_jobs(tmp_path):
    """folds_of_jobs("--device", "cpu", cores=4): the --fold of each job, of five folds, on a machine with so many cores."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (tmp_path / "folds").mkdir()
    write_list(tmp_path / "folds/utt2fold", {f"u{n}": str(1 + n % 5) for n in range(9)})
    path = os.pathsep.join(map(str, (stubs, COMMON / "utils", COMMON / "steps", ROOT / "bin", os.environ["PATH"])))

    def run(*options, cores=4, gpu=False):
        stub = {
            "predict-emotion": 'echo "predict $*"',
            "nproc": f"echo ${{OMP_NUM_THREADS:-{cores}}}",
            "nvidia-smi": f"exit {int(not gpu)}",
        }
        for name, line in stub.items():
            (stubs / name).write_text(f"#!/bin/bash\n{line}\n")
            (stubs / name).chmod(0o755)
        words = ["predict_folds.sh", "--cmd", "run-local --max-jobs-run 4", *options, "scp:feats.scp", "folds", "exp"]
        env = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
        subprocess.run(words, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=120)
        logs = sorted((tmp_path / "exp/log").glob("predict.*.log"))
        called = [line.split() for log in logs for line in log.read_text().splitlines() if line.startswith("predict ")]
        for log in logs:
            log.unlink()
        for words in called:
            assert words[-3:] == ["exp/FOLD/final.pt", "scp:feats.scp", "ark:exp/FOLD/scores.ark"]
        return [words[words.index("--fold") + 1] for words in called]

    return run


def test_jobs_share_the_folds_as_the_cores_allow(folds_of_jobs):
    assert folds_of_jobs() == ["1,5", "2", "3", "4"]
    assert folds_of_jobs("--num-threads", "2") == ["1,3,5", "2,4"]
    assert folds_of_jobs("--num-threads", "8") == ["1,2,3,4,5"]
    assert folds_of_jobs(cores=64) == ["1", "2", "3", "4", "5"]
    assert folds_of_jobs("--nj", "3") == ["1,4", "2,5", "3"]


def test_old_scores_and_results_do_not_outlast_a_failure(folds_of_jobs, tmp_path):
    """Scores are deleted before the first job; results when scoring begins, which here has no score-loso that works."""
    (tmp_path / "exp/2").mkdir(parents=True)
    old = [tmp_path / "exp" / name for name in ("2/scores.ark", "2/scores.manifest", "results.json", "RESULTS")]
    for path in old:
        path.write_text("old")
    folds_of_jobs()
    assert [path.exists() for path in old] == [False, False, True, True]
    (tmp_path / "feats.scp").write_text("")
    for stub in ("score-loso", "predict-emotion"):
        (tmp_path / "stubs" / stub).write_text("#!/bin/bash\nexit 1\n")
        (tmp_path / "stubs" / stub).chmod(0o755)
    path = os.pathsep.join(map(str, (tmp_path / "stubs", COMMON / "utils", COMMON / "steps", os.environ["PATH"])))
    words = ["score_folds.sh", "feats.scp", "folds", "exp"]
    assert subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, timeout=120
    ).returncode
    assert not any(path.exists() for path in old)


def test_scores_of_more_folds_stop_the_prediction(folds_of_jobs, tmp_path):
    (tmp_path / "exp/6").mkdir(parents=True)
    (tmp_path / "exp/6/scores.ark").touch()
    with pytest.raises(subprocess.CalledProcessError) as error:
        folds_of_jobs()
    assert b"exp has fold 6 of an earlier call, this one has 5 folds: move exp/[0-9]* away" in error.value.stderr
    assert not (tmp_path / "exp/1").exists()


def test_a_gpu_takes_all_folds_in_one_process(folds_of_jobs):
    assert folds_of_jobs(gpu=True) == folds_of_jobs("--device", "cuda:1") == ["1,2,3,4,5"]
    assert folds_of_jobs("--device", "cpu", gpu=True) == ["1,5", "2", "3", "4"]
