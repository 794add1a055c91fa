"""Speaker trial lists and cosine scores.

Two formats: Kaldi's `utt1 utt2 target|nontarget`, and VoxCeleb's `1 id10270/5r0dWxy17C8/00001.wav id…` (veri_test.txt,
veri_test2.txt, list_test_all.txt …), whose files are the keys `id10270-5r0dWxy17C8-00001`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_lines, read_list
from sertk.datadir.speakers import read_speakers
from sertk.errors import SertkError

_KALDI = {"target": True, "nontarget": False}
_VOXCELEB = {"1": True, "0": False}
_VOXCELEB_NAME = re.compile(r"(id\d{5})-.+-\d{5}$")
# Trials scored at once.
_BLOCK = 16_384


@dataclass(frozen=True)
class Trials:
    """A trial list.

    Args:
        names: utterances.
        first: (trials,) indices into `names`.
        second: (trials,) indices into `names`.
        target: (trials,) bool.
        duplicates: number of repeated pairs, in either order; they are scored as listed.
    """

    names: list[str]
    first: np.ndarray
    second: np.ndarray
    target: np.ndarray
    duplicates: int

    def of(self, keep: np.ndarray) -> "Trials":
        """The trials selected by `keep` (trials,) bool."""
        return Trials(self.names, self.first[keep], self.second[keep], self.target[keep], self.duplicates)


def read_trials(path: str | Path) -> Trials:
    """Read a trial list; its first line tells the format.

    Raises:
        SertkError: a line has another format, a pair is both target and nontarget, or there are no targets or no nontargets.
    """
    number: dict[str, int] = {}
    pairs, target, parse = [], [], None
    for line_number, line in read_lines(path):
        words = line.split()
        if parse is None:
            parse = _kaldi if words and words[-1] in _KALDI else _voxceleb
        trial = parse(words) if len(words) == 3 else None
        if trial is None:
            form = "utt1 utt2 target|nontarget" if parse is _kaldi else "1|0 file1 file2"
            raise SertkError(f"{path}:{line_number}: '{line[:80]}' is not a trial ({form})")
        pairs.append([number.setdefault(name, len(number)) for name in trial[:2]])
        target.append(trial[2])
    if len(set(target)) < 2:
        kinds = "empty" if not target else f"all {len(target)} trials are {'' if target[0] else 'non'}target"
        raise SertkError(f"{path}: {kinds}: error rates need both kinds")
    both, target = np.array(pairs), np.array(target)
    return Trials(list(number), both[:, 0], both[:, 1], target, _duplicates(path, both, target, list(number)))


def _kaldi(words: list[str]) -> tuple[str, str, bool] | None:
    """(utt1, utt2, target) of a line in Kaldi's format."""
    return (*words[:2], _KALDI[words[2]]) if words[2] in _KALDI else None


def _voxceleb(words: list[str]) -> tuple[str, str, bool] | None:
    """(utt1, utt2, target) of a line in VoxCeleb's format."""
    return (_key(words[1]), _key(words[2]), _VOXCELEB[words[0]]) if words[0] in _VOXCELEB else None


def _key(file: str) -> str:
    """`id10270/5r0dWxy17C8/00001.wav` -> `id10270-5r0dWxy17C8-00001`."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}".replace("/", "-") if slash else file


def _duplicates(path: str | Path, pairs: np.ndarray, target: np.ndarray, names: list[str]) -> int:
    """Number of repeated pairs. Raises SertkError if one is both target and nontarget."""
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


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of a list of names.

    Args:
        matrix: (names, dim) float32, centred and length-normalised; zeros where there is none.
        lengths: (names,) lengths before normalisation; 0 where there is none.
    """

    matrix: np.ndarray
    lengths: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(names,) bool: which names have an embedding."""
        return self.lengths > 0


def read_embeddings(
    table: Iterable[tuple[str, np.ndarray]], names: Iterable[str], mean: np.ndarray | None, where: str
) -> Embeddings:
    """Embeddings of `names`, centred and length-normalised.

    Args:
        table: (key, embedding (dim,)) pairs.
        names: utterances.
        mean: (dim,) vector to subtract.
        where: name of the table, for messages.

    Raises:
        SertkError: embeddings differ in dimension, one is all zeros, or there are none of `names`.
    """
    index_of = {name: index for index, name in enumerate(names)}
    lengths = np.zeros(len(index_of))
    matrix = None
    for key, vector in table:
        if matrix is None:
            matrix = np.zeros((len(index_of), vector.size), dtype=np.float32)
            if mean is not None and mean.size != vector.size:
                raise SertkError(f"{where}: {key} has {vector.size} dimensions, the mean {mean.size}")
        if vector.size != matrix.shape[1]:
            raise SertkError(f"{where}: {key} has {vector.size} dimensions, those before it {matrix.shape[1]}")
        if key in index_of:
            vector = vector.astype(np.float64) - (0 if mean is None else mean)
            length = np.linalg.norm(vector)
            if not length:
                raise SertkError(f"{where}: {key} is all zeros and cannot be normalised")
            matrix[index_of[key]], lengths[index_of[key]] = vector / length, length
    if not lengths.any():
        raise SertkError(f"{where}: no embedding of any utterance of the trials")
    return Embeddings(matrix, lengths)


def mean_vector(table: Iterable[tuple[str, np.ndarray]], where: str) -> np.ndarray:
    """Mean of a table of vectors, (dim,) float64. Raises SertkError if they differ in dimension."""
    total, number = None, 0
    for key, vector in table:
        if total is not None and vector.size != total.size:
            raise SertkError(f"{where}: {key} has {vector.size} dimensions, those before it {total.size}")
        total = vector.astype(np.float64) if total is None else total + vector
        number += 1
    return total / number


def cosine_scores(trials: Trials, matrix: np.ndarray) -> np.ndarray:
    """Cosine score of each trial, (trials,) float64; `matrix` (names, dim) is length-normalised."""
    scores = np.empty(len(trials.target))
    for start in range(0, len(scores), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores[rows] = np.einsum("td,td->t", matrix[trials.first[rows]], matrix[trials.second[rows]], dtype=np.float64)
    return scores


def voxceleb_speakers(names: Iterable[str]) -> dict[str, str]:
    """Speaker of each utterance from VoxCeleb's file names; {} if one has another form.

    >>> voxceleb_speakers(["id10270-5r0dWxy17C8-00001"]), voxceleb_speakers(["id10270-5r0dWxy17C8-00001", "103-1240"])
    ({'id10270-5r0dWxy17C8-00001': 'id10270'}, {})
    """
    matches = {name: _VOXCELEB_NAME.match(name) for name in names}
    return {name: match[1] for name, match in matches.items()} if all(matches.values()) else {}


def trial_speakers(trials: str | Path, names: Iterable[str], utt2spk: str | Path | None = None) -> dict[str, str]:
    """Speakers of a trial list's utterances.

    Args:
        trials: trial list; a utt2spk beside it is used if it has all utterances, else VoxCeleb's file names.
        names: utterances.
        utt2spk: map that takes precedence.

    Returns:
        utterance -> speaker; {} if unknown.

    Raises:
        SertkError: `utt2spk` lacks an utterance.
    """
    names = list(names)
    if utt2spk is not None:
        speakers = read_list(utt2spk)
        for name in names:
            if name not in speakers:
                raise SertkError(f"{utt2spk}: {name} is in the trials and not in this map")
        return speakers
    speakers = read_speakers(Path(trials).with_name("utt2spk"))
    return speakers if all(name in speakers for name in names) else voxceleb_speakers(names)


def speaker_indices(trials: Trials, speakers: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Speaker index of each side of the trials, (trials,) each.

    Args:
        trials: the trials.
        speakers: utterance -> speaker.
    """
    number = {name: index for index, name in enumerate(sorted(set(speakers.values())))}
    of_name = np.array([number[speakers[name]] for name in trials.names])
    return of_name[trials.first], of_name[trials.second]


def is_trial_list(path: str | Path) -> bool:
    """True if the first line of a file is a trial: three words, as no label map has them."""
    if not Path(path).is_file():  # a pipe can be read once only
        return False
    words = next((line for _, line in read_lines(path)), "").split()
    return len(words) == 3 and (_kaldi(words) or _voxceleb(words)) is not None
