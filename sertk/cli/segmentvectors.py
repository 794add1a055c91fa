"""A vector for each recording or segment, computed from its samples by a function: for scripts around other packages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sertk.cli.tally import Tally, progress
from sertk.frontend.audio import SCALE
from sertk.frontend.perturb_list import Perturb
from sertk.frontend.recordings import read_recordings
from sertk.kaldi.specifiers import Rspecifier, Wspecifier
from sertk.kaldi.tables import table_writer


def write_vectors(
    vector_of: Callable[[np.ndarray, float], np.ndarray],
    settings: dict,
    wav_in: Rspecifier,
    vectors_out: Wspecifier,
    segments: Path | None,
    utt2perturb: Path | None,
    max_skip: float,
) -> None:
    """Write the vectors of recordings as a table; recordings that cannot be read are skipped and counted.

    Args:
        vector_of: function of (samples, (n,) float32 in ±1; samples a second) that returns (numbers,)
        settings: how the vectors are computed, for the manifest, with `trained_on`
        wav_in: recordings
        vectors_out: the table
        segments: segments to cut out; None: whole recordings
        utt2perturb: perturbations of the utterances
        max_skip: largest fraction of the input that may be skipped

    Raises:
        SertkError: more is skipped, or a list or the table cannot be read or written.
    """
    perturb = Perturb.beside(wav_in, utt2perturb)
    with Tally(wav_in, max_skip) as tally, table_writer(vectors_out, kind="vector", settings=settings) as write:
        for speech in progress(map(perturb, read_recordings(wav_in, segments))):
            if speech.samples is None:
                tally.skip(speech.key, speech.reason)
                continue
            write(speech.key, vector_of(speech.take() / SCALE, speech.rate).astype(np.float32))
            tally.done()
        tally.check()
        perturb.check()
