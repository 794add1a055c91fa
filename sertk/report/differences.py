"""Does transfer help, and how sure is that? Systems against the one without transfer, on the same segments."""

from dataclasses import dataclass

from sertk.report.document import Figure, Table
from sertk.report.drawing import COLOURS, INK, LINE, MARKERS, figure
from sertk.report.figures import words
from sertk.report.lettering import cut
from sertk.report.systems import SCRATCH, Experiment, System
from sertk.scoring.paired import Comparison, Difference, compare, holm


@dataclass(frozen=True)
class Pair:
    """A system against another on the same segments; p: of "ua", "wa" and "mcnemar", corrected by Holm's method over
    the experiment's pairs. drawn: what was exchanged and drawn, in words."""

    system: System
    other: System
    found: Comparison
    p: dict[str, float]
    drawn: str

    @property
    def of_transfer(self) -> bool:
        return self.other.what.startswith(SCRATCH) and not self.system.what.startswith(SCRATCH)


def pairs_of(experiment: Experiment, seed: int = 0) -> list[Pair]:
    """Each system against the first one without transfer; where there is none, the first system against each other.

    Only systems whose epochs were chosen by one rule: what another rule gives is `selection_table`'s.
    """
    reference = next((system for system in experiment.systems if system.what.startswith(SCRATCH)), None)
    rule = (reference or experiment.systems[0]).rule
    systems = [system for system in experiment.systems if system.rule == rule]
    if reference:
        chosen = [(system, reference) for system in systems if system is not reference]
    else:
        chosen = [(systems[0], other) for other in systems[1:]]
    found = [compared(experiment, system, other, seed) for system, other in chosen]
    adjusted = {
        "ua": holm([c.ua.p for c in found]),
        "wa": holm([c.wa.p for c in found]),
        "mcnemar": holm([c.mcnemar_p for c in found]),
    }
    drawn = f"{found[0].clusters} {'speakers' if known_speakers(experiment) else 'single segments'}" if found else ""
    return [
        Pair(system, other, c, {name: values[k] for name, values in adjusted.items()}, drawn)
        for k, ((system, other), c) in enumerate(zip(chosen, found))
    ]


def known_speakers(experiment: Experiment) -> bool:
    """Whether every segment's speaker is known, two or more."""
    speakers = experiment.test.maps.get("speaker", {})
    return len({speakers.get(key) for key in experiment.test.keys} - {None}) > 1 and all(
        key in speakers for key in experiment.test.keys
    )


def compared(experiment: Experiment, system: System, other: System, seed: int = 0) -> Comparison:
    """`system` less `other`; speakers are drawn and exchanged where they are known, single segments where not."""
    test = experiment.test
    clusters = [test.maps["speaker"][key] for key in test.keys] if known_speakers(experiment) else test.keys
    return compare(test.truth, system.scored.guess, other.scored.guess, clusters, len(test.labels), seed=seed)


def verdict(pair: Pair) -> str:
    """The answer in a sentence: UA decides, at p < 0.05.

    "No difference is shown" is not "there is none": the interval says how large it may be.
    """
    what = pair.system.what or pair.system.name
    sure = pair.p["ua"] < 0.05
    if pair.of_transfer:
        answer = ("helps" if pair.found.ua.value > 0 else "hurts") if sure else "is not shown to help or to hurt"
        subject = f"Transfer ({what}) {answer}"
    else:
        better = f"is {'better' if pair.found.ua.value > 0 else 'worse'} than"
        subject = f"{what} {better if sure else 'is not shown to differ from'} {pair.other.what or pair.other.name}"
    return f"{subject}: UA {points(pair.found.ua)} points, p = {pair.p['ua']:.2g}"


def points(found: Difference) -> str:
    """`+5.3 (-1.9 to +14.0)`: the difference in points and its 95 % interval."""
    value, low, high = (f"{100 * x:+.1f}".replace("-0.0", "+0.0") for x in (found.value, *found.interval))
    return f"{value} ({low} to {high})"


def p_value(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def differences_table(pairs: list[tuple[Experiment, Pair]], stamps: tuple[str, ...]) -> Table | None:
    """The pairs as numbers; None where there are none."""
    if not pairs:
        return None
    rows = []
    for experiment, pair in pairs:
        c = pair.found
        rows.append([
            experiment.short, f"{words(pair.system)} against {words(pair.other)}", points(c.ua), p_value(pair.p["ua"]),
            points(c.wa), p_value(pair.p["wa"]), f"{c.only_a} : {c.only_b}", p_value(pair.p["mcnemar"]),
            f"{c.cohen_g:+.2f}",
        ])  # fmt: skip
    alone = ", which are not independent" if any("segments" in pair.drawn for _, pair in pairs) else ""
    several = len({experiment.name for experiment, _ in pairs}) < len(pairs)
    notes = (
        f"Pooled figures; intervals and p by drawing and exchanging {_drawn(pairs)}{alone}. “Alone right” counts segments"
        " that one system recognised and the other did not: McNemar's exact test and Cohen's g are of these.",
        *(["p-values are corrected by Holm's method over the rows of an experiment."] if several else []),
    )
    columns = ["experiment", "systems", "UA, points (95 %)", "p", "WA, points (95 %)", "p", "alone right",
               "p (McNemar)", "g"]  # fmt: skip
    return Table("differences", "Is the difference real?", columns, rows, stamps, notes, words=2)


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
        f" intervals by drawing {_drawn(pairs)}. A line that crosses 0 shows no difference.",
    )
    title = "With transfer, less without"
    return figure("transfer", title, draw, (5.4, 1.0 + 0.72 * len(lines)), alt, stamps, notes)
