"""The table of draws that heads are trained on, and the vectors that select an epoch."""

import torch
from trainings import transfer_head

from sertk.models.modelfile import load_model


def test_draws_of_another_model_or_too_few_are_refused(toy, call, train, speakers, draws):
    assert (
        "spk0-utt000 has 9 rows, 20 epochs of 3 versions take 60"
        in transfer_head(toy, call, speakers, draws, "--epochs", 20, code=1).err
    )
    train("other", "--epochs", 1)
    assert "made by another model" in transfer_head(toy, call, toy / "other/final.pt", draws, code=1).err
    err = transfer_head(toy, call, speakers, f"scp:{toy}/feats.scp", code=1).err
    assert "rows of 16 numbers, the pooling of" in err


def test_eval_vectors_can_come_through_a_pipe(tmp_path, head_words, call):
    call(
        "embed-segments",
        "--at",
        "pool",
        tmp_path / "model.pt",
        f"scp:{tmp_path}/feats.scp",
        f"ark:{tmp_path}/whole.ark",
    )
    call(*head_words("file", "--select", "oracle", "--eval-vectors", f"ark:{tmp_path}/whole.ark"))
    call(*head_words("pipe", "--select", "oracle", "--eval-vectors", f"ark:cat {tmp_path}/whole.ark |"))
    one, other = (load_model(tmp_path / name / "exp3/2/final.pt").network.state_dict() for name in ("file", "pipe"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_unfit_eval_vectors_are_one_line(toy, call, train, folds, select_heads):
    vectors = ("--eval-vectors", f"scp:{toy}/w.scp")
    assert "--eval-vectors is for --select dev-session" in select_heads(*vectors, code=2).err
    assert "need --eval-vectors" in select_heads("--select", "oracle", code=2).err
    select = ("--select", "dev-session", "--eval-vectors")
    lines = (toy / "w.scp").read_text().splitlines(keepends=True)
    (toy / "few.scp").write_text("".join(lines[2:]))
    assert (
        "2 of 40 segments are not in it, the first is spk0-utt000"
        in select_heads(*select, f"scp:{toy}/few.scp", code=1).err
    )
    train("other", "--epochs", 1)
    call("embed-segments", "--at", "pool", toy / "other/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/o.ark")
    assert "these vectors were made by another model" in select_heads(*select, f"ark:{toy}/o.ark", code=1).err
    call("embed-segments", toy / "speakers/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/e.ark")
    err = select_heads(*select, f"ark:{toy}/e.ark", code=1).err
    assert "spk0-utt000: 8 numbers, the pooling of" in err and "gives 64 (embed-segments --at pool)" in err
    maps = ("--draws", 6, "--at", "map", "--chunk-frames", 24, toy / "speakers/final.pt", f"scp:{toy}/feats.scp")
    call("embed-segments", *maps, f"ark,scp:{toy}/m.ark,{toy}/m.scp")
    err = select_heads(*select, f"scp:{toy}/w.scp", draws=f"scp:{toy}/m.scp", code=1).err
    assert "this head takes maps, not vectors of whole segments: --select last" in err
    assert not (toy / "heads").exists()
