"""Table of a system's most confident errors, with transcripts, votes, spectrograms and audio."""

import io

import matplotlib.image
import numpy as np

from sertk.datadir.votes import Votes
from sertk.report.data import Data
from sertk.report.document import MISSING, Picture, Sound, Table
from sertk.report.figures import words
from sertk.report.systems import Experiment

# Maximum size of a thumbnail spectrogram in pixels.
WIDE, HIGH = 180, 40


def mistakes_table(experiment: Experiment, number: int, data: Data | None, audio: bool) -> Table:
    """The most confident errors of the first system, in its first training run.

    Args:
        experiment: the experiment.
        number: how many to list.
        data: the data folder, if known.
        audio: True: embed their audio.
    """
    system, test = experiment.systems[0], experiment.test
    confidence, guess = system.scored.posteriors.max(axis=1), system.scored.guess
    wrong = np.flatnonzero(guess != test.truth)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:number]
    keys = [test.keys[k] for k in chosen]
    columns = {
        "segment": keys,
        "truth": [test.labels[test.truth[k]] for k in chosen],
        "prediction": [test.labels[guess[k]] for k in chosen],
        "confidence %": [f"{100 * confidence[k]:.1f}" for k in chosen],
        "posterior of truth %": [f"{100 * system.scored.posteriors[k, test.truth[k]]:.1f}" for k in chosen],
    }
    if data and data.text:
        columns["transcript"] = [data.text.get(key, MISSING) for key in keys]
    if data and data.votes:
        columns["raters"] = [_votes_text(data.votes.get(key, [])) for key in keys]
    if data and data.feats is not None:
        columns["spectrogram"] = [small_picture(data.normal(key), key) for key in keys]
    if data and audio:
        sounds = data.sounds(keys)
        columns["audio"] = [Sound(sounds[key], key) if key in sounds else MISSING for key in keys]
    rows = [list(row) for row in zip(*columns.values())]
    notes = (f"The {len(keys)} most confident of {len(wrong)} errors in {len(test.keys)} segments.",)
    title = f"Most confident errors of {experiment.short}, {words(system)}"
    return Table(f"mistakes-{experiment.name}", title, list(columns), rows, system.stamps, notes, words=3,
                 sortable=True, filters=("truth", "prediction"))  # fmt: skip


def _votes_text(votes: Votes) -> str:
    """The votes of all raters: `ang, ang/fru, –`."""
    return ", ".join("/".join(labels) or MISSING for labels in votes) or MISSING


def small_picture(feats: np.ndarray | None, key: str) -> Picture | str:
    """Thumbnail of a spectrogram (frames, bins), low bins at the bottom; a dash without features."""
    if feats is None or not len(feats):
        return MISSING
    reduced = _averaged(_averaged(feats, WIDE).T, HIGH)[::-1]
    low, high = np.percentile(reduced, [3, 99])
    file = io.BytesIO()
    matplotlib.image.imsave(file, reduced, vmin=low, vmax=max(high, low + 1e-6), cmap="cividis", format="png",
                            metadata={"Software": None})  # fmt: skip
    return Picture(file.getvalue(), f"log-mel spectrogram of {key}, {len(feats)} frames")


def _averaged(matrix: np.ndarray, most: int) -> np.ndarray:
    """Average neighbouring rows down to at most `most` rows."""
    edges = np.linspace(0, len(matrix), min(most, len(matrix)) + 1).astype(int)
    return np.add.reduceat(matrix, edges[:-1], axis=0) / np.diff(edges)[:, None]
