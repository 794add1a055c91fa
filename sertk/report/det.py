"""Detection error tradeoff (DET) curves of speaker trials, on normal deviate axes.

Gaussian scores of equal deviation give a straight line. Where fewer than 30 trials are wrong, a rate is too uncertain to
compare systems by (Doddington et al. 2000, "rule of 30"): there the curve is thin.

Source: Martin et al. 1997, "The DET curve in assessment of detection task performance".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy.special import ndtri

from sertk.report.document import Figure, Table, percent
from sertk.report.drawing import COLOURS, DASHES, INK, figure, legend_below
from sertk.report.lettering import cut
from sertk.scoring.speaker import eer, error_rates

TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80)  # per cent
# Wrong trials of a kind below which a rate is not drawn in full.
FEW = 30
# Points of a curve that are further apart than this, in deviates, are drawn.
_STEP = 0.004


@dataclass(frozen=True)
class Det:
    """A DET curve.

    Args:
        miss: (points,) P_miss, rising.
        false_alarm: (points,) P_fa, falling.
        certain: (points,) bool: at least 30 trials of both kinds are wrong.
        eer: equal error rate.
    """

    miss: np.ndarray
    false_alarm: np.ndarray
    certain: np.ndarray
    eer: float


def det_curve(targets: np.ndarray, nontargets: np.ndarray) -> Det:
    """The curve of scores (targets,) and (nontargets,), without points that would lie on one another."""
    miss, false_alarm = error_rates(targets, nontargets)
    inside = (miss > 0) & (miss < 1) & (false_alarm > 0) & (false_alarm < 1)
    miss, false_alarm = miss[inside], false_alarm[inside]
    path = np.cumsum(np.abs(np.diff(ndtri(miss), prepend=0)) + np.abs(np.diff(ndtri(false_alarm), prepend=0)))
    kept = np.flatnonzero(np.diff(np.floor(path / _STEP), prepend=-1))
    miss, false_alarm = miss[kept], false_alarm[kept]
    certain = (miss * len(targets) > FEW - 0.5) & (false_alarm * len(nontargets) > FEW - 0.5)
    return Det(miss, false_alarm, certain, eer(targets, nontargets))


def det_figure(systems: Mapping[str, tuple[np.ndarray, np.ndarray]], stamps: Sequence[str] = ()) -> Figure:
    """DET curves of systems on the same trials.

    Args:
        systems: name -> scores of targets and of nontargets.
        stamps: words for the title.
    """
    curves = {name: det_curve(*scores) for name, scores in systems.items()}
    names = [f"{cut(name, 48)}, EER {percent(curve.eer)} %" for name, curve in curves.items()]

    def draw(canvas: Canvas) -> None:
        axes, lines = canvas.subplots(), []
        low, high = _limits(curves.values())
        for number, curve in enumerate(curves.values()):
            look = {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6]}
            x, y = ndtri(curve.false_alarm), ndtri(curve.miss)
            axes.plot(x, y, **look, linewidth=0.7)
            lines += axes.plot(np.where(curve.certain, x, np.nan), y, **look, linewidth=1.8)
            if low < curve.eer < high:
                axes.plot(*[ndtri(curve.eer)] * 2, "o", color=look["color"], markersize=4.5)
        axes.axline((ndtri(0.5), ndtri(0.5)), slope=1, color=INK, linewidth=0.6, linestyle=":")
        places = [tick for tick in TICKS if low <= tick / 100 <= high]
        for axis, label in ((axes.xaxis, "false alarms [%]"), (axes.yaxis, "misses [%]")):
            axis.set_ticks(ndtri(np.array(places) / 100), [f"{tick:g}" for tick in places])
            axis.set_label_text(label)
        axes.set(xlim=ndtri((low, high)), ylim=ndtri((low, high)), aspect="equal")
        legend_below(canvas, lines, names)

    alt = "DET curves: " + "; ".join(names)
    notes = (f"Circles: equal error rates. Thin: fewer than {FEW} trials of a kind are wrong.",)
    rows = [
        [name, *(percent(_miss_at(scores, rate)) for rate in (0.001, 0.01, 0.1))] for name, scores in systems.items()
    ]
    columns = ["system", *(f"misses at {rate} % false alarms [%]" for rate in (0.1, 1, 10))]
    table = Table("det-numbers", "Data of the figure", columns, rows)
    size = (5.4, 5.2 + 0.19 * len(curves))
    return figure("det", "DET curves", draw, size, alt, tuple(stamps), notes, table)


def _miss_at(scores: tuple[np.ndarray, np.ndarray], rate: float) -> float:
    """P_miss at the lowest threshold with at most `rate` false alarms."""
    miss, false_alarm = error_rates(*scores)
    return float(miss[false_alarm <= rate][0])


def _limits(curves: Sequence[Det]) -> tuple[float, float]:
    """Lowest and highest rate of the axes: what is certain, or all if nothing is, with some room."""
    rates = [side[curve.certain] for curve in curves for side in (curve.miss, curve.false_alarm)]
    rates = [side for side in rates if len(side)] or [s for c in curves for s in (c.miss, c.false_alarm) if len(s)]
    if not rates:  # no errors
        return 0.001, 0.6
    low = min(side.min() for side in rates)
    return float(np.clip(low / 2, 1e-5, 0.2)), 0.6
