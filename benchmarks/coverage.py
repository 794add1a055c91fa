"""Coverage of the 95 % intervals, false positives and power of the paired test, by simulation.

Usage: benchmarks/coverage.py [sets] [seed] [name]; `sets` simulated data sets per row (default 100: minutes; the tables of
docs/reliability.md have 1000), only rows that contain `name` if it is given. Prints Markdown.

A data set has speakers in folds, four classes of unequal size, and a network per fold and training run. A segment is
classified correctly with a probability whose logit is that of its class plus random effects, drawn for each data set:
of the speaker (sd 0.4), of speaker and class (0.5), of the fold's network and of network and class (`luck`
each; column `network sd`), of the whole run and of run and class (`run` each). A wrong answer is one of the other
classes. Intervals should cover the accuracy of the population: other speakers, other networks, other runs.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import expit, ndtri

from sertk.scoring.intervals import cluster_intervals, plain_intervals
from sertk.scoring.paired import ALPHA, compare, holm

SHARES = np.array([0.3, 0.19, 0.31, 0.2])
# Logits of the classes, around that of the mean accuracy.
CLASSES = np.array([0.3, -0.8, 0.2, 0.1])
SPEAKER, SPEAKER_CLASS = 0.4, 0.5
# What two systems on the same segments do not share of the speakers' effects.
OWN = 0.3


@dataclass(frozen=True)
class Design:
    """Speakers in folds, with so many segments altogether; accuracy: of a segment of an average class and speaker.

    Stratified folds share all speakers.
    """

    name: str
    speakers: int
    folds: int
    segments: int
    accuracy: float = 0.65
    luck: float = 0.0
    run: float = 0.0
    runs: int = 1
    stratified: bool = False

    @property
    def base(self) -> np.ndarray:
        """Logits of the classes, (classes,)."""
        return np.log(self.accuracy / (1 - self.accuracy)) + CLASSES


DESIGNS = (
    Design("2 speakers", 2, 2, 400),
    Design("3 speakers", 3, 3, 400),
    Design("5 speakers", 5, 5, 400),
    Design("10 speakers in 5 folds (EmoDB)", 10, 5, 339),
    Design("10 speakers in 5 folds (IEMOCAP)", 10, 5, 5531),
    Design("24 speakers (RAVDESS)", 24, 24, 1440),
    Design("24 speakers in 6 folds", 24, 6, 1440),
    Design("91 speakers (CREMA-D)", 91, 91, 7438),
    Design("91 speakers in 10 folds", 91, 10, 7438),
)
STRATIFIED = (
    Design("10 speakers, 5 stratified folds", 10, 5, 339, stratified=True),
    Design("24 speakers, 5 stratified folds", 24, 5, 1440, stratified=True),
)
EMODB, LARGER = (replace(DESIGNS[k], luck=0.25) for k in (3, 6))
SINGLE = [replace(d, accuracy=p, luck=luck) for d in DESIGNS + STRATIFIED for p in (0.65, 0.9) for luck in (0.0, 0.25)]
SEVERAL = [replace(EMODB, run=0.1)]
SEVERAL += [replace(d, run=run, runs=runs) for d in (EMODB, LARGER) for run in (0.1, 0.25) for runs in (2, 3, 5)]


@dataclass(frozen=True)
class Layout:
    """Who speaks what: (segments,) each."""

    truth: np.ndarray
    speaker: np.ndarray
    fold: np.ndarray

    @classmethod
    def of(cls, design: Design) -> "Layout":
        """Equal speakers, each with the classes in their shares."""
        each = np.maximum(1, np.round(design.segments / design.speakers * SHARES)).astype(int)
        truth = np.tile(np.repeat(np.arange(len(SHARES)), each), design.speakers)
        speaker = np.repeat(np.arange(design.speakers), each.sum())
        if design.stratified:
            fold = np.tile(np.concatenate([np.arange(number) for number in each]), design.speakers) % design.folds
        else:
            fold = speaker * design.folds // design.speakers
        return cls(truth, speaker, fold)


def effects(rng, number: int, whole: float, by_class: float) -> np.ndarray:
    """Effects of `number` speakers, networks or runs on each class's logit, (number, classes)."""
    return whole * rng.normal(size=(number, 1)) + by_class * rng.normal(size=(number, len(SHARES)))


def networks(rng, design: Design) -> np.ndarray:
    """What training gave each run's network of each fold, (runs, folds, classes)."""
    folds = np.stack([effects(rng, design.folds, design.luck, design.luck) for _ in range(design.runs)])
    return folds + effects(rng, design.runs, design.run, design.run)[:, None]


def answers(rng, layout: Layout, logits: np.ndarray) -> np.ndarray:
    """Predictions (runs, segments) for logits (runs, segments) of a correct one."""
    correct = rng.random(logits.shape) < expit(logits)
    other = (layout.truth + rng.integers(1, len(SHARES), logits.shape)) % len(SHARES)
    return np.where(correct, layout.truth, other)


@cache
def population(design: Design, own: float = 0.0, shift: float = 0.0, number: int = 400_000) -> tuple[float, float]:
    """WA and UA of the population, by as many draws."""
    spread = np.sqrt(SPEAKER**2 + SPEAKER_CLASS**2 + 2 * own**2 + 2 * design.luck**2 + 2 * design.run**2)
    points = (np.arange(number) + 0.5) / number
    recalls = expit(design.base + shift + spread * ndtri(points)[:, None]).mean(axis=0)
    shares = np.bincount(Layout.of(design).truth) / len(Layout.of(design).truth)
    return float((shares * recalls).sum()), float(recalls.mean())


def systems(design: Design, sets: int, seed: int, shift: float = 0.0, others: int = 1) -> Iterator[tuple[Layout, list]]:
    """Data sets with predictions of a first system, better by `shift` logits, and of `others`."""
    layout, rng = Layout.of(design), np.random.default_rng([seed, design.speakers, design.segments])
    for _ in range(sets):
        shared = design.base + effects(rng, design.speakers, SPEAKER, SPEAKER_CLASS)
        found = []
        for k in range(1 + others):
            mine = shared + effects(rng, design.speakers, OWN, OWN) + shift * (k == 0)
            logits = mine[layout.speaker, layout.truth] + networks(rng, design)[:, layout.fold, layout.truth]
            found.append(answers(rng, layout, logits))
        yield layout, found


def coverage(design: Design, sets: int, seed: int = 0) -> dict[str, np.ndarray]:
    """How often intervals of WA and UA hold the population's, in per cent: by their kind, (2,) each."""
    layout, rng = Layout.of(design), np.random.default_rng([seed, design.speakers, design.segments])
    wanted, held = population(design), {}
    for _ in range(sets):
        logits = design.base + effects(rng, design.speakers, SPEAKER, SPEAKER_CLASS)
        logits = logits[layout.speaker, layout.truth] + networks(rng, design)[:, layout.fold, layout.truth]
        guess = answers(rng, layout, logits)
        kinds = {
            "sertk": cluster_intervals(layout.truth, guess, layout.speaker, len(SHARES), layout.fold),
            "speakers alone": cluster_intervals(layout.truth, guess, layout.speaker, len(SHARES)),
            "bootstrap": cluster_intervals(
                layout.truth, guess, layout.speaker, len(SHARES), layout.fold, "bootstrap", draws=500
            ),
            "segments": plain_intervals(layout.truth, guess, len(SHARES)),
        }
        for kind, found in kinds.items():
            inside = [low <= value <= high for value, (low, high) in zip(wanted, (found.wa, found.ua))]
            held[kind] = held.get(kind, np.zeros(2)) + inside
    return {kind: 100 * number / sets for kind, number in held.items()}


def positives(design: Design, sets: int, seed: int = 0, shift: float = 0.0) -> dict[str, float]:
    """How often UA (with McNemar: WA) differs at p < 0.05, in per cent; and the median detectable difference, in points."""
    shown, could = {"sertk": 0, "permutation alone": 0, "McNemar": 0}, []
    for layout, (a, b) in systems(design, sets, seed, shift):
        found = compare(layout.truth, a, b, layout.speaker, len(SHARES), layout.fold, draws=2000)
        shown["sertk"] += found.ua.p < ALPHA
        shown["permutation alone"] += found.ua.permuted < ALPHA
        shown["McNemar"] += found.mcnemar_p is not None and found.mcnemar_p < ALPHA
        could.append(found.ua.detectable())
    return {kind: 100 * number / sets for kind, number in shown.items()} | {"could": 100 * float(np.median(could))}


def family(design: Design, sets: int, seed: int = 0, others: int = 3) -> float:
    """How often one at least of `others` equal systems differs in UA after Holm's correction, in per cent."""
    shown = 0
    for layout, (first, *rest) in systems(design, sets, seed, others=others):
        p = [
            compare(layout.truth, one, first, layout.speaker, len(SHARES), layout.fold, draws=2000).ua.p for one in rest
        ]
        shown += min(holm(p)) < ALPHA
    return 100 * shown / sets


def shift_for(design: Design, difference: float) -> float:
    """The logits that make a system better by `difference` in the population's UA."""
    low, high, base = 0.0, 6.0, population(design, OWN, 0.0, 20_000)[1]
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if population(design, OWN, middle, 20_000)[1] - base < difference else (low, middle)
    return (low + high) / 2


def title(design: Design) -> str:
    """First cells of a design's row."""
    return f"{design.name} | {design.luck}" + f", run {design.run}" * bool(design.run) + f" | {design.runs}"


def main(sets: str = "100", seed: str = "0", name: str = ""):
    """Print the tables."""
    number, start = int(sets), int(seed)
    print(f"Coverage of 95 % intervals, WA / UA, {sets} data sets a row, seed {seed}\n")
    print(
        "| | accuracy | network sd | runs | sertk | speakers alone | bootstrap | segments |\n|---|---|---|---|---|---|---|---|"
    )
    for design in (d for d in SINGLE + SEVERAL if name in title(d)):
        cells = [f"{wa:.1f} / {ua:.1f}" for wa, ua in coverage(design, number, start).values()]
        first, _, rest = title(design).partition(" | ")
        print(f"| {first} | {design.accuracy} | {rest} | {' | '.join(cells)} |", flush=True)
    print(f"\nFalse positives at p < 0.05 of equal systems, and power, per cent, {sets} data sets a row\n")
    print(
        "| | network sd | runs | sertk | permutation alone | McNemar | family of 3, Holm | detectable, points | detected, % |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    rows = [d for d in SINGLE if d.accuracy == 0.65 and d not in SINGLE[:12]] + SEVERAL
    for design in (d for d in rows if name in title(d)):
        null = positives(design, number, start)
        power = positives(design, number, start + 1, shift_for(design, null["could"] / 100))
        cells = [f"{null[kind]:.1f}" for kind in ("sertk", "permutation alone")]
        cells += [f"{null['McNemar']:.1f}" if design.runs == 1 else "–", f"{family(design, number, start):.1f}"]
        print(f"| {title(design)} | {' | '.join(cells)} | {null['could']:.1f} | {power['sertk']:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
