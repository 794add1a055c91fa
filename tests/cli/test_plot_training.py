"""plot-training: the figure in every format, and what cannot be drawn."""

import json


def write_run(folder, losses, **more):
    folder.mkdir(parents=True)
    records = [{"epoch": n, "loss": loss, "accuracy": 1 / (1 + loss), "learning_rate": 0.01, **more}
               for n, loss in enumerate(losses, 1)]  # fmt: skip
    (folder / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_every_format_is_written(tmp_path, call):
    write_run(tmp_path / "a", [2, 1])
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<svg")):
        call("plot-training", tmp_path / "a", tmp_path / f"out{suffix}")
        assert (tmp_path / f"out{suffix}").read_bytes().startswith(magic)


def test_another_format_and_no_run_are_errors(here, call):
    err = call("plot-training", "a", "out.jpg", code=1).err
    assert err == "plot-training: ERROR: out.jpg: a picture's name ends in .png, .svg or .pdf\n"
    (here / "a").mkdir()
    err = call("plot-training", "a", "out.png", code=1).err
    assert err.startswith("plot-training: ERROR: a") and "train.jsonl" in err and len(err.splitlines()) == 1
    assert not (here / "out.png").exists()
