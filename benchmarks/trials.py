"""AS-Norm and intervals at VoxCeleb1-E's size, beside the same in plain numpy.

Usage: benchmarks/trials.py [rounds] [utterances]; 4 trials for each utterance, random embeddings of 256 dimensions, a
cohort of 6000 speakers, the 300 highest scores; every run is a separate process. The plain way sorts all scores of all
utterances with the cohort at once, and normalises trial by trial.
"""

import sys

import numpy as np
from paired import alone, compare_processes

from sertk.scoring.asnorm import cohort_scores, normalise
from sertk.scoring.leaveout import LeftOut
from sertk.scoring.trials import Trials, cosine_scores

SPEAKERS, COHORT, TOP_N, DIM = 1251, 6000, 300, 256


def drawn(utterances: int):
    """Length-normalised embeddings, a cohort, trials and the speakers of both sides."""
    rng = np.random.default_rng(0)
    speaker = np.sort(np.arange(utterances) % SPEAKERS)
    voices = rng.normal(size=(SPEAKERS + COHORT, DIM))
    matrix = voices[speaker] + 1.5 * rng.normal(size=(utterances, DIM))
    matrix, cohort = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (matrix, voices[SPEAKERS:]))
    first = rng.integers(0, utterances, 4 * utterances)
    near = (first + rng.integers(1, 20, len(first))) % utterances
    second = np.where(np.arange(len(first)) % 2, near, rng.integers(0, utterances, len(first)))
    trials = Trials([str(n) for n in range(utterances)], first, second, speaker[first] == speaker[second], 0)
    return matrix.astype(np.float32), cohort.astype(np.float32), trials, speaker


def sertk(matrix, cohort, trials, _):
    return normalise(cosine_scores(trials, matrix), trials, cohort_scores(matrix, cohort, TOP_N))


def plain(matrix, cohort, trials, _):
    highest = np.sort(matrix @ cohort.T, axis=1)[:, ::-1][:, :TOP_N]
    mean, deviation = highest.mean(axis=1), highest.std(axis=1)
    scores = []
    for a, b in zip(trials.first, trials.second):
        score = matrix[a] @ matrix[b]
        scores.append(((score - mean[a]) / deviation[a] + (score - mean[b]) / deviation[b]) / 2)
    return np.array(scores)


def intervals(matrix, _, trials, speaker):
    left_out = LeftOut(cosine_scores(trials, matrix), trials.target, speaker[trials.first], speaker[trials.second])
    return left_out.eers().rate_interval(), [cost.rate_interval() for cost in left_out.min_dcfs((0.01, 0.05))]


RUNS = {
    "sertk: AS-Norm": sertk,
    "plain numpy: AS-Norm": plain,
    f"sertk: cosine scores, intervals of EER and two minDCF by {SPEAKERS} speakers": intervals,
}


def main(rounds: int = 3, utterances: int = 20_000):
    title = f"{utterances} utterances, {4 * utterances} trials, {COHORT} cohort speakers, top {TOP_N}"
    compare_processes(title, __file__, RUNS, rounds, utterances)


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        data = drawn(int(sys.argv[3]))
        alone(lambda: RUNS[sys.argv[2]](*data), warm_up=0, counted=1)
    else:
        main(*map(int, sys.argv[1:]))
