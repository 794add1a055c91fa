"""Compute the features of recordings on several threads, in the recordings' order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import local
from typing import Any

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.speech import Job, Speech
from sertk.frontend.unfit import UnfitAudio


@dataclass(frozen=True)
class Features:
    """Features of an utterance, or the reason why it has none.

    Attributes:
        key: key of the utterance
        feats: (frames, bins) float32, or None
        seconds: duration of the utterance
        reason: why there are no features
    """

    key: str
    feats: np.ndarray | None = None
    seconds: float = 0.0
    reason: str = ""


def features_of(job: Job, extract: FeatureExtractor) -> list[Features]:
    """Compute the features of a job's utterances.

    Args:
        job: decodes the utterances
        extract: computes their features

    Returns:
        Features of each utterance; a reason for each that cannot be used.

    Raises:
        SertkError: if an error is not that of one recording; names file, line and key.
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
    """Run jobs on several threads and yield their results in order.

    The jobs are fetched by the caller's thread, at most 2 · num_threads + 1 ahead.

    Args:
        make_worker: called once in each thread; returns a function from a job to a list of results
        jobs: the jobs
        num_threads: number of threads; 1 runs in the caller's thread

    Yields:
        The results of each job, in the order of the jobs. An exception of a worker is raised in its job's place.
    """
    if num_threads == 1:
        worker = make_worker()
        for job in jobs:
            yield from worker(job)
        return
    from concurrent.futures import ThreadPoolExecutor  # takes 2 ms

    thread = local()

    def work(job: Any) -> list:
        if not hasattr(thread, "worker"):
            thread.worker = make_worker()
        return thread.worker(job)

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
