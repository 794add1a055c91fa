"""train_folds.sh: which jobs train the networks of which folds."""

import pytest


@pytest.fixture
def folds(folds_of_jobs):
    """folds(cmd, "--nj", 2, …, gpus=1) -> the --fold of each job."""
    after = ("--config", "my settings.conf", "--seed", "3")
    return lambda cmd, *options, **machine: folds_of_jobs(
        *options, step="train_folds.sh", after=after, cmd=cmd, **machine
    )


def test_cores_share_the_folds(folds, folds_of_jobs):
    assert folds("run-local", "--num-threads", "2") == ["1,3,5", "2,4"]
    assert folds("run-local", "--device", "cpu", gpus=1) == ["1,5", "2", "3", "4"]
    assert folds("run-local", "--nj", "5") == ["1", "2", "3", "4", "5"]
    assert " ".join(folds_of_jobs.words[2]) == (
        "--config my settings.conf --seed 3 --num-threads 1 --utt2fold folds/utt2fold --fold 3 scp:feats.scp"
        " folds/utt2label exp/FOLD"
    )


def test_one_gpu_trains_all_folds_in_one_process(folds):
    for cmd in ("run-local", "run-local --mem 4G --gpu 1", "run-local --gpu=1"):
        assert folds(cmd, gpus=1) == ["1,2,3,4,5"], cmd
    assert folds("run-local", "--device", "cuda:1", gpus=2) == ["1,2,3,4,5"]
    assert folds("run-local", gpus=2) == ["1,2,3,4,5"]  # all jobs would compute on the first


def test_gpus_share_the_folds(folds):
    assert folds("run-local --gpu 1", gpus=2) == ["1,3,5", "2,4"]
    assert folds("run-local --gpu 1", "--num-threads", "4", gpus=8) == ["1", "2", "3", "4", "5"]
    assert folds("run-local --gpu 2", gpus=5) == ["1,3,5", "2,4"]
    assert folds("run-local --jobs-per-gpu 3 --gpu 1", gpus=1) == ["1,4", "2,5", "3"]


def test_a_cluster_has_a_job_for_each_fold(folds):
    assert folds("queue.pl --mem 16G") == ["1", "2", "3", "4", "5"]
