"""Values of several tables side by side."""

import numpy as np
import pytest

from sertk.kaldi.paste import paste
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """table("a", {key: array}): the rspecifier of an archive."""

    def write(name, values):
        kind = "matrix" if next(iter(values.values())).ndim == 2 else "vector"
        with table_writer(f"ark:{tmp_path}/{name}.ark", kind=kind) as put:
            for key, value in values.items():
                put(key, value)
        return parse_rspecifier(f"ark:{tmp_path}/{name}.ark")

    return write


def vectors(keys, dim):
    return {key: RNG.normal(size=dim).astype(np.float32) for key in keys}


def test_vectors_are_joined_key_by_key_in_any_order(table):
    a, b, c = vectors("pqrs", 3), vectors("srqp", 2), vectors("qspr", 1)
    skipped = []
    joined = dict(paste([table("a", a), table("b", b), table("c", c)], lambda *why: skipped.append(why)))
    assert list(joined) == list("pqrs") and not skipped
    for key, value in joined.items():
        np.testing.assert_array_equal(value, np.concatenate([a[key], b[key], c[key]]))


def test_keys_that_a_table_lacks_are_named_once(table):
    sources = [table("a", vectors("pqrs", 3)), table("b", vectors("qrt", 2)), table("c", vectors("prst", 2))]
    skipped = []
    assert [key for key, _ in paste(sources, lambda *why: skipped.append(why))] == ["r"]
    assert skipped == [
        ("p", f"not in {sources[1]}"), ("q", f"not in {sources[2]}"), ("s", f"not in {sources[1]}"),
        ("t", f"not in {sources[0]}"),
    ]  # fmt: skip


def test_vectors_beside_draws_are_on_every_row(table):
    draws = {key: RNG.normal(size=(rows, 4)).astype(np.float32) for key, rows in (("p", 3), ("q", 2), ("r", 2))}
    other = {key: RNG.normal(size=(2, 1)).astype(np.float32) for key in "pqr"}
    aux, skipped = vectors("pqr", 2), []
    joined = dict(paste([table("d", draws), table("a", aux), table("o", other)], lambda *why: skipped.append(why)))
    assert skipped == [("p", "matrices of 2 and 3 rows")]
    np.testing.assert_array_equal(joined["q"], np.hstack([draws["q"], np.tile(aux["q"], (2, 1)), other["q"]]))
