"""Strings in arrays, and their hashes."""

import numpy as np

from sertk.kaldi.words import Words, hash_spans, hash_word


def test_vectorised_hashes_equal_single_ones():
    words = [bytes(range(i % 50)) + b"%d" % i for i in range(2000)] + [b"", b"\0", b"\0\0"]
    found = Words.of(words).hashes()
    assert found.tolist() == [hash_word(word) for word in words] and len(set(found.tolist())) == len(words)
    assert hash_spans(np.frombuffer(b"xabcx", np.uint8), np.array([1, 1]), np.array([4, 1])).tolist() == [
        hash_word(b"abc"), hash_word(b"")]  # fmt: skip


def test_words_are_a_sequence_of_str():
    words = [f"{i:x}" for i in range(10_000)]
    found = Words.of(word.encode() for word in words)
    assert list(found) == words and found == words and found[9_998:] == words[9_998:] and found[-1] == words[-1]
    assert not list(Words.of([]))
