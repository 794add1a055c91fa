"""A model file for classify-audio: stretches of recordings in, posteriors out."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.stretches import Stretch
from sertk.frontend.unfit import UnfitAudio
from sertk.models.fuse import for_evaluation
from sertk.models.inference import Skip, segment_outputs
from sertk.models.modelfile import check_outputs, load_model
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16


class Recogniser:
    """A model with its front end, ready to compute.

    Args:
        path: of the model file.
        device: "cpu", "cuda" or "cuda:N"; None: a GPU if there is one.
        precision: "float32", "bf16" or "auto".
        num_threads: of the CPU; None: OMP_NUM_THREADS, else all cores.

    Raises:
        SertkError: not a model file, or its features cannot be made of one recording.
    """

    def __init__(self, path: Path, device: str | None, precision: str, num_threads: int | None) -> None:
        self.device, _ = choose_device(device), prepare_cpu(num_threads)
        precision = choose_precision(precision, self.device)
        model = load_model(path)
        check_outputs(model, path)
        self.labels, self.extract = list(model.labels), FeatureExtractor.of_model(model.frontend, path)
        warn_of_emulated_bf16(precision, self.device)
        self._network = for_evaluation(model.network, self.device, precision)

    def posteriors(self, stretches: Iterable[Stretch], skip: Skip) -> Iterator[tuple[Stretch, np.ndarray]]:
        """The posteriors of stretches, in their order.

        Args:
            stretches: at any rate; their samples are taken.
            skip: called with a stretch's name and the reason for one that is unfit or does not fit into memory.

        Yields:
            the stretch and (labels,) float32.
        """
        named: dict[str, Stretch] = {}
        results = segment_outputs(self._network, self._features(stretches, named, skip), "posterior", self.device, skip)
        for name, posteriors in results:
            yield named.pop(name), posteriors

    def _features(
        self, stretches: Iterable[Stretch], named: dict[str, Stretch], skip: Skip
    ) -> Iterator[tuple[str, np.ndarray]]:
        for stretch in stretches:
            name = str(stretch)
            try:
                feats = features(self.extract, stretch)
            except UnfitAudio as error:
                skip(name, str(error))
                continue
            named[name] = stretch
            yield name, feats


def features(extract: FeatureExtractor, stretch: Stretch) -> np.ndarray:
    """The features of a stretch, whose samples are taken, (frames, bins).

    Raises:
        UnfitAudio: without sound, or too short for a frame.
    """
    try:
        return extract.of_prepared(extract.prepared(stretch.take(), stretch.rate))
    except UnfitAudio:
        raise
    except SertkError as error:
        raise SertkError(f"{stretch}: {error}") from None
