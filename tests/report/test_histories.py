"""Learning curves as they are read."""

import pytest

from sertk.report.histories import read_histories


def test_folds_are_read_in_the_order_of_their_numbers(tmp_path):
    """The folder's own records first; other folders and runs without records are no folds."""
    for name in ("", "2", "10", "old"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "train.jsonl").write_text(f'{{"epoch": 1, "loss": {len(name)}, "dev_ua": null}}\n')
    (tmp_path / "3").mkdir()
    found = read_histories(tmp_path)
    assert list(found) == ["", "2", "10"] and found["10"] == [{"epoch": 1, "loss": 2, "dev_ua": None}]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"epoch": 2, "loss": \xff}', "not a JSON object: 'utf-8' codec can't decode byte 0xff"),
        (b'{"epoch": 2,', "not a JSON object: "),
        (b'[["epoch", 2], ["loss", 1]]', 'not a JSON object: [["epoch", 2], ["loss", 1]]'),
        (b"[" * 100_000, "not a JSON object: "),
        (b'{"epoch": 2, "lost": 1}', "epoch record without 'loss'"),
        (b'{"loss": 1}', "epoch record without 'epoch'"),
        (b'{"epoch": null, "loss": 1}', "epoch record without 'epoch'"),
        (b'{"epoch": 2, "loss": "high"}', "'loss' is \"high\", expected a number"),
        (b'{"epoch": 2, "loss": 1, "accuracy": [1]}', "'accuracy' is [1], expected a number"),
        (b'{"epoch": 2, "loss": true}', "'loss' is true, expected a number"),
        (b'{"epoch": 2, "loss": 1%s}' % (b"0" * 400), "'loss' is 1" + "0" * 79 + ", expected a number"),
        (b'{"epoch": 2.5, "loss": 1}', "'epoch' is 2.5, expected 1, 2"),
        (b'{"epoch": 0, "loss": 1}', "'epoch' is 0, expected 1, 2"),
    ],
)
def test_a_line_that_is_no_epochs_record_is_named(tmp_path, call, line, said):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/train.jsonl").write_bytes(b'{"epoch": 1, "loss": 2}\n' + line + b"\n")
    err = call("plot-training", tmp_path / "a", tmp_path / "out.png", code=1).err
    assert f"a/train.jsonl:2: {said}" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()
