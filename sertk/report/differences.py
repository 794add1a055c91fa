"""Does transfer help, and how sure is that? Systems against the one without transfer, on the same segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sertk.report.document import Figure, Paragraph, Table
from sertk.report.drawing import COLOURS, INK, LINE, MARKERS, figure
from sertk.report.figures import words
from sertk.report.lettering import cut
from sertk.report.systems import SCRATCH, Experiment, System
from sertk.scoring.evaluation import known_clusters
from sertk.scoring.groups import unit_words
from sertk.scoring.paired import ALPHA, Comparison, Difference, compare, holm
from sertk.scoring.text import p_value


@dataclass(frozen=True)
class Pair:
    """A system against another on the same segments.

    p: of "ua" and "wa", corrected by Holm's method over all verdicts of the report, of which there are `tests`; drawn:
    what was exchanged and left out, in words.
    """

    system: System
    other: System
    found: Comparison
    p: dict[str, float]
    drawn: str
    tests: int = 1

    @property
    def of_transfer(self) -> bool:
        """Whether this is a system with transfer against one without."""
        return self.other.what.startswith(SCRATCH) and not self.system.what.startswith(SCRATCH)

    @property
    def detectable(self) -> float | None:
        """The smallest difference in UA that this design shows in four of five cases; None where it shows none."""
        return self.found.ua.detectable(self.tests) if self.found.possible(self.tests) else None


def all_pairs(experiments: Sequence[Experiment], seed: int = 0) -> list[tuple[Experiment, Pair]]:
    """The pairs of all experiments of a report, p-values corrected over all of them."""
    pairs = [(experiment, pair) for experiment in experiments for pair in pairs_of(experiment, seed)]
    adjusted = {what: holm([getattr(pair.found, what).p for _, pair in pairs]) for what in ("ua", "wa")}
    return [
        (experiment, replace(pair, p={what: values[k] for what, values in adjusted.items()}, tests=len(pairs)))
        for k, (experiment, pair) in enumerate(pairs)
    ]


def pairs_of(experiment: Experiment, seed: int = 0) -> list[Pair]:
    """Each system against the first one without transfer; where there is none, the first system against each other.

    Only systems whose epochs were chosen by one rule: what another rule gives is `selection_table`'s. p-values are not
    corrected.
    """
    reference = next((system for system in experiment.systems if system.what.startswith(SCRATCH)), None)
    rule = (reference or experiment.systems[0]).rule
    systems = [system for system in experiment.systems if system.rule == rule]
    if reference:
        chosen = [(system, reference) for system in systems if system is not reference]
    else:
        chosen = [(systems[0], other) for other in systems[1:]]
    unit = next(iter(known_clusters(experiment.test)), "segment")
    found = [compared(experiment, system, other, seed) for system, other in chosen]
    return [
        Pair(*pair, c, {"ua": c.ua.p, "wa": c.wa.p}, unit_words(unit, c.clusters, c.units))
        for pair, c in zip(chosen, found)
    ]


def compared(experiment: Experiment, system: System, other: System, seed: int = 0) -> Comparison:
    """`system` less `other`, by speakers where they are known, by single segments where not."""
    test = experiment.test
    clusters = next(iter(known_clusters(test).values()), None)
    fold = np.array([test.utt2fold[key] for key in test.keys])
    by = (test.keys, None) if clusters is None else (clusters, fold)
    return compare(test.truth, system.guess, other.guess, by[0], len(test.labels), by[1], seed=seed)


def verdict(pair: Pair) -> str:
    """The answer in a sentence: UA decides, at p < 0.05, with what could have been shown.

    "No difference is shown" is not "there is none": the interval says how large it may be.
    """
    what = pair.system.what or pair.system.name
    found, shown = pair.found.ua, pair.p["ua"] < ALPHA
    if pair.of_transfer:
        answer = ("helps" if found.value > 0 else "hurts") if shown else "is not shown to help or to hurt"
        subject = f"Transfer ({what}) {answer}"
    else:
        better = f"is {'better' if found.value > 0 else 'worse'} than"
        subject = f"{what} {better if shown else 'is not shown to differ from'} {pair.other.what or pair.other.name}"
    p = p_value(pair.p["ua"])
    sentence = (
        f"{subject}: UA {points(found)} points by {pair.drawn}, p {p if p[0] in '<>' else f'= {p}'}; {power(pair)}"
    )
    without_0 = not found.interval[0] <= 0 <= found.interval[1]
    return sentence + " (the interval leaves 0 out, but p decides)" * (without_0 and not shown)


def power(pair: Pair) -> str:
    """What a pair's design could have shown, in words."""
    if pair.detectable is not None:
        could = f"a true difference of {100 * pair.detectable:.1f} points or more"
        return f"{could} would have been shown in four of five cases"
    corrected = " corrected for the other verdicts" if pair.tests > 1 else ""
    least = min(1.0, pair.found.least_p * pair.tests)
    return f"{pair.drawn.split(' in ')[0]} can show no difference: the smallest possible p is {least:.3g}{corrected}"


def rules(pairs: Sequence[tuple[Experiment, Pair]]) -> Paragraph | None:
    """How this report decides, in a paragraph; None where nothing is compared."""
    if not pairs:
        return None
    several = f", corrected by Holm's method over the {len(pairs)} verdicts of this report" if len(pairs) > 1 else ""
    text = (
        f"The primary measure is UA, and a difference counts at p < {ALPHA} (α){several}. p is the larger of two: a"
        " permutation that exchanges the systems' outputs of whole speakers, and Student's t by the jackknife, which knows"
        " that the speakers of a fold share a network."
    )
    if any(min(pair.found.runs) == 1 for _, pair in pairs):
        text += " Systems of one training run: what another seed would give is in no interval; train several to know."
    return Paragraph(text)


def points(found: Difference) -> str:
    """`+5.3 (-1.9 to +14.0)`: the difference in points and its 95 % interval."""
    value, low, high = (f"{100 * x:+.1f}".replace("-0.0", "+0.0") for x in (found.value, *found.interval))
    return f"{value} ({low} to {high})"


def differences_table(pairs: list[tuple[Experiment, Pair]], stamps: tuple[str, ...]) -> Table | None:
    """The pairs as numbers; None where there are none."""
    if not pairs:
        return None
    rows = []
    for experiment, pair in pairs:
        c = pair.found
        least = "none" if pair.detectable is None else f"{100 * pair.detectable:.1f}"
        alone = ["–", "–"] if c.mcnemar_p is None else [f"{c.only_a} : {c.only_b}", p_value(c.mcnemar_p)]
        rows.append([
            experiment.short, f"{words(pair.system)} against {words(pair.other)}", points(c.ua), p_value(pair.p["ua"]),
            least, points(c.wa), p_value(pair.p["wa"]), " : ".join(map(str, c.runs)), *alone,
        ])  # fmt: skip
    alone = ", which are not independent: speakers are not known" * any(
        pair.drawn.endswith(" segments") for _, pair in pairs
    )
    notes = (
        f"Differences of the pooled figures, by {_drawn(pairs)}{alone}. UA decides; WA stands beside it.",
        "“Could be shown”: the smallest difference in UA that this design shows in four of five cases. A difference that is"
        " not shown may still be there: the interval says how large.",
        "“Alone correct” counts segments that one system classifies correctly and the other does not; McNemar's exact test"
        " of these assumes independent segments, which those of a speaker are not, and decides nothing here.",
    )
    columns = ["experiment", "systems", "UA, points (95 %)", "p", "could be shown, points", "WA, points (95 %)", "p",
               "training runs", "alone correct", "p (McNemar: assumes independent segments)"]  # fmt: skip
    return Table("differences", "Paired comparison", columns, rows, stamps, notes, words=2)


def _drawn(pairs: list[tuple[Experiment, Pair]]) -> str:
    return " and ".join(sorted({pair.drawn for _, pair in pairs}))


def transfer_figure(pairs: list[tuple[Experiment, Pair]], stamps: tuple[str, ...]) -> Figure | None:
    """Every transfer's difference in UA and WA to no transfer, with intervals; None where there is none."""
    pairs = [(experiment, pair) for experiment, pair in pairs if pair.of_transfer]
    if not pairs:
        return None
    lines = [f"{experiment.short}: {pair.system.what}" for experiment, pair in pairs]

    def draw(canvas):
        axes = canvas.subplots()
        axes.axvline(0, color=INK, linewidth=1.2)
        for k, (what, colour, marker) in enumerate((("ua", COLOURS[0], MARKERS[0]), ("wa", COLOURS[1], MARKERS[1]))):
            for row, (_, pair) in enumerate(pairs):
                found = getattr(pair.found, what)
                height = row + 0.05 + 0.25 * k
                axes.plot([100 * end for end in found.interval], [height] * 2, color=colour, linewidth=2.2)
                axes.plot(100 * found.value, height, marker, color=colour, markersize=7, linestyle="none",
                          label=what.upper() if not row else None)  # fmt: skip
        far = max(abs(end) for end in axes.get_xlim())
        axes.set_xlim(-far, far)
        axes.set_ylim(len(lines) - 0.45, -0.5)
        for row, line in enumerate(lines):
            axes.text(-far, row - 0.2, cut(line, 60), va="center", fontsize=9.5)
            if row:
                axes.axhline(row - 0.42, color=LINE, linewidth=0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("without transfer better  ←  points  →  with transfer better")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)

    alt = "Differences to the system without transfer, with 95 % intervals: " + "; ".join(
        f"{line}, UA {points(pair.found.ua)}, WA {points(pair.found.wa)}" for line, (_, pair) in zip(lines, pairs)
    )
    notes = (
        "Points of the pooled UA and WA above the system without transfer, on the same segments; lines are 95 %"
        f" intervals by {_drawn(pairs)}. A line that crosses 0 does not show a difference.",
    )
    title = "Difference that transfer makes"
    return figure("transfer", title, draw, (5.4, 1.0 + 0.72 * len(lines)), alt, stamps, notes)
