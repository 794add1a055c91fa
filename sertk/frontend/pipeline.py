"""Recordings into features, several at a time, in the recordings' order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import local

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.recordings import Job, Speech
from sertk.frontend.unfit import UnfitAudio


@dataclass(frozen=True)
class Features:
    """Features of an utterance, float32 (frames, bins), and its length in seconds; or why there are none."""

    key: str
    feats: np.ndarray | None = None
    seconds: float = 0.0
    reason: str = ""


def features_of(job: Job, extract: FeatureExtractor) -> list[Features]:
    """The features of a job's utterances; what is unfit as a reason.

    Raises:
        SertkError: for what holds for every recording, with the file, line and key.
    """
    return [_features(speech, extract) for speech in job()]


def _features(speech: Speech, extract: FeatureExtractor) -> Features:
    if speech.samples is None:
        return Features(speech.key, reason=speech.reason)
    try:
        seconds = len(speech.samples) / speech.rate
        return Features(speech.key, extract.features(speech.take(), speech.rate, speech.key), seconds)
    except UnfitAudio as error:
        return Features(speech.key, reason=str(error))
    except SertkError as error:
        raise SertkError(f"{speech.where}: {error}") from None


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
