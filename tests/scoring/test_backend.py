"""Scores of a trial list from embeddings: what the backend keeps, and who must not be in other data."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer
from sertk.scoring.backend import Backend, keep_apart
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard
from sertk.scoring.options import NormOptions
from sertk.scoring.trials import Trials

TRIALS = Trials(["a", "b", "c"], np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([True, False, False]), 0)
SPEAKERS = {"a": "ann", "b": "ann", "c": "carl"}


def test_scored_trials_know_their_kinds_and_speakers(tmp_path):
    with table_writer(f"ark:{tmp_path}/e.ark", kind="vector") as write:
        for key, vector in {"a": [3, 4], "b": [0, 2], "c": [5, 0]}.items():
            write(key, np.array(vector, np.float32))
    scored = Backend(None, None, NormOptions(), 0).score(TRIALS, SPEAKERS, parse_rspecifier(f"ark:{tmp_path}/e.ark"))
    assert [scores.tolist() for scores in scored.of_kinds()] == [pytest.approx([0.8]), pytest.approx([0.6, 0])]
    assert [side.tolist() for side in scored.speaker_indices()] == [[0, 0, 0], [0, 1, 1]]
    assert scored.embeddings.lengths.tolist() == [5, 2, 5] and scored.cohort is None and scored.settings == {}


@pytest.mark.parametrize(
    ("keys", "people", "message"),
    [
        (["x", "a"], [], "the cohort has utterance a of the trials"),
        (["sp0.9-a", "b-noise"], ["zoe"], "the cohort has utterance a and 1 more of the trials"),
        (["x"], ["carl", "zoe"], "the cohort has speaker carl of the trials"),
        (["x"], ["sp1.1-ann"], "the cohort has speaker ann of the trials"),
    ],
)
def test_utterances_and_speakers_of_the_trials_are_a_leak(keys, people, message):
    """Also under the names of perturbed copies."""
    corpus = Corpus(TRIALS.names, {"speaker": SPEAKERS}, ("speaker",), trials=True)
    with pytest.raises(SertkError, match=message):
        keep_apart(Guard(), "the cohort", keys, people, corpus)
    guard = Guard(i_know=True)
    keep_apart(guard, "the cohort", keys, people, corpus)
    assert guard.stamps == ["LEAKY"] and len(guard.leaks) == 1


def test_other_people_of_the_map_may_be_in_the_cohort():
    """A utt2spk of training and test (score-trials --utt2spk) knows speakers that no trial has."""
    corpus = Corpus(TRIALS.names, {"speaker": SPEAKERS | {"x": "zoe"}}, ("speaker",), trials=True)
    guard = Guard()
    keep_apart(guard, "the cohort", ["x"], ["zoe"], corpus)
    assert guard.state == "clean"
