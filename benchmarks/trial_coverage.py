"""How often intervals of speaker trials contain the population's figure, and how often equal systems are found different.

Usage: benchmarks/trial_coverage.py [data sets] [seed]

The score of a trial is 3 for a target, plus effects of each side's speaker (sd 0.4, as nontarget) and utterance (sd 0.4), an
effect of the speaker as a target (sd 0.7), and noise (sd 0.6). Ten utterances a speaker. The population's figures are those
of 3000 other speakers. Equal systems share the speakers' effects, and have effects and noise of their own.
"""

import sys

import numpy as np

from sertk.scoring.leaveout import LeftOut, difference
from sertk.scoring.speaker import cllr, eer, min_dcf

P = 0.05
UTTERANCES = 10
FIGURES = ("EER", f"minDCF({P})", "Cllr")


def trials_of(rng, speakers, per_speaker):
    """Speakers and utterances of both sides, (trials,) each: as many targets as nontargets."""
    first = np.repeat(np.arange(speakers), 2 * per_speaker)
    target = np.arange(len(first)) % 2 == 0
    second = np.where(target, first, (first + rng.integers(1, speakers, len(first))) % speakers)
    utterances = rng.integers(0, UTTERANCES, (2, len(first)))
    utterances[1] = np.where(
        target, (utterances[0] + rng.integers(1, UTTERANCES, len(first))) % UTTERANCES, utterances[1]
    )
    return first, second, first * UTTERANCES + utterances[0], second * UTTERANCES + utterances[1], target


def effects(rng, speakers):
    """Effects of speakers on all their trials, on their targets, and of utterances."""
    return rng.normal(0, 0.4, speakers), rng.normal(0, 0.7, speakers), rng.normal(0, 0.4, speakers * UTTERANCES)


def scores_of(rng, trials, *parts):
    """Log-likelihood ratios of trials, roughly: the scores are scaled as if all effects were noise."""
    first, second, one, other, target = trials
    total = sum(a[first] + a[second] + np.where(target, 3 + b[first], 0) + u[one] + u[other] for a, b, u in parts)
    total = total - 3 * (len(parts) - 1) * target + rng.normal(0, 0.6, len(target))
    return 3 * (total - 1.5)


def replicates(scores, trials):
    """Figures with their values without one speaker at a time; None where these do not exist."""
    left_out = LeftOut(scores, trials[4], trials[0], trials[1])
    return (left_out.eers(), left_out.min_dcfs([P])[0], left_out.cllrs()) if left_out.possible else None


def population(rng, number):
    """Figures of many speakers, with `number` sets of effects."""
    trials = trials_of(rng, 3000, 100)
    scores = scores_of(rng, trials, *(effects(rng, 3000) for _ in range(number)))
    kinds = scores[trials[4]], scores[~trials[4]]
    return eer(*kinds), min_dcf(*kinds, P), cllr(*kinds)


def row(speakers, per_speaker, data_sets, seed, truth):
    """Coverage of each figure, and false positives of differences, in per cent; mean width of the EER's interval."""
    covered, found, width = np.zeros(3), np.zeros(3), 0.0
    for index in range(data_sets):
        rng = np.random.default_rng([seed, speakers, index])
        trials, shared = trials_of(rng, speakers, per_speaker), effects(rng, speakers)
        figures = replicates(scores_of(rng, trials, shared), trials)
        ends = [figures[0].rate_interval(), figures[1].rate_interval(), figures[2].positive_interval()]
        covered += [low <= value <= high for (low, high), value in zip(ends, truth)]
        width += ends[0][1] - ends[0][0]
        pair = [replicates(scores_of(rng, trials, shared, effects(rng, speakers)), trials) for _ in range(2)]
        found += [difference(a, b).p < 0.05 for a, b in zip(*pair)]
    return 100 * covered / data_sets, 100 * found / data_sets, 100 * width / data_sets


def main(data_sets: int = 1000, seed: int = 0):
    truth = population(np.random.default_rng(seed), 1)
    print(f"{data_sets} data sets; the population has", ", ".join(f"{f} {v:.4f}" for f, v in zip(FIGURES, truth)), "\n")
    heads = [*(f"{figure} contained, %" for figure in FIGURES), *(f"{figure} differs, %" for figure in FIGURES)]
    print("| speakers | trials | " + " | ".join(heads) + " | width of the EER's |")
    print("|---" * 9 + "|")
    for speakers, per_speaker in ((3, 200), (5, 200), (10, 200), (20, 200), (40, 200), (200, 40)):
        covered, found, width = row(speakers, per_speaker, data_sets, seed, truth)
        cells = " | ".join(f"{value:.1f}" for value in (*covered, *found))
        print(f"| {speakers} | {2 * speakers * per_speaker} | {cells} | {width:.1f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
