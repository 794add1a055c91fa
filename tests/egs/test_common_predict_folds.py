"""predict_folds.sh: which jobs classify which folds."""

import os
import subprocess

import pytest
from support import ROOT

COMMON = ROOT / "egs" / "common"


def test_jobs_share_the_folds_as_the_cores_allow(folds_of_jobs):
    assert folds_of_jobs() == ["1,5", "2", "3", "4"]
    assert folds_of_jobs("--num-threads", "2") == ["1,3,5", "2,4"]
    assert folds_of_jobs("--num-threads", "8") == ["1,2,3,4,5"]
    assert folds_of_jobs(cores=64) == ["1", "2", "3", "4", "5"]
    assert folds_of_jobs("--nj", "3") == ["1,4", "2,5", "3"]
    for words in folds_of_jobs.words:
        assert words[-3:] == ["exp/FOLD/final.pt", "scp:feats.scp", "ark:exp/FOLD/scores.ark"]


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


def test_a_gpu_predicts_all_folds_in_one_process(folds_of_jobs):
    assert folds_of_jobs(gpus=1) == folds_of_jobs("--device", "cuda:1", gpus=2) == ["1,2,3,4,5"]
    assert folds_of_jobs("--device", "cpu", gpus=1) == ["1,5", "2", "3", "4"]


def test_on_a_cluster_one_job_takes_all_folds(folds_of_jobs):
    assert folds_of_jobs(cmd="queue.pl") == ["1,2,3,4,5"]
