"""Perturb speech as utt2perturb says, before its features are computed."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.frontend.speech import Job, Speech
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.kaldi.specifiers import Rspecifier

log = logging.getLogger("sertk")


class Perturb:
    """Perturb the utterances that a utt2perturb lists; the others pass unchanged. Thread-safe.

    Args:
        path: the list; None: nothing is perturbed

    Raises:
        SertkError: if it cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        # make_feats.sh gives a job without perturbed utterances an empty list.
        empty = path is None or (path.is_file() and not path.stat().st_size)
        self.text_of = {} if empty else read_list(path, columns=None)
        self.path = path
        self.missed: set[str] = set(self.text_of)
        if self.text_of:  # importing them takes a tenth of the time that make-fbank needs for a recording
            from sertk.frontend.perturb import perturbed
            from sertk.frontend.sounds import Sounds

            self.perturbed = partial(perturbed, sounds=Sounds())

    @classmethod
    def of_folder(cls, folder: Path) -> "Perturb":
        """The perturbations of a data folder, which need not have any."""
        path = folder / "utt2perturb"
        return cls(path if path.is_file() else None)

    @classmethod
    def beside(cls, source: Rspecifier, path: Path | None) -> "Perturb":
        """The perturbations `path`; a warning if there is none, but a utt2perturb beside the script of recordings."""
        script = Path(source.filename)
        if path is None and source.script and script.is_file() and script.with_name("utt2perturb").is_file():
            found = script.with_name("utt2perturb")
            log.warning("%s is not read: --utt2perturb=%s perturbs the utterances", found, found)
        return cls(path)

    def __call__(self, speech: Speech) -> Speech:
        """Perturb an utterance; a line or sound that cannot be used becomes its reason."""
        text = self.text_of.get(speech.key)
        if text is None:
            return speech
        self.missed.discard(speech.key)
        if speech.samples is None:
            return speech
        try:
            with one_recording():
                samples = self.perturbed(speech.take(), speech.rate, text)
        except SertkError as error:
            line = "" if isinstance(error, UnfitAudio) else f"{self.path}: "
            return Speech(speech.key, speech.where, reason=f"{line}{error}")
        return Speech(speech.key, speech.where, samples, speech.rate)

    def jobs(self, jobs: Iterator[Job]) -> Iterator[Job]:
        """The jobs of `recording_jobs`, with their utterances perturbed."""
        if not self.text_of:
            return jobs
        return ((lambda job=job: [self(speech) for speech in job()]) for job in jobs)

    def check(self) -> None:
        """Check that the list was of this input.

        Raises:
            SertkError: if none of its utterances was met.
        """
        if self.text_of and len(self.missed) == len(self.text_of):
            raise SertkError(
                f"{self.path}: the input has none of its {len(self.text_of)} utterances: {min(self.missed)}, …"
            )
