"""Recordings into features, several at a time, in the recordings' order."""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import local

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.cmvn import normalise
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.recordings import Job, Speech


@dataclass(frozen=True)
class Features:
    """Features of an utterance, float32 (frames, bins), and its length in seconds; or why there are none."""

    key: str
    feats: np.ndarray | None = None
    seconds: float = 0.0
    reason: str = ""


class Extractor:
    """A job's utterances into features; each thread needs one of its own.

    cmvn: normalise every utterance by its own mean and variance
    allow_resample: bring other sample rates to the one of `options` (else they are a SertkError)
    min_duration: seconds; shorter utterances get a reason instead of features
    """

    def __init__(
        self,
        options: FbankOptions,
        backend: str = "numpy",
        cmvn: bool = False,
        allow_resample: bool = False,
        min_duration: float = 0.0,
        seed: int = 0,
    ):
        self.options, self.cmvn, self.allow_resample = options, cmvn, allow_resample
        self.min_duration, self.seed = min_duration, seed
        if backend == "torchaudio":
            from sertk.frontend.resample import TorchaudioFbank

            self.fbank = TorchaudioFbank(options)
        else:
            self.fbank = Fbank(options)

    def __call__(self, job: Job) -> list[Features]:
        return [self.features(speech) for speech in job()]

    def features(self, speech: Speech) -> Features:
        """The features of one utterance."""
        if speech.samples is None:
            return Features(speech.key, reason=speech.reason)
        seconds = len(speech.samples) / speech.rate
        if seconds < self.min_duration:
            return Features(speech.key, reason=f"lasts {seconds:g} s (--min-duration={self.min_duration:g})")
        samples = self._at_rate(speech)
        # By key and not by order, so that neither threads nor the splitting of a list change the noise.
        rng = np.random.default_rng([self.seed, zlib.crc32(speech.key.encode())]) if self.options.dither else None
        feats = self.fbank(samples, rng)
        if not len(feats):
            return Features(speech.key, reason=f"{len(samples)} samples are too few for a frame")
        return Features(speech.key, normalise(feats, out=feats) if self.cmvn else feats, seconds)

    def _at_rate(self, speech: Speech) -> np.ndarray:
        wanted = self.options.sample_frequency
        if speech.rate == wanted:
            return speech.samples
        if not self.allow_resample:
            raise SertkError(
                f"{speech.where}: has {speech.rate} samples a second and {wanted:g} are wanted: "
                f"--allow-resample=true converts it"
            )
        from sertk.frontend.resample import resample

        return resample(speech.samples, speech.rate, int(wanted))


def in_order(make_worker: Callable[[], Callable], jobs: Iterable, num_threads: int) -> Iterator:
    """What worker(job) lists for each job, in the jobs' order, by `num_threads` threads with a worker each.

    The caller's thread fetches the jobs and uses the results meanwhile; a few are under way at a time. An exception
    of a worker comes out at its job's place.
    """
    if num_threads == 1:
        worker = make_worker()
        for job in jobs:
            yield from worker(job)
        return
    from concurrent.futures import ThreadPoolExecutor  # 2 ms of every start

    own = local()

    def work(job):
        if not hasattr(own, "worker"):
            own.worker = make_worker()
        return own.worker(job)

    pool = ThreadPoolExecutor(num_threads)
    try:
        pending = deque()
        for job in jobs:
            pending.append(pool.submit(work, job))
            if len(pending) > 2 * num_threads:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
