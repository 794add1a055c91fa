"""Options of the front end, named as in Kaldi; importing this loads neither numpy nor torch."""

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from sertk.errors import SertkError

WINDOWS = ("povey", "hamming", "hanning", "blackman", "rectangular", "sine")


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class FbankOptions:
    """Options of Kaldi's compute-fbank-feats; the defaults are the paper's.

    Raises:
        SertkError: if a value is out of bounds, or if values contradict each other.
    """

    sample_frequency: float = _option(16000.0, "Sample rate in Hz; other rates are refused without --allow-resample.")
    frame_length: float = _option(25.0, "Frame length in ms.")
    frame_shift: float = _option(10.0, "Frame shift in ms.")
    window_type: str = _option("povey", f"One of {', '.join(WINDOWS)}.")
    blackman_coeff: float = _option(0.42, "Constant of the Blackman window.")
    preemphasis_coefficient: float = _option(0.97, "Pre-emphasis coefficient.")
    remove_dc_offset: bool = _option(True, "Subtract the mean of each frame.")
    round_to_power_of_two: bool = _option(True, "Zero-pad frames to a power of two for the FFT.")
    snip_edges: bool = _option(True, "Only whole frames; false: a frame at every shift, mirrored at the ends.")
    dither: float = _option(0.0, "Standard deviation of added noise (seeded by --seed and key).")
    num_mel_bins: int = _option(128, "Number of mel bins.")
    low_freq: float = _option(40.0, "Lower edge of the mel filters in Hz.")
    high_freq: float = _option(8000.0, "Upper edge of the mel filters in Hz; if 0 or less, relative to Nyquist.")
    use_energy: bool = _option(False, "Add the log energy as the first column.")
    raw_energy: bool = _option(True, "Compute the energy before pre-emphasis and windowing.")
    energy_floor: float = _option(0.0, "Floor of the energy; 0: none.")
    htk_compat: bool = _option(False, "Put the energy last, as HTK does.")
    sample_scale: float = _option(1.0, "Factor of the 16-bit samples; 3.0517578125e-05 brings them to ±1.")

    def __post_init__(self) -> None:
        _require(self.sample_frequency > 0, f"--sample-frequency={self.sample_frequency:g} is not positive")
        _require(self.shift >= 1, f"--frame-shift={self.frame_shift:g} is less than one sample")
        _require(self.length >= 2, f"--frame-length={self.frame_length:g} is less than two samples")
        _require(self.window_type in WINDOWS, f"--window-type={self.window_type} is not one of {', '.join(WINDOWS)}")
        _require(self.sample_scale > 0, f"--sample-scale={self.sample_scale:g} is not positive")
        _require(0 <= self.preemphasis_coefficient <= 1, "--preemphasis-coefficient is outside 0 to 1")
        _require(self.dither >= 0, f"--dither={self.dither:g} is negative")
        _require(self.num_mel_bins >= 3, f"--num-mel-bins={self.num_mel_bins} is less than 3")
        _require(
            0 <= self.low_freq < self.top <= self.sample_frequency / 2,
            f"--low-freq={self.low_freq:g} --high-freq={self.high_freq:g}: must be a range from 0 to half of "
            f"--sample-frequency={self.sample_frequency:g}",
        )

    @cached_property
    def length(self) -> int:
        """Frame length in samples."""
        return int(self.sample_frequency * 0.001 * self.frame_length)

    @cached_property
    def shift(self) -> int:
        """Frame shift in samples."""
        return int(self.sample_frequency * 0.001 * self.frame_shift)

    @cached_property
    def fft_length(self) -> int:
        """FFT length in samples: a frame and its zero padding."""
        if self.round_to_power_of_two:
            return 1 << (self.length - 1).bit_length()
        return self.length + self.length % 2

    @property
    def top(self) -> float:
        """Upper edge of the mel filters in Hz."""
        return self.high_freq if self.high_freq > 0 else self.sample_frequency / 2 + self.high_freq

    @property
    def dim(self) -> int:
        """Number of feature columns."""
        return self.num_mel_bins + self.use_energy

    def num_frames(self, num_samples: int) -> int:
        """Number of frames of `num_samples` samples (Kaldi: feature-window.cc, NumFrames)."""
        if not self.snip_edges:
            return (num_samples + self.shift // 2) // self.shift
        return 0 if num_samples < self.length else 1 + (num_samples - self.length) // self.shift

    @classmethod
    def of(cls, settings: dict) -> "FbankOptions":
        """The options whose `settings()` these are.

        Raises:
            SertkError: if a name is unknown or a value has another type.
        """
        types = {f.name: type(f.default) for f in fields(cls)}
        values = {name.replace("-", "_"): value for name, value in settings.items()}
        for name, value in values.items():
            if name not in types or type(value) not in (types[name], int if types[name] is float else types[name]):
                raise SertkError(f"unknown front-end setting: {name.replace('_', '-')}={value!r}")
        return cls(**values)

    def settings(self) -> dict:
        """The options by Kaldi's names, for a manifest or a model: {"sample-frequency": 16000.0, …}.

        `sample-scale`, which Kaldi does not have, is left out where it is 1.
        """
        named = {name.replace("_", "-"): value for name, value in asdict(self).items()}
        if self.sample_scale == 1:
            del named["sample-scale"]
        return named


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SertkError(message)
