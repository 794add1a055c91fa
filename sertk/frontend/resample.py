"""What torchaudio is for: resampling, and its own Kaldi features as the other backend. No other module imports it."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import gcd

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import UnfitAudio
from sertk.frontend.fbank import dithered, mel_filters
from sertk.frontend.options import FbankOptions


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Samples at another rate, (samples,) float32 -> (samples · wanted / rate, rounded up,) float32.

    Raises SertkError where torchaudio cannot be used.
    """
    if rate == wanted:
        return samples
    torch, _ = _torchaudio()
    with torch.inference_mode():
        return _resampler(rate // gcd(rate, wanted), wanted // gcd(rate, wanted))(torch.from_numpy(samples)).numpy()


class TorchaudioFbank:
    """torchaudio.compliance.kaldi.fbank, called and behaving like sertk.frontend.fbank.Fbank."""

    def __init__(self, options: FbankOptions):
        self.torch, torchaudio = _torchaudio()
        self.fbank = torchaudio.compliance.kaldi.fbank
        self.options = options
        if options.window_type == "sine":
            raise SertkError("--backend=torchaudio has no --window-type=sine")
        mel_filters(options)  # refuses an empty filter, of which torchaudio would make a constant column

    def __call__(self, samples: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        options = self.options
        samples = dithered(np.asarray(samples, np.float32), options.dither, rng)
        if not options.num_frames(len(samples)):
            return np.empty((0, options.dim), np.float32)
        if len(samples) < options.length:
            raise UnfitAudio(
                f"{len(samples)} samples are shorter than a frame: torchaudio's fbank does not mirror them"
            )
        settings = {name.replace("-", "_"): value for name, value in options.settings().items()} | {"dither": 0.0}
        with self.torch.inference_mode():
            return self.fbank(self.torch.from_numpy(samples)[None], **settings).numpy()


@cache
def _resampler(rate: int, wanted: int):
    _, torchaudio = _torchaudio()
    return torchaudio.transforms.Resample(rate, wanted)


def _torchaudio():
    """(torch, torchaudio), or SertkError that says what to install: pairs that do not fit fail in many ways."""
    try:
        import torch
        import torchaudio
        import torchaudio.compliance.kaldi
        import torchaudio.transforms
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SertkError(
            f"torchaudio cannot be used (torch {_version('torch')}, torchaudio {_version('torchaudio')}: {reason[:100]}): "
            "install a pair that fits, pip install torch==2.11.0 torchaudio==2.11.0"
        ) from None
    return torch, torchaudio


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
