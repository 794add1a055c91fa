"""Paired comparisons with a reference, on the same segments; of the system without transfer: does transfer help?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure as Canvas

from sertk.report.document import MISSING, Figure, Paragraph, Table
from sertk.report.drawing import COLOURS, INK, LINE, MARKERS, figure
from sertk.report.figures import words
from sertk.report.lettering import cut
from sertk.report.systems import SCRATCH, Experiment, System
from sertk.scoring.groups import unit_words
from sertk.scoring.paired import ALPHA, Comparison, Difference, compare, holm
from sertk.scoring.testset import known_clusters
from sertk.scoring.text import p_value


@dataclass(frozen=True)
class Pair:
    """A system compared with another one on the same segments.

    Args:
        system: the system.
        other: the one it is compared with.
        found: their comparison.
        p: p-values of "ua" and "wa", corrected by Holm's method over all comparisons of the report.
        drawn: the permuted units, in words.
        tests: number of comparisons in the report.
    """

    system: System
    other: System
    found: Comparison
    p: dict[str, float]
    drawn: str
    tests: int = 1

    @property
    def of_transfer(self) -> bool:
        """True if only `system` uses transfer."""
        return self.other.what.startswith(SCRATCH) and self.system.transfers

    @property
    def detectable(self) -> float | None:
        """Minimum detectable difference in UA (80 % power) as a fraction; None if no difference is detectable."""
        return self.found.ua.detectable(self.tests) if self.found.possible(self.tests) else None


def all_pairs(experiments: Sequence[Experiment], seed: int = 0) -> list[tuple[Experiment, Pair]]:
    """The pairs of all experiments of a report, with p-values corrected over all of them."""
    pairs = [(experiment, pair) for experiment in experiments for pair in pairs_of(experiment, seed)]
    adjusted = {what: holm([getattr(pair.found, what).p for _, pair in pairs]) for what in ("ua", "wa")}
    return [
        (experiment, replace(pair, p={what: values[k] for what, values in adjusted.items()}, tests=len(pairs)))
        for k, (experiment, pair) in enumerate(pairs)
    ]


def pairs_of(experiment: Experiment, seed: int = 0) -> list[Pair]:
    """Each system against the experiment's reference, or else the first one without transfer.

    If there is neither, the first system is compared with each other one.

    Only systems with the same model selection rule; `selection_table` compares rules. p-values are uncorrected.
    """
    reference = next((system for system in experiment.systems if system.what.startswith(SCRATCH)), None)
    reference = experiment.systems[0] if experiment.against else reference
    rule = (reference or experiment.systems[0]).rule
    systems = [system for system in experiment.systems if system.rule == rule]
    if reference:
        compared_systems = [(system, reference) for system in systems if system is not reference]
    else:
        compared_systems = [(systems[0], other) for other in systems[1:]]
    unit = next(iter(known_clusters(experiment.test)), "segment")
    comparisons = [compared(experiment, system, other, seed) for system, other in compared_systems]
    return [
        Pair(*pair, c, {"ua": c.ua.p, "wa": c.wa.p}, unit_words(unit, c.clusters, c.units))
        for pair, c in zip(compared_systems, comparisons)
    ]


def compared(experiment: Experiment, system: System, other: System, seed: int = 0) -> Comparison:
    """`system` minus `other`, clustered by speaker; by segment if speakers are unknown."""
    test = experiment.test
    clusters = next(iter(known_clusters(test).values()), None)
    by = (test.keys, None) if clusters is None else (clusters, test.fold)
    return compare(test.truth, system.guess, other.guess, by[0], len(test.labels), by[1], seed=seed)


def verdict(pair: Pair) -> str:
    """The answer in one sentence: UA decides at p < 0.05; with the minimum detectable difference.

    Not significant does not mean equal: the interval gives the size of the differences that remain plausible.
    """
    difference, significant = pair.found.ua, pair.p["ua"] < ALPHA
    if pair.of_transfer:
        answer = ("helps" if difference.value > 0 else "hurts") if significant else "has no significant effect"
        subject = f"Transfer ({pair.system.what}) {answer}"
    else:
        better = f"is {'better' if difference.value > 0 else 'worse'} than"
        verb = better if significant else "does not differ significantly from"
        subject = f"{words(pair.system)} {verb} {words(pair.other)}"
    p = p_value(pair.p["ua"])
    sentence = f"{subject}: UA {points(difference)} points by {pair.drawn}, p {p if p[0] in '<>' else f'= {p}'}"
    # Holm's last step corrects less than `tests` times, so a difference can be significant where none is detectable.
    if pair.detectable is not None or not significant:
        sentence += f"; {power(pair)}"
    excludes_0 = not difference.interval[0] <= 0 <= difference.interval[1]
    return sentence + " (the interval excludes 0, but p decides)" * (excludes_0 and not significant)


def power(pair: Pair) -> str:
    """The minimum detectable difference, in words."""
    if pair.detectable is not None:
        return f"the smallest detectable difference is {100 * pair.detectable:.1f} points (80 % power)"
    corrected = " after correction" if pair.tests > 1 else ""
    least = min(1.0, pair.found.least_p * pair.tests)
    return f"with {pair.drawn.split(' in ')[0]} no difference is detectable: the smallest possible p is {least:.3g}{corrected}"


def rules(pairs: Sequence[tuple[Experiment, Pair]]) -> Paragraph | None:
    """The statistical method of the report, in a paragraph; None without comparisons."""
    if not pairs:
        return None
    several = f", corrected by Holm's method over the {len(pairs)} comparisons of this report" if len(pairs) > 1 else ""
    text = (
        f"The primary measure is UA; a difference is significant at p < {ALPHA}{several}. p is the larger of the p-values of two"
        " tests: a permutation test that exchanges the systems' outputs for whole speakers, and Student's t with jackknife"
        " variance, which accounts for speakers scored by the same fold's network."
    )
    if any(min(pair.found.runs) == 1 for _, pair in pairs):
        text += " With one training run per system, the intervals do not cover variation between seeds."
    return Paragraph(text)


def points(difference: Difference) -> str:
    """A difference in percentage points with its 95 % interval: `+5.3 (-1.9 to +14.0)`."""
    value, low, high = (f"{100 * x:+.1f}".replace("-0.0", "+0.0") for x in (difference.value, *difference.interval))
    return f"{value} ({low} to {high})"


def differences_table(pairs: list[tuple[Experiment, Pair]], stamps: tuple[str, ...]) -> Table | None:
    """Table of all pairs; None if there are none."""
    if not pairs:
        return None
    rows = []
    for experiment, pair in pairs:
        c = pair.found
        least = "none" if pair.detectable is None else f"{100 * pair.detectable:.1f}"
        alone = [MISSING, MISSING] if c.mcnemar_p is None else [f"{c.only_a} : {c.only_b}", p_value(c.mcnemar_p)]
        rows.append([
            experiment.short, f"{words(pair.system)} against {words(pair.other)}", points(c.ua), p_value(pair.p["ua"]),
            least, points(c.wa), p_value(pair.p["wa"]), " : ".join(map(str, c.runs)), *alone,
        ])  # fmt: skip
    alone = ", which are not independent: speakers are unknown" * any(
        pair.drawn.endswith(" segments") for _, pair in pairs
    )
    notes = (
        f"Differences in pooled figures, by {_drawn(pairs)}{alone}. UA decides; WA is given for reference.",
        "Detectable: the smallest true difference in UA that this design detects with 80 % power. A difference that is not"
        " significant may still exist: the interval bounds its size.",
        "Discordant: segments that only the first : only the second system classifies correctly. McNemar's exact test on these"
        " assumes independent segments, but segments of a speaker are correlated; it decides nothing here.",
    )
    columns = ["experiment", "systems", "UA, points (95 %)", "p", "detectable, points", "WA, points (95 %)", "p",
               "training runs", "discordant segments", "p (McNemar)"]  # fmt: skip
    if all(row[-1] == MISSING for row in rows):  # McNemar's test is of single runs
        columns, rows, notes = columns[:-2], [row[:-2] for row in rows], notes[:-1]
    return Table("differences", "Paired comparison", columns, rows, stamps, notes, words=2)


def _drawn(pairs: list[tuple[Experiment, Pair]]) -> str:
    """The units of all pairs, in words."""
    return " and ".join(sorted({pair.drawn for _, pair in pairs}))


def transfer_figure(pairs: list[tuple[Experiment, Pair]], stamps: tuple[str, ...]) -> Figure | None:
    """Differences in UA and WA of systems with and without transfer, with intervals; None without such pairs."""
    pairs = [(experiment, pair) for experiment, pair in pairs if pair.of_transfer]
    if not pairs:
        return None
    lines = [f"{experiment.short}: {pair.system.what}" for experiment, pair in pairs]

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvline(0, color=INK, linewidth=1.2)
        for k, (what, colour, marker) in enumerate((("ua", COLOURS[0], MARKERS[0]), ("wa", COLOURS[1], MARKERS[1]))):
            for row, (_, pair) in enumerate(pairs):
                difference = getattr(pair.found, what)
                height = row + 0.05 + 0.25 * k
                axes.plot([100 * end for end in difference.interval], [height] * 2, color=colour, linewidth=2.2)
                axes.plot(100 * difference.value, height, marker, color=colour, markersize=7, linestyle="none",
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
        axes.set_xlabel("without transfer better  ←  difference in points  →  with transfer better")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)

    alt = "Differences to the system without transfer, with 95 % intervals: " + "; ".join(
        f"{line}, UA {points(pair.found.ua)}, WA {points(pair.found.wa)}" for line, (_, pair) in zip(lines, pairs)
    )
    notes = (
        "Pooled UA and WA minus those of the system without transfer, on the same segments; lines are 95 %"
        f" intervals by {_drawn(pairs)}. A difference whose line crosses 0 is not significant.",
    )
    title = "Effect of transfer"
    return figure("transfer", title, draw, (5.4, 1.0 + 0.72 * len(lines)), alt, stamps, notes)
