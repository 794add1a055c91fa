"""Speaker verification: the figures of a trial list worked by hand, and their line."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer
from sertk.scoring.verification import as_line, score

# Cosines of a with b, c and d: 1, 0 and -1.
VECTORS = {"a": [1, 0], "b": [2, 0], "c": [0, 1], "d": [-1, 0]}
TRIALS = "a b target\na c nontarget\na d nontarget\n"


@pytest.fixture
def embeddings(tmp_path):
    with table_writer(f"ark:{tmp_path}/e.ark", kind="vector") as write:
        for key, vector in VECTORS.items():
            write(key, np.array(vector, np.float32))
    return parse_rspecifier(f"ark:{tmp_path}/e.ark")


def test_separable_trials_have_no_error(tmp_path, embeddings):
    (tmp_path / "trials").write_text(TRIALS)
    results, _ = score(tmp_path / "trials", embeddings)
    assert results["eer"] == 0 and set(results["min_dcf"].values()) == {0.0}
    assert (results["trials"], results["targets"], results["nontargets"]) == (3, 1, 2)
    line = as_line(results)
    assert line.startswith(
        "%EER 0.00 minDCF(0.01) 0.0000 minDCF(0.05) 0.0000 minCllr 0.0000 [ 3 trials, 1 target, cosine, "
    )


def test_trials_without_an_embedding_are_left_out_up_to_max_skip(tmp_path, embeddings):
    (tmp_path / "trials").write_text(TRIALS + "a e target\n")
    results, _ = score(tmp_path / "trials", embeddings, max_skip=0.25)
    assert results["left_out"] == 1 and results["missing"] == ["e"] and "1 left out" in as_line(results)
    with pytest.raises(SertkError, match=r"1 of 4 trials have no embedding \(e, …\)"):
        score(tmp_path / "trials", embeddings, max_skip=0.2)
