"""A trained model on samples, files and stretches of recordings: for classify-audio and from Python."""

from collections.abc import Iterable, Iterator
from copy import copy
from os import PathLike
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.enrolment import Recording, enrolled_extractor
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.stretches import Stretch
from sertk.frontend.unfit import UnfitAudio
from sertk.models import modelfile
from sertk.models.calibrated import temperature_of
from sertk.models.fuse import for_evaluation
from sertk.models.inference import Skip, segment_outputs
from sertk.models.modelfile import Model, check_outputs
from sertk.runtime import choose_device, choose_precision, warn_of_emulated_bf16


class Classifier:
    """A model with its front end, ready to compute.

    Not for several threads at once: its buffers are used again.

    Args:
        model: from a model file.
        path: of that file, for messages.
        device: "cpu", "cuda" or "cuda:N"; None: a GPU if there is one.
        precision: "float32", "bf16", or "auto" (bf16 where the hardware computes in it).

    Raises:
        SertkError: the device does not exist.
    """

    def __init__(self, model: Model, path: Path, device: str | None = "cpu", precision: str = "float32") -> None:
        self.model, self.path, self.device = model, path, choose_device(device)
        precision = choose_precision(precision, self.device)
        warn_of_emulated_bf16(precision, self.device)
        self._network = for_evaluation(model.network, self.device, precision)
        self._extract: FeatureExtractor | None = None

    @property
    def labels(self) -> list[str]:
        """Names of the outputs, in their order."""
        return self.model.labels

    @property
    def temperature(self) -> float | None:
        """The temperature that calibrates the posteriors (calibrate-model); None: they are as trained."""
        return temperature_of(self.model)

    @property
    def extract(self) -> FeatureExtractor:
        """The front end of the model's features.

        Raises:
            SertkError: the model does not say how its features were made, or they cannot be made of one recording.
        """
        if self._extract is None:
            self._extract = FeatureExtractor.of_model(self.model.frontend, self.path)
        return self._extract

    def enrolled(self, recordings: Iterable[Recording], skip: Skip | None = None) -> "Classifier":
        """The classifier of one speaker, for a model whose training features were normalised by speaker.

        It computes with the same network; others can be enrolled beside it. What it is given is normalised by the mean and
        variance of these recordings.

        Args:
            recordings: audio files of the speaker, or pairs of samples and rate as `classify` takes them; 25 s or more in all
                (a warning is logged below that).
            skip: called with name (file, or "recording N") and reason for one that is unfit; None: that raises UnfitAudio.

        Raises:
            SertkError: another kind of model, or no recording can be used.
        """
        other = copy(self)
        other._extract = enrolled_extractor(self.model.frontend, self.path, recordings, skip)
        return other

    def features(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """The features of a recording, bit for bit those that make-fbank gives for a file with these samples.

        Args:
            samples: (samples,) or (samples, channels); int16, or floats in ±1.
            rate: samples a second.

        Returns:
            (frames, bins) float32.

        Raises:
            UnfitAudio: silence, NaN or infinite samples, too short for a frame.
            ValueError: samples of another type, shape or range.
        """
        return self.extract(samples, rate)

    def classify(self, samples: np.ndarray, rate: float) -> dict[str, float]:
        """The probability of every label for a recording; arguments and errors are those of `features`."""
        return self._posteriors(self.features(samples, rate))

    def classify_file(self, path: str | PathLike) -> dict[str, float]:
        """The probability of every label for an audio file.

        Raises:
            UnfitAudio: it is missing, no audio, damaged, silent or too short.
        """
        return self._posteriors(self.extract.of_file(Path(path)))

    def posteriors(self, stretches: Iterable[Stretch], skip: Skip) -> Iterator[tuple[Stretch, np.ndarray]]:
        """The posteriors of stretches, in their order.

        Args:
            stretches: at any rate; their samples are taken.
            skip: called with a stretch's name and the reason for one that is unfit or does not fit into memory.

        Yields:
            the stretch and (labels,) float32.
        """
        named: dict[str, Stretch] = {}

        def features() -> Iterator[tuple[str, np.ndarray]]:
            for stretch in stretches:
                name = str(stretch)
                try:
                    feats = self._features(stretch)
                except UnfitAudio as error:
                    skip(name, str(error))
                    continue
                named[name] = stretch
                yield name, feats

        check_outputs(self.model, self.path)
        for name, posteriors in segment_outputs(self._network, features(), "posterior", self.device, skip):
            yield named.pop(name), posteriors

    def _features(self, stretch: Stretch) -> np.ndarray:
        """The features of a stretch, whose samples are taken, (frames, bins)."""
        try:
            return self.extract.of_prepared(self.extract.prepared(stretch.take(), stretch.rate))
        except UnfitAudio:
            raise
        except SertkError as error:
            raise SertkError(f"{stretch}: {error}") from None

    def embedding(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """The layer before the output, (embedding_dim,) float32; arguments and errors are those of `features`."""
        return self.output(self.features(samples, rate), "embedding")

    def output(self, feats: np.ndarray, at: str = "posterior") -> np.ndarray:
        """One of the network's outputs for features of any length.

        Args:
            feats: (frames, bins) float32, of the model's front end.
            at: "posterior", "logit", "embedding" or "pool".

        Returns:
            (dim,) float32.

        Raises:
            SertkError: features of other bins, a model without outputs, or out of memory.
        """
        feats = np.asarray(feats, np.float32)
        bins = self.model.network.spec.bins
        if feats.ndim != 2 or not len(feats) or feats.shape[1] != bins:
            raise SertkError(f"{self.path}: features of shape {feats.shape}, expected (frames, {bins})")
        if at in ("posterior", "logit"):
            check_outputs(self.model, self.path)
        segments: Iterable[tuple[str, np.ndarray]] = [("features", feats)]
        [(_, value)] = segment_outputs(self._network, segments, at, self.device)
        return value

    def _posteriors(self, feats: np.ndarray) -> dict[str, float]:
        return dict(zip(self.labels, self.output(feats).tolist()))


def load_model(path: str | PathLike, device: str | None = "cpu", precision: str = "float32") -> Classifier:
    """Load a model file to classify samples and files with.

    Args:
        path: final.pt of train-resnet or transfer-head.
        device: "cpu", "cuda" or "cuda:N"; None: a GPU if there is one.
        precision: "float32", "bf16", or "auto" (bf16 where the hardware computes in it).

    Raises:
        SertkError: not a model file, damaged, or the device does not exist.
        FileNotFoundError: there is no such file.
    """
    return Classifier(modelfile.load_model(Path(path)), Path(path), device, precision)
