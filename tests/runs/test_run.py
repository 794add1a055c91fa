"""A run's folder: lock, finished check, --restart."""

import pytest
from trainings import train_words

from sertk.atomic import only_process_in
from sertk.runs.run import RESTARTS


def test_finished_run_is_left_unchanged(toy, train, call):
    train("exp", "--epochs", 2)
    before = {path: path.read_bytes() for path in (toy / "exp").iterdir()}
    err = call("train-resnet", *train_words(toy, "exp", "--epochs", 2, "--num-threads", 2)).err
    assert f"{toy}/exp/final.pt: finished with these settings and data, skipped" in err
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before
    err = train("exp", "--epochs", 1, code=1).err
    assert "state.pt: 2 epochs are finished, more than --epochs 1 (--restart true" in err
    records = toy / "exp/train.jsonl"
    records.write_text(records.read_text().splitlines(keepends=True)[0])  # killed before the second was written
    train("exp", "--epochs", 2)
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before


def test_finished_model_without_state_is_not_overwritten(toy, train):
    train("exp", "--epochs", 1)
    (toy / "exp/state.pt").unlink()
    before = (toy / "exp/final.pt").read_bytes()
    assert "skipped" in train("exp", "--epochs", 1).err
    err = train("exp", "--epochs", 1, "--seed", 3, code=1).err
    assert "final.pt: belongs to another run (seed=0, now it is 3) and would be overwritten (--restart true" in err
    assert (toy / "exp/final.pt").read_bytes() == before
    (toy / "exp/final.pt").write_bytes(before[:99])
    assert "cut short (99 bytes): trained again" in train("exp", "--epochs", 1).err
    assert (toy / "exp/final.pt").read_bytes() == before


def test_restart_moves_the_old_run_aside(toy, train):
    train("exp", "--epochs", 1)
    train("exp", "--epochs", 2, "--learning-rate", 0.5, "--restart", "true")
    assert (toy / "exp.old.1/final.pt").exists() and (toy / "exp/train.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize("name", ["TORCHELASTIC_RUN_ID", "SLURM_JOB_ID"])
def test_restart_happens_once_per_job(toy, train, monkeypatch, name):
    train("exp", "--epochs", 2)
    again = ("--epochs", 2, "--restart", "true")
    monkeypatch.setenv(name, "7")
    monkeypatch.setenv(RESTARTS[name], "1")
    train("exp", *again)  # the job was started again before this call had its turn
    assert (toy / "exp.old.1/final.pt").exists()
    (toy / "exp/final.pt").unlink()  # killed before it was written
    assert "resuming after epoch 2" in train("exp", *again).err and not (toy / "exp.old.2").exists()
    monkeypatch.setenv(name, "8")
    train("exp", *again)
    assert (toy / "exp.old.2").exists()


def test_restart_keeps_a_link_to_the_folder(toy, train, monkeypatch):
    train("real", "--epochs", 1)
    (toy / "exp").symlink_to(toy / "real")
    assert f"the old run is now {toy}/real.old.1" in train("exp", "--epochs", 1, "--restart", "true").err
    assert (toy / "exp").is_symlink() and (toy / "real/final.pt").exists()


def test_two_runs_cannot_share_a_folder(toy, train):
    train("exp", "--epochs", 1)
    before = {path: path.read_bytes() for path in (toy / "exp").iterdir()}
    with only_process_in(toy / "exp"):
        for more in ((), ("--restart", "true")):
            assert f"{toy}/exp: another process is writing in it" in train("exp", "--epochs", 2, *more, code=1).err
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before
