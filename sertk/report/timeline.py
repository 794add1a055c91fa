"""Emotions along a recording: its waveform, and below it a curve for each label."""

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from sertk.atomic import atomic_file
from sertk.report import drawing
from sertk.report.document import Figure
from sertk.report.drawing import COLOURS, DASHES, INK, LINE, figure, in_format

FORMATS = (".png", ".svg", ".html", ".pdf")
# Columns of the waveform: more than a figure has pixels.
COLUMNS = 2000
# Inches of the axes and of a letter in the band.
WIDTH, LETTER = 8.8, 0.07


def check_format(path: Path) -> None:
    """Raise SertkError unless a picture can be written under this name."""
    drawing.check_format(path, FORMATS)


def outline(samples: np.ndarray) -> np.ndarray:
    """The least and the greatest sample of each column of a waveform: (2, columns), in ±1 of the 16-bit range."""
    if not len(samples):
        return np.zeros((2, 0))
    starts = np.unique(np.linspace(0, len(samples), COLUMNS, endpoint=False).astype(int))
    return np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)]) / 32768


def timeline(
    name: str,
    wave: np.ndarray,
    seconds: float,
    labels: Sequence[str],
    times: np.ndarray,
    posteriors: np.ndarray,
    stretches: Sequence[tuple[float, float, str]],
) -> Figure:
    """The figure.

    Args:
        name: of the recording.
        wave: of `outline`.
        seconds: length of the recording.
        labels: of the curves.
        times: (windows,) middles of the windows in seconds.
        posteriors: (windows, labels), NaN without speech.
        stretches: (start, end, emotion), one after the other; they are the band between waveform and curves.
    """

    def draw(canvas: Canvas) -> None:
        top, band, below = canvas.subplots(3, 1, sharex=True, height_ratios=[1.2, 0.22, 2])
        x = (np.arange(wave.shape[1]) + 0.5) * seconds / max(1, wave.shape[1])
        top.fill_between(x, wave[0], wave[1], color=INK, linewidth=0.4, step="mid")
        bound = max(0.01, float(np.abs(wave).max(initial=0)))
        top.set_ylim(-1.05 * bound, 1.05 * bound)
        top.set_ylabel("amplitude")
        top.set_title(name)
        colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(labels)}
        for start, end, emotion in stretches:
            colour = colours.get(emotion)
            band.axvspan(
                start, end, facecolor=colour or "none", edgecolor=LINE, hatch=None if colour else "////", linewidth=0
            )
            if WIDTH * (end - start) / max(seconds, 1e-9) > LETTER * len(emotion):
                band.text((start + end) / 2, 0.5, emotion, ha="center", va="center", fontsize=8,
                          color="#ffffff" if colour else INK)  # fmt: skip
        band.set_yticks([])
        band.grid(False)
        band.spines[:].set_visible(False)
        for k, label in enumerate(labels):
            below.plot(times, 100 * posteriors[:, k], color=colours[label], linestyle=DASHES[k // len(COLOURS) % len(DASHES)],
                       marker="o" if len(times) < 60 else None, markersize=3, label=label)  # fmt: skip
        below.set_ylim(-2, 102)
        below.set_ylabel("probability [%]")
        below.set_xlabel("time [s]")
        below.set_xlim(0, max(seconds, 1e-3))
        canvas.legend(loc="outside lower center", ncols=min(6, len(labels)))

    alt = f"{name}: waveform, and the probabilities of {', '.join(labels)} over {seconds:.1f} s"
    return figure("timeline", name, draw, (9.5, 4.6), alt)


def write_timeline(path: Path, shown: Figure, stretches: Sequence[tuple[float, float, str]]) -> None:
    """Write the figure in the format that the name says; a page has the emotions as a table too.

    Raises:
        SertkError: for another format.
    """
    check_format(path)
    suffix = path.suffix.lower()
    content = _page(shown, stretches).encode() if suffix == ".html" else in_format(shown, suffix)
    with atomic_file(path, "wb") as file:
        file.write(content)


def _page(shown: Figure, stretches: Sequence[tuple[float, float, str]]) -> str:
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    rows = "".join(f"<tr><td>{a:.2f}</td><td>{b:.2f}</td><td>{html.escape(e)}</td></tr>" for a, b, e in stretches)
    title = html.escape(shown.title)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>\n{css}\n</style>\n<main>\n<h1>{title}</h1>\n<figure>{shown.svg}</figure>\n"
        f"<table><thead><tr><th>start [s]</th><th>end [s]</th><th>emotion</th></tr></thead>\n<tbody>{rows}</tbody></table>\n"
        "</main>\n</html>\n"
    )
