"""predict-emotion: posteriors of whole segments, of one fold or of all."""

from pathlib import Path

import numpy as np
from scipy.special import softmax

from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model


def test_only_segments_of_the_fold_must_have_features(box, call):
    lines = (box / "feats.scp").read_text().splitlines(keepends=True)
    (box / "part.scp").write_text("".join(lines[1:]))
    (box / "fold").write_text("".join(f"{line.split()[0]} 1\n" for line in lines))
    before = (box / "exp/exp1/1/scores.ark").read_bytes()
    options = ("--utt2fold", "fold", "--fold", 1, "exp/exp1/1/final.pt", "scp:part.scp", "ark:exp/exp1/1/scores.ark")
    err = call("predict-emotion", *options, code=1).err
    assert [line for line in err.splitlines() if "WARNING" in line] == [
        f"predict-emotion: WARNING: skipped {lines[0].split()[0]}: in fold 1, but has no features"
    ]
    assert "1 of 6 skipped" in err and (box / "exp/exp1/1/scores.ark").read_bytes() == before


def test_posteriors_follow_the_labels_of_the_manifest(box, call):
    call("predict-emotion", "exp/exp1/1/final.pt", "scp:feats.scp", "ark:p.ark")
    labels = read_manifest("ark:p.ark").settings["labels"]
    assert labels == load_model(Path("exp/exp1/1/final.pt")).labels
    posteriors = dict(read_table("ark:p.ark", kind="vector"))
    assert list(posteriors) == [line.split()[0] for line in (box / "feats.scp").read_text().splitlines()]
    for vector in posteriors.values():
        assert vector.shape == (len(labels),) and abs(vector.sum() - 1) < 1e-5


def test_a_fold_without_segments_is_an_error(box, call):
    options = ("--utt2fold", "exp/folds/utt2fold", "--fold", 9, "exp/exp1/1/final.pt")
    err = call("predict-emotion", *options, "scp:feats.scp", "ark:p.ark", code=1).err
    assert err == "predict-emotion: ERROR: exp/folds/utt2fold: no segment is in fold 9\n"
    assert not (box / "p.ark").exists()


def test_all_folds_in_one_call_have_the_bytes_of_their_own_calls(box, call):
    options = ("--num-threads", 1, "--utt2fold", "exp/folds/utt2fold")
    for fold in (1, 2, 3):
        alone = ("--fold", fold, f"exp/exp1/{fold}/final.pt", "scp:data/all/feats.scp", f"ark:alone.{fold}.ark")
        call("predict-emotion", *options, *alone)
    several = ("exp/exp1/FOLD/final.pt", "scp:data/all/feats.scp")
    err = call("predict-emotion", *options, "--fold", "all", *several, "ark:all.FOLD.ark").err
    assert err.count("Done 10, skipped 0") == 3
    call("predict-emotion", *options, "--fold", "3,1", *several, "ark:two.FOLD.ark")
    for fold in (1, 2, 3):
        alone = (box / f"alone.{fold}.ark").read_bytes()
        assert (box / f"all.{fold}.ark").read_bytes() == alone
        assert fold == 2 or (box / f"two.{fold}.ark").read_bytes() == alone
    assert not (box / "two.2.ark").exists()
    # All folds or none: the last one has no model.
    (box / "exp/exp1/3/final.pt").unlink()
    err = call("predict-emotion", *options, "--fold", "1,2,3", *several, "ark:two.FOLD.ark", code=1).err
    assert err.splitlines()[-1] == "predict-emotion: ERROR: exp/exp1/3/final.pt: No such file or directory"
    assert not (box / "two.2.ark").exists() and not list(box.glob("*.tmp"))


def test_scores_of_a_head_that_was_trained_again_are_refused(box, call):
    words = ("exp/folds/utt2label", "exp/folds/utt2fold", "exp/exp1")
    call("score-loso", *words)
    (box / "exp/exp1/2/final.pt").write_bytes((box / "exp/exp1/1/final.pt").read_bytes())
    err = call("score-loso", *words, code=1).err
    assert "exp/exp1/2/scores.ark: not by exp/exp1/2/final.pt, which was trained again since (predict-emotion" in err


def test_posteriors_of_an_averaged_margin_network(toy, train, call):
    """Emotions by a margin loss with sub-centres: written out from the embeddings and the average of the centres."""
    fold = ("--utt2fold", toy / "utt2fold", "--fold", 1)
    train("exp", "--epochs", 2, "--keep", 2, "--loss", "am", "--scale", 12, "--subcentres", 2, *fold)
    call("average-models", toy / "exp/epoch.1.pt", toy / "exp/epoch.2.pt", toy / "mean.pt")
    words = ("--precision", "float32", toy / "mean.pt", f"scp:{toy}/feats.scp")
    call("predict-emotion", *fold, *words, f"ark:{toy}/scores.ark")
    call("embed-segments", *words, f"ark:{toy}/embeddings.ark")
    embeddings = dict(read_table(f"ark:{toy}/embeddings.ark", kind="vector"))
    epochs = [load_model(toy / f"exp/epoch.{n}.pt").network.head.output.weight.detach().numpy() for n in (1, 2)]
    centres = np.mean(epochs, axis=0)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    posteriors = dict(read_table(f"ark:{toy}/scores.ark", kind="vector"))
    assert len(posteriors) == 20
    for key, found in posteriors.items():
        cosines = centres @ embeddings[key] / np.linalg.norm(embeddings[key])
        np.testing.assert_allclose(found, softmax(12 * cosines.reshape(4, 2).max(axis=1)), atol=1e-5)
