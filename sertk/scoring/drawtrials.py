"""Draw a trial list from the speakers of a data folder."""

from collections.abc import Mapping, Sequence

import numpy as np

from sertk.errors import SertkError

# All pairs of more utterances do not fit in memory.
MOST = 5000


def draw_trials(
    utt2spk: Mapping[str, str],
    number: int,
    seed: int = 0,
    apart: Mapping[str, str] | None = None,
    same: Mapping[str, str] | None = None,
) -> list[tuple[str, str, bool]]:
    """Draw pairs of utterances without replacement, targets and nontargets alike.

    Args:
        utt2spk: speaker of each utterance.
        number: at most this many of each kind; 0: all.
        seed: random seed.
        apart: map in which the utterances of a target differ.
        same: map in which those of a nontarget agree.

    Returns:
        (utterance, utterance, is a target) in the order of `utt2spk`.

    Raises:
        SertkError: too many utterances, a map lacks one, or there are no targets or no nontargets.
    """
    names = list(utt2spk)
    if len(names) > MOST:
        raise SertkError(f"{len(names)} utterances have too many pairs: choose up to {MOST} with subset-data --per-spk")
    first, second = np.triu_indices(len(names), 1)
    speaker = _codes(utt2spk, names)
    target = speaker[first] == speaker[second]
    kept = np.ones(len(first), dtype=bool)
    for values, kind, equal in ((apart, target, False), (same, ~target, True)):
        if values is not None:
            code = _codes(values, names)
            kept[kind] &= (code[first[kind]] == code[second[kind]]) == equal
    chosen = np.concatenate([_draw(np.flatnonzero(kept & kind), number, seed) for kind in (target, ~target)])
    for kind, word in ((target, "target"), (~target, "nontarget")):
        if not (kept & kind).any():
            people = len(set(utt2spk.values()))
            raise SertkError(f"no two of {len(names)} utterances of {people} speakers are a {word} trial")
    return [(names[first[pair]], names[second[pair]], bool(target[pair])) for pair in np.sort(chosen)]


def _codes(values: Mapping[str, str], names: Sequence[str]) -> np.ndarray:
    """A number for the value of each name, (names,). Raises SertkError if one has none."""
    for name in names:
        if name not in values:
            raise SertkError(f"{name} is in utt2spk and not in the map of its groups")
    return np.unique([values[name] for name in names], return_inverse=True)[1]


def _draw(pairs: np.ndarray, number: int, seed: int) -> np.ndarray:
    """At most `number` of the pairs."""
    if number and len(pairs) > number:
        return np.random.default_rng(seed).choice(pairs, number, replace=False)
    return pairs
