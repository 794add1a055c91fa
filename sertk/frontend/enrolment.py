"""Normalisation by recordings of a speaker, for networks on features that were normalised by speaker."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.cmvn import Moments
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.unfit import UnfitAudio

Recording = str | PathLike | tuple[np.ndarray, float]

log = logging.getLogger("sertk")
# Seconds of a speaker, pauses included, from which on normalisation by speaker was not worse than by the training segments
# (egs/benchmark/RESULTS.md, "How much of a speaker it takes").
ENOUGH = 25.0


def enrolled_extractor(
    frontend: dict,
    model_path: Path,
    recordings: Iterable[Recording],
    skip: Callable[[str, str], None] | None = None,
) -> FeatureExtractor:
    """The front end of a model for one speaker: features are normalised by the mean and variance of the recordings.

    As in cmvn-segment --utt2group, all frames of all recordings count, pauses too.

    Args:
        frontend: the model's settings, with cmvn "group" or "group mean"
        model_path: the model file, for messages
        recordings: audio files of the speaker, or (samples, rate); in the order of a table, features have the bits of
            cmvn-segment's
        skip: called with name (file, or "recording N") and reason for one that is unfit; None: that raises UnfitAudio

    Raises:
        SertkError: if the model's features are not normalised over groups, or if no recording can be used.
    """
    extract = FeatureExtractor.of_model(frontend | {"cmvn": "none"}, model_path)
    if not (cmvn := frontend.get("cmvn", "none")).startswith("group"):
        raise SertkError(
            f"{model_path}: takes no recordings of the speaker: its features were not normalised over groups (cmvn: {cmvn})"
        )
    moments, used, skipped, seconds = Moments(extract.options.num_mel_bins), 0, 0, 0.0
    for number, recording in enumerate(recordings, 1):
        is_file = isinstance(recording, str | PathLike)
        name = str(recording) if is_file else f"recording {number}"
        try:
            samples = extract.samples_of_file(Path(recording)) if is_file else extract.prepared_from(*recording)
            moments.add(extract.of_prepared(samples))
        except UnfitAudio as error:
            if skip is None:
                raise UnfitAudio(f"{name}: {error}") from None
            skip(name, str(error))
            skipped += 1
        else:
            used, seconds = used + 1, seconds + len(samples) / extract.options.sample_frequency
    if not used:
        raise SertkError(f"{model_path}: none of the recordings of the speaker can be used ({skipped} skipped)")
    log.info("enrolment: %d recordings, %.1f s, skipped %d", used, seconds, skipped)
    if seconds < ENOUGH:
        log.warning(
            "%.1f s of the speaker, under %g: on CREMA-D normalisation by speaker had UA 50.4 with 7.5 s, 60.3 with 25 s, 65.0"
            " with all recordings, normalisation by the training segments (train-resnet --input-norm) 59.2",
            seconds,
            ENOUGH,
        )
    extract.normaliser = partial(moments.normalise, norm_vars=cmvn == "group")
    return extract
