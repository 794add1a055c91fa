"""Posteriors: read in the test's order, from a table or an experiment folder, and checked."""

import os
import zipfile

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.tables import table_writer
from sertk.scoring.posteriors import guesses_of, read_posteriors, read_runs, truth_of

LABELS = ["ang", "neu"]
VECTORS = {"u1": [0.25, 0.75], "u2": [0.5, 0.5]}


def written(path, vectors, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    with table_writer(f"ark:{path}", kind="vector", settings=settings or None) as write:
        for key, vector in vectors.items():
            write(key, np.array(vector, np.float32))
    return f"ark:{path}"


def test_rows_follow_the_keys_and_ties_go_to_the_first_label(tmp_path):
    scored = read_posteriors(written(tmp_path / "p.ark", VECTORS), ["u2", "u1"], LABELS)
    assert scored.posteriors.tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert scored.guess.tolist() == [0, 1] and guesses_of([scored, scored]).shape == (2, 2)


def test_a_folder_of_folds_is_one_set_of_posteriors(tmp_path):
    for fold, key in enumerate(VECTORS, 1):
        written(tmp_path / f"{fold}/scores.ark", {key: VECTORS[key]}, trained_on={"fold": str(fold)})
    scored = read_posteriors(tmp_path, ["u1", "u2"], LABELS)
    assert scored.folds == {"u1": 1, "u2": 2}
    assert [run.source for run in read_runs(str(tmp_path), ["u1", "u2"], LABELS)] == [str(tmp_path)]


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ({"u1": [0.5, 0.5]}, "u2 is in the test"),
        (VECTORS | {"u3": [1, 0]}, "u3 is scored"),
        (VECTORS | {"u2": [1, 0, 0]}, "u2: 3 posteriors for 2 labels"),
        (VECTORS | {"u2": [0.6, 0.6]}, "u2: not probabilities"),
    ],
)
def test_posteriors_that_do_not_fit_are_refused(tmp_path, vectors, words):
    with pytest.raises(SertkError, match=words):
        read_posteriors(written(tmp_path / "p.ark", vectors), ["u1", "u2"], LABELS)


def test_scores_of_an_earlier_model_are_refused(tmp_path):
    """By the last digest in the model file beside them; the others are of what it was made of."""
    digests = ["a" * 64, "b" * 64]
    with table_writer(f"ark:{tmp_path}/scores.ark", kind="vector", settings={"model": digests[1]}) as write:
        write("u", np.array([0.5, 0.5], np.float32))

    def read():
        return read_posteriors(tmp_path, ["u"], ("ang", "neu"))

    for written in (digests, None, digests[::-1]):
        if written:
            with zipfile.ZipFile(tmp_path / "final.pt", "w") as file:
                file.writestr("final/data.pkl", f"init {written[0]} digest {written[1]}.")
        else:
            (tmp_path / "final.pt").write_text("of another toolkit")
        os.utime(tmp_path / "final.pt", ns=(2**62, 2**62))
        if written == digests[::-1]:
            with pytest.raises(SertkError, match=r"scores.ark: not by .*final.pt, which was trained again since"):
                read()
            os.utime(tmp_path / "final.pt", ns=(0, 0))  # then they were computed by another model on purpose
        read()


def test_labels_become_indices_and_unknown_ones_are_named():
    assert truth_of({"u1": "neu", "u2": "ang"}, LABELS, "utt2label").tolist() == [1, 0]
    with pytest.raises(SertkError, match="utt2label: u1: label 'sad' is not one of ang neu"):
        truth_of({"u1": "sad"}, LABELS, "utt2label")
