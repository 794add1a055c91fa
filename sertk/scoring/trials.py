"""Trial lists, and their cosine scores.

Two forms: Kaldi's `utt1 utt2 target|nontarget`, and VoxCeleb's `1 id10270/5r0dWxy17C8/00001.wav id…` (veri_test.txt,
veri_test2.txt, list_test_all.txt …), whose files are the keys `id10270-5r0dWxy17C8-00001`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_lines, read_list
from sertk.datadir.speakers import read_speakers
from sertk.errors import SertkError

_KALDI = {"target": True, "nontarget": False}
_VOXCELEB = {"1": True, "0": False}
_VOXCELEB_NAME = re.compile(r"(id\d{5})-.+-\d{5}$")
# Rows of embeddings that are multiplied at once.
_BLOCK = 16_384


@dataclass(frozen=True)
class Trials:
    """A trial list. names: the utterances; first, second: (trials,) indices into names; target: (trials,) bool;
    duplicates: how many trials are a pair that came before, in either order (they are scored as the list has them)."""

    names: list[str]
    first: np.ndarray
    second: np.ndarray
    target: np.ndarray
    duplicates: int

    def of(self, keep: np.ndarray) -> "Trials":
        """The trials where `keep` (trials,) is true."""
        return Trials(self.names, self.first[keep], self.second[keep], self.target[keep], self.duplicates)


def read_trials(path) -> Trials:
    """Read a trial list of either form, told by its first line.

    Raises SertkError, with file and line, for another form, for a pair that is called target and nontarget, and where
    all trials are of one kind.
    """
    number: dict[str, int] = {}
    pairs, target, parse = [], [], None
    for line_number, line in read_lines(path):
        words = line.split()
        if parse is None:
            parse = _kaldi if words and words[-1] in _KALDI else _voxceleb
        found = parse(words) if len(words) == 3 else None
        if found is None:
            wanted = "utt1 utt2 target|nontarget" if parse is _kaldi else "1|0 file1 file2"
            raise SertkError(f"{path}:{line_number}: '{line[:80]}' is not a trial ({wanted})")
        pairs.append([number.setdefault(name, len(number)) for name in found[:2]])
        target.append(found[2])
    if len(set(target)) < 2:
        kinds = "empty" if not target else f"all {len(target)} trials are {'' if target[0] else 'non'}target"
        raise SertkError(f"{path}: {kinds}: error rates need both kinds")
    both, target = np.array(pairs), np.array(target)
    return Trials(list(number), both[:, 0], both[:, 1], target, _duplicates(path, both, target, list(number)))


def _kaldi(words):
    return (*words[:2], _KALDI[words[2]]) if words[2] in _KALDI else None


def _voxceleb(words):
    return (_key(words[1]), _key(words[2]), _VOXCELEB[words[0]]) if words[0] in _VOXCELEB else None


def _key(file: str) -> str:
    """`id10270/5r0dWxy17C8/00001.wav` -> `id10270-5r0dWxy17C8-00001`."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}".replace("/", "-") if slash else file


def _duplicates(path, pairs: np.ndarray, target: np.ndarray, names: list[str]) -> int:
    code = pairs.min(axis=1) * len(names) + pairs.max(axis=1)
    order = np.argsort(code, kind="stable")
    again = np.flatnonzero(np.diff(code[order]) == 0)
    against = again[target[order[again]] != target[order[again + 1]]]
    if against.size:
        before, here = order[against[0]], order[against[0] + 1]
        a, b = (names[index] for index in pairs[here])
        raise SertkError(
            f"{path}:{here + 1}: {a} {b} is target here and nontarget in line {before + 1}, or the reverse"
        )
    return len(again)


def embedding_matrix(
    table: Iterable[tuple[str, np.ndarray]], names: Iterable[str], mean: np.ndarray | None, where
) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings of `names`, `mean` subtracted, at length 1: (names, dim) float32, and which are there (names,).

    Raises SertkError for embeddings of different dimension and for one without a direction (all zeros).
    """
    wanted = {name: index for index, name in enumerate(names)}
    there = np.zeros(len(wanted), dtype=bool)
    matrix = None
    for key, vector in table:
        if matrix is None:
            matrix = np.zeros((len(wanted), vector.size), dtype=np.float32)
            if mean is not None and mean.size != vector.size:
                raise SertkError(f"{where}: {key} has {vector.size} dimensions, the mean {mean.size}")
        if vector.size != matrix.shape[1]:
            raise SertkError(f"{where}: {key} has {vector.size} dimensions, those before it {matrix.shape[1]}")
        if key in wanted:
            vector = vector.astype(np.float64) - (0 if mean is None else mean)
            length = np.linalg.norm(vector)
            if not length:
                raise SertkError(f"{where}: {key} is all zeros: it has no direction")
            matrix[wanted[key]], there[wanted[key]] = vector / length, True
    if not there.any():
        raise SertkError(f"{where}: has no embedding of any utterance of the trials")
    return matrix, there


def mean_vector(table: Iterable[tuple[str, np.ndarray]], where) -> np.ndarray:
    """The mean of a table of vectors, (dim,) float64; SertkError where they differ in dimension."""
    total, number = None, 0
    for key, vector in table:
        if total is not None and vector.size != total.size:
            raise SertkError(f"{where}: {key} has {vector.size} dimensions, those before it {total.size}")
        total = vector.astype(np.float64) if total is None else total + vector
        number += 1
    return total / number


def cosine_scores(trials: Trials, matrix: np.ndarray) -> np.ndarray:
    """The cosine of each trial's two embeddings, (trials,) float64; matrix (names, dim) of length 1."""
    scores = np.empty(len(trials.target))
    for start in range(0, len(scores), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores[rows] = np.einsum("td,td->t", matrix[trials.first[rows]], matrix[trials.second[rows]], dtype=np.float64)
    return scores


def voxceleb_speakers(names: Iterable[str]) -> dict[str, str]:
    """The speaker of each utterance, which VoxCeleb's names begin with; {} where one is not of VoxCeleb.

    >>> voxceleb_speakers(["id10270-5r0dWxy17C8-00001"]), voxceleb_speakers(["id10270-5r0dWxy17C8-00001", "103-1240"])
    ({'id10270-5r0dWxy17C8-00001': 'id10270'}, {})
    """
    found = {name: _VOXCELEB_NAME.match(name) for name in names}
    return {name: match[1] for name, match in found.items()} if all(found.values()) else {}


def trial_speakers(trials, names: Iterable[str], utt2spk=None) -> dict[str, str]:
    """The speakers of a trial list's utterances; {} where they are not known.

    They are those of the map `utt2spk`, of the utt2spk beside the list where that has all of them, or VoxCeleb's.
    Raises SertkError for an utterance that `utt2spk` lacks.
    """
    names = list(names)
    if utt2spk is not None:
        found = read_list(utt2spk)
        for name in names:
            if name not in found:
                raise SertkError(f"{utt2spk}: {name} is in the trials and not in this map")
        return found
    found = read_speakers(Path(trials).with_name("utt2spk"))
    return found if all(name in found for name in names) else voxceleb_speakers(names)
