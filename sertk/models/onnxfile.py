"""Exported networks: an ONNX file with the front end in it, run by ONNX Runtime; torch is not needed.

>>> sealed(b"graph" + DIGEST.encode() + UNSIGNED.encode())[:5]
b'graph'
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import SCALE
from sertk.frontend.extractor import FeatureExtractor, too_short
from sertk.frontend.stretches import Stretch
from sertk.frontend.unfit import UnfitAudio

FORMAT = "sertk-onnx-1"
OUTPUTS = ("posterior", "embedding")
PREFIX = "sertk."
# The name of the sha256 of the file, in which its own place has zeros; it is the last of the metadata.
DIGEST, UNSIGNED = "file_digest", "0" * 64
# Numbers of the widest map of a recording, 512 MB in float32; some four are held at a time.
WIDEST = 1 << 27
# A file has its digest in its last bytes.
_TAIL = 256


def is_onnx(path: Path) -> bool:
    """Whether a model's name says that it is an ONNX file."""
    return Path(path).suffix.lower() == ".onnx"


def sealed(content: bytes) -> bytes:
    """An ONNX file with its sha256 in place of the zeros after the name of the digest."""
    place = _place(content)
    return content[:place] + hashlib.sha256(content).hexdigest().encode() + content[place + 64 :]


def _place(content: bytes) -> int:
    """Where the 64 digits of the digest are, -1 where they are not."""
    name = content.rfind(DIGEST.encode(), max(0, len(content) - _TAIL))
    return -1 if name < 0 or len(content) - 64 < name else len(content) - 64


@dataclass(frozen=True)
class OnnxModel:
    """An exported network, ready to compute.

    Args:
        path: of the file, for messages.
        labels: names of the posteriors, in their order.
        frontend: settings of the features that the graph computes.
        at: its output, "posterior" or "embedding".
        network: fields of the NetworkSpec.
        digest: of the model file that it was made from.
        session: of ONNX Runtime.
        temperature: that calibrates the posteriors (calibrate-model); None: they are as trained.
    """

    path: Path
    labels: list[str]
    frontend: dict
    at: str
    network: dict
    digest: str
    session: object
    temperature: float | None = None

    @cached_property
    def extract(self) -> FeatureExtractor:
        """The front end that the graph has, for reading and checking recordings."""
        return FeatureExtractor.of_model(self.frontend, self.path)

    def posteriors(
        self, stretches: Iterable[Stretch], skip: Callable[[str, str], None]
    ) -> Iterator[tuple[Stretch, np.ndarray]]:
        """As Classifier.posteriors, with the same errors."""
        if self.at != "posterior":
            raise SertkError(f"{self.path}: gives embeddings: export-onnx --at posterior gives probabilities")
        for stretch in stretches:
            try:
                samples = self.extract.prepared(stretch.take(), stretch.rate)
                self._check_length(len(samples))
            except UnfitAudio as error:
                skip(str(stretch), str(error))
            else:
                yield stretch, self([samples])[0]

    def _check_length(self, samples: int) -> None:
        options = self.extract.options
        frames = options.num_frames(samples)
        if not frames:
            raise UnfitAudio(too_short(samples))
        if frames > self.longest and not self.network["frames"]:
            most = self.longest * options.shift / options.sample_frequency
            raise UnfitAudio(
                f"is longer than the {most:.0f} s that an exported network computes at once: give --window, or the model file"
            )

    @property
    def longest(self) -> int:
        """Frames of the longest recording that is computed."""
        return WIDEST // (self.network["channels"] * self.network["bins"])

    def __call__(self, recordings: list[np.ndarray]) -> np.ndarray:
        """The outputs of recordings.

        Args:
            recordings: each (samples,) float32 in the 16-bit range, at the model's rate.

        Returns:
            (recordings, dim) float32; NaN where a recording has no sound or not a frame.
        """
        lengths = np.array([len(samples) for samples in recordings], np.int64)
        batch = np.zeros((len(recordings), max(1, int(lengths.max()))), np.float32)
        for row, samples in zip(batch, recordings):
            np.multiply(samples, np.float32(1 / SCALE), out=row[: len(samples)])
        return self.session.run([self.at], {"samples": batch, "lengths": lengths})[0]


def load_onnx(path: Path, num_threads: int | None = None) -> OnnxModel:
    """Read an ONNX file of export-onnx.

    Args:
        path: of the file.
        num_threads: of the computation; None: one a core.

    Raises:
        SertkError: not such a file, damaged, or ONNX Runtime is missing or too old.
    """
    content = Path(path).read_bytes()
    place = _place(content)
    if place < 0:
        raise SertkError(f"{path}: not an ONNX file of export-onnx, or cut short ({len(content)} bytes)")
    unsigned = content[:place] + UNSIGNED.encode() + content[place + 64 :]
    if hashlib.sha256(unsigned).hexdigest().encode() != content[place : place + 64]:
        raise SertkError(f"{path}: damaged: its content is not what was written (sha256 differs)")
    try:
        import onnxruntime
    except ImportError as error:
        raise SertkError(f"{path}: ONNX Runtime cannot be used ({error}): pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    options.log_severity_level = 3
    # Threads that wait take the cores from those that compute, where they have to share them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has classes of its own for each
        reason = " ".join(str(error).split())[:200]
        raise SertkError(f"{path}: onnxruntime {onnxruntime.__version__} cannot read it: {reason}") from None
    known = {
        name.removeprefix(PREFIX): value
        for name, value in session.get_modelmeta().custom_metadata_map.items()
        if name.startswith(PREFIX)
    }
    if known.get("format") != FORMAT:
        raise SertkError(
            f"{path}: not an ONNX file of this version (expected format {FORMAT!r}, found {known.get('format')!r})"
        )
    return OnnxModel(Path(path), json.loads(known["labels"]), json.loads(known["frontend"]), known["at"],
                     json.loads(known["network"]), known["model_digest"], session, _number(known.get("temperature")))  # fmt: skip


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
