"""Adaptive score normalisation (AS-Norm): each score in standard deviations of its utterances' scores with a cohort.

The cohort are speakers of neither side. Of each utterance, the N highest cohort scores have the mean m and the standard
deviation d; a trial's score s becomes the mean of (s - m) / d over its two utterances, or that of one side alone.

Source: Matějka et al. 2017, "Analysis of Score Normalization in Multilingual Speaker Recognition" (adaptive S-Norm, the
cohort selected for each utterance).
"""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sertk.errors import SertkError
from sertk.scoring.trials import Trials

# Cohort scores in memory at once, per thread.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class CohortScores:
    """The highest scores of each utterance with a cohort.

    Args:
        mean: (names,) mean.
        deviation: (names,) standard deviation.
    """

    mean: np.ndarray
    deviation: np.ndarray


def speaker_means(
    table: Iterable[tuple[str, np.ndarray]], utt2spk: Mapping[str, str] | None, where: str
) -> dict[str, np.ndarray]:
    """Mean vector of each speaker, or the vectors as they are.

    Args:
        table: (key, embedding (dim,)) pairs.
        utt2spk: speaker of each key; None: every vector is a speaker.
        where: name of the table, for messages.

    Raises:
        SertkError: a key has no speaker, or vectors differ in dimension.
    """
    sums: dict[str, np.ndarray] = {}
    number: dict[str, int] = {}
    for key, vector in table:
        speaker = key if utt2spk is None else utt2spk.get(key)
        if speaker is None:
            raise SertkError(f"{where}: {key} of the cohort is not in its utt2spk")
        if speaker in sums and vector.size != sums[speaker].size:
            raise SertkError(f"{where}: {key} has {vector.size} dimensions, those before it {sums[speaker].size}")
        sums[speaker] = sums[speaker] + vector if speaker in sums else vector.astype(np.float64)
        number[speaker] = number.get(speaker, 0) + 1
    return {speaker: total / number[speaker] for speaker, total in sums.items()}


def cohort_scores(matrix: np.ndarray, cohort: np.ndarray, top_n: int) -> CohortScores:
    """Mean and deviation of the highest cosine scores with a cohort.

    Args:
        matrix: (names, dim) length-normalised embeddings.
        cohort: (speakers, dim) length-normalised embeddings.
        top_n: number of scores; all if the cohort is smaller.
    """
    number = min(top_n, len(cohort))
    columns = np.ascontiguousarray(cohort.T)
    mean, deviation = np.empty(len(matrix)), np.empty(len(matrix))

    def compute(rows: slice) -> None:
        scores = matrix[rows] @ columns
        scores.partition(len(cohort) - number, axis=1)
        highest = scores[:, -number:]
        mean[rows], deviation[rows] = highest.mean(axis=1, dtype=np.float64), highest.std(axis=1, dtype=np.float64)

    size = max(1, _BLOCK // len(cohort))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for _ in threads.map(compute, (slice(start, start + size) for start in range(0, len(matrix), size))):
            pass
    return CohortScores(mean, deviation)


def normalise(scores: np.ndarray, trials: Trials, cohort: CohortScores, side: str = "both") -> np.ndarray:
    """Normalise the score of each trial.

    Args:
        scores: (trials,).
        trials: the trials.
        cohort: of `trials.names`.
        side: "both", "enrol" (the first utterance) or "test" (the second).

    Raises:
        SertkError: all cohort scores of an utterance are equal.

    Shape:
        - Output: (trials,)
    """
    sides = {"both": (trials.first, trials.second), "enrol": (trials.first,), "test": (trials.second,)}[side]
    for utterances in sides:
        if not (flat := cohort.deviation[utterances]).all():
            name = trials.names[utterances[int(flat.argmin())]]
            raise SertkError(f"{name}: its scores with the cohort are all equal: AS-Norm needs different speakers")
    normalised = [(scores - cohort.mean[utts]) / cohort.deviation[utts] for utts in sides]
    return np.mean(normalised, axis=0)
