"""Trial lists of both forms, their oddities, and cosine scores worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from sertk.errors import SertkError
from sertk.scoring.trials import cosine_scores, is_trial_list, mean_vector, read_embeddings, read_trials


def written(tmp_path, text):
    path = tmp_path / "trials"
    path.write_text(text)
    return path


def listed(trials):
    return [(trials.names[a], trials.names[b], bool(t)) for a, b, t in zip(trials.first, trials.second, trials.target)]


def test_kaldis_form_is_read_in_order(tmp_path):
    trials = read_trials(written(tmp_path, "a b target\na c nontarget\n"))
    assert listed(trials) == [("a", "b", True), ("a", "c", False)]
    assert trials.duplicates == 0


def test_voxcelebs_form_gives_the_recipes_keys(tmp_path):
    text = "1 id10270/5r0dWxy17C8/00001.wav id10270/x6uYqmx31kE/00002.m4a\n0 id10270/5r0dWxy17C8/00001.wav utt-2\n"
    assert listed(read_trials(written(tmp_path, text))) == [
        ("id10270-5r0dWxy17C8-00001", "id10270-x6uYqmx31kE-00002", True),
        ("id10270-5r0dWxy17C8-00001", "utt-2", False),
    ]


def test_an_utterance_called_1_is_no_voxceleb_list(tmp_path):
    trials = read_trials(written(tmp_path, "1 b target\n0 c nontarget\n"))
    assert listed(trials) == [("1", "b", True), ("0", "c", False)]


def test_repeated_pairs_in_either_order_are_counted_and_kept(tmp_path):
    trials = read_trials(written(tmp_path, "a b target\nb a target\na b target\na c nontarget\n"))
    assert trials.duplicates == 2 and len(trials.target) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b target\na b\n", "trials:2: 'a b' is not a trial"),
        ("a b target\na c impostor\n", "trials:2: 'a c impostor' is not a trial"),
        ("a b target\n1 a/b.wav c/d.wav\n", r"trials:2: .* is not a trial \(utt1 utt2 target"),
        ("1 a/b.wav c/d.wav\n2 a/b.wav c/d.wav\n", r"trials:2: .* is not a trial \(1\|0 file1"),
        ("a b target\n\na c nontarget\n", "trials:2: '' is not a trial"),
        ("a b target\na c target\n", "all 2 trials are target"),
        ("a b nontarget\n", "all 1 trials are nontarget"),
        ("", "empty"),
        ("a b target\na c nontarget\nb a nontarget\n", "trials:3: b a is target here and nontarget in line 1"),
    ],
)
def test_lists_that_are_not_trials_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(SertkError, match=message):
        read_trials(written(tmp_path, text))


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.booleans())
def test_scores_equal_scikit_learns_cosine_similarity(seed, subtract):
    rng = np.random.default_rng(seed)
    vectors = {f"u{n}": rng.normal(3, 1, 16).astype(np.float32) for n in range(8)}
    mean = mean_vector(vectors.items(), "here") if subtract else None
    embeddings = read_embeddings(vectors.items(), vectors, mean, "here")
    assert embeddings.present.all()
    pairs = rng.integers(0, 8, (30, 2))
    trials = type("T", (), {"first": pairs[:, 0], "second": pairs[:, 1], "target": pairs[:, 0]})
    rows = np.array(list(vectors.values()), dtype=np.float64) - (0 if mean is None else mean)
    expected = cosine_similarity(rows)[pairs[:, 0], pairs[:, 1]]
    assert embeddings.lengths == pytest.approx(np.linalg.norm(rows, axis=1))
    assert cosine_scores(trials, embeddings.matrix) == pytest.approx(expected, abs=1e-6)


def test_the_mean_is_that_of_the_vectors_given():
    assert mean_vector([("a", np.array([1.0, 2.0])), ("b", np.array([3.0, 6.0]))], "x").tolist() == [2, 4]
    with pytest.raises(SertkError, match="x: b has 1 dimensions, those before it 2"):
        mean_vector([("a", np.array([1.0, 2.0])), ("b", np.array([3.0]))], "x")


@pytest.mark.parametrize(
    ("table", "mean", "message"),
    [
        ([("a", [1.0, 2.0]), ("z", [1.0])], None, "e: z has 1 dimensions, those before it 2"),
        ([("a", [1.0, 2.0])], [1.0, 2.0, 3.0], "e: a has 2 dimensions, the mean 3"),
        ([("a", [0.0, 0.0])], None, "e: a is all zeros"),
        ([("a", [1.0, 2.0])], [1.0, 2.0], "e: a is all zeros"),
        ([("z", [1.0, 2.0])], None, "e: no embedding of any utterance"),
    ],
)
def test_embeddings_of_length_0_or_another_size_are_named(table, mean, message):
    with pytest.raises(SertkError, match=message):
        read_embeddings(
            [(key, np.array(vector)) for key, vector in table],
            ["a", "b"],
            None if mean is None else np.array(mean),
            "e",
        )


def test_what_is_not_there_is_told_apart():
    embeddings = read_embeddings([("b", np.array([0.0, 2.0]))], ["a", "b"], None, "e")
    assert embeddings.present.tolist() == [False, True] and embeddings.lengths.tolist() == [0, 2]
    assert embeddings.matrix.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b target\n", True),
        ("1 id1/v/1.wav id2/v/2.wav\n", True),
        ("a happy\n", False),
        ("", False),
        ("a b c\n", False),
    ],
)
def test_a_trial_list_is_told_from_a_map_of_labels(tmp_path, text, expected):
    assert is_trial_list(written(tmp_path, text)) == expected
    assert not is_trial_list(tmp_path / "none")
