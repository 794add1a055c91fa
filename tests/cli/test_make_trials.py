"""make-trials as a user calls it."""

import pytest


@pytest.fixture
def data(tmp_path):
    (tmp_path / "utt2spk").write_text("".join(f"{s}{n} {s}\n" for s in "ab" for n in range(3)))
    (tmp_path / "utt2session").write_text("".join(f"{s}{n} {n // 2}\n" for s in "ab" for n in range(3)))
    return tmp_path


def test_a_list_that_score_trials_reads_is_written(call, data):
    result = call("make-trials", data, data / "trials")
    assert result.err == f"make-trials: wrote {data}/trials: 15 trials, 6 of them targets\n"
    lines = (data / "trials").read_text().splitlines()
    assert lines[:3] == ["a0 a1 target", "a0 a2 target", "a0 b0 nontarget"] and len(lines) == 15
    call("make-trials", "--number", 2, "--apart", data / "utt2session", data, data / "trials")
    lines = (data / "trials").read_text().splitlines()
    assert len(lines) == 4 and sum(line.endswith(" target") for line in lines) == 2 and "a0 a1 target" not in lines


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--number", "-1"], 2, "--number"),
        (["--same", "nowhere"], 1, "nowhere: cannot be read"),
        (["--seed", "-1"], 2, "--seed"),
    ],
)
def test_a_wrong_call_is_one_line(call, data, options, code, message):
    result = call("make-trials", *options, data, data / "trials", code=code)
    assert message in result.err and result.err.count("\n") == 1 and not (data / "trials").exists()
    (data / "utt2spk").unlink()
    assert "utt2spk: cannot be read" in call("make-trials", data, data / "trials", code=1).err
