"""What the front end can be told: Kaldi's options, without anything heavy to import."""

from dataclasses import asdict, dataclass, field, fields

from sertk.errors import SertkError

WINDOWS = ("povey", "hamming", "hanning", "blackman", "rectangular", "sine")


def _option(default, help: str):
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class FbankOptions:
    """Kaldi's options of compute-fbank-feats; the defaults are the paper recipe's.

    Raises SertkError for values that do not fit together.
    """

    sample_frequency: float = _option(16000.0, "Samples a second; recordings of another rate are an error.")
    frame_length: float = _option(25.0, "Frame length in ms.")
    frame_shift: float = _option(10.0, "Frame shift in ms.")
    window_type: str = _option("povey", f"One of {', '.join(WINDOWS)}.")
    blackman_coeff: float = _option(0.42, "Constant of the generalised Blackman window.")
    preemphasis_coefficient: float = _option(0.97, "Coefficient of the pre-emphasis.")
    remove_dc_offset: bool = _option(True, "Subtract each frame's mean.")
    round_to_power_of_two: bool = _option(True, "Pad frames with zeros to a power of two.")
    snip_edges: bool = _option(True, "Only frames that fit in; false: one a shift, mirrored at the ends.")
    dither: float = _option(0.0, "Deviation of the noise that is added, from --seed and the key.")
    num_mel_bins: int = _option(128, "Mel filters.")
    low_freq: float = _option(40.0, "Lower end of the first mel filter in Hz.")
    high_freq: float = _option(8000.0, "Upper end of the last one; 0 or less counts from half the sample rate.")
    use_energy: bool = _option(False, "Put the log energy before the mel bins.")
    raw_energy: bool = _option(True, "Energy before pre-emphasis and windowing.")
    energy_floor: float = _option(0.0, "Floor of the energy.")
    htk_compat: bool = _option(False, "Put the energy last.")
    sample_scale: float = _option(1.0, "Multiply 16-bit samples by this first; 3.0517578125e-05 for features of ±1.")

    def __post_init__(self):
        _require(self.sample_frequency > 0, f"--sample-frequency={self.sample_frequency:g} is not positive")
        _require(self.shift >= 1, f"--frame-shift={self.frame_shift:g} is less than one sample")
        _require(self.length >= 2, f"--frame-length={self.frame_length:g} is less than two samples")
        _require(self.window_type in WINDOWS, f"--window-type={self.window_type} is not one of {', '.join(WINDOWS)}")
        _require(self.sample_scale > 0, f"--sample-scale={self.sample_scale:g} is not positive")
        _require(0 <= self.preemphasis_coefficient <= 1, "--preemphasis-coefficient is outside 0 to 1")
        _require(self.dither >= 0, f"--dither={self.dither:g} is negative")
        _require(self.num_mel_bins >= 3, f"--num-mel-bins={self.num_mel_bins}: three are the least")
        _require(
            0 <= self.low_freq < self.top <= self.sample_frequency / 2,
            f"--low-freq={self.low_freq:g} --high-freq={self.high_freq:g}: not a range between 0 and half of "
            f"--sample-frequency={self.sample_frequency:g}",
        )

    @property
    def length(self) -> int:
        """Samples a frame."""
        return int(self.sample_frequency * 0.001 * self.frame_length)

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_frequency * 0.001 * self.frame_shift)

    @property
    def fft_length(self) -> int:
        """Samples that are transformed: a frame and the zeros after it."""
        if self.round_to_power_of_two:
            return 1 << (self.length - 1).bit_length()
        return self.length + self.length % 2

    @property
    def top(self) -> float:
        """Upper end of the last filter in Hz."""
        return self.high_freq if self.high_freq > 0 else self.sample_frequency / 2 + self.high_freq

    @property
    def dim(self) -> int:
        """Columns of the features."""
        return self.num_mel_bins + self.use_energy

    def num_frames(self, num_samples: int) -> int:
        """How many frames a recording of `num_samples` has (Kaldi: feature-window.cc, NumFrames)."""
        if not self.snip_edges:
            return (num_samples + self.shift // 2) // self.shift
        return 0 if num_samples < self.length else 1 + (num_samples - self.length) // self.shift

    @classmethod
    def of(cls, settings: dict) -> "FbankOptions":
        """What `settings()` gave; SertkError for a name or a type that is not one of ours."""
        types = {f.name: type(f.default) for f in fields(cls)}
        values = {name.replace("-", "_"): value for name, value in settings.items()}
        for name, value in values.items():
            if name not in types or type(value) not in (types[name], int if types[name] is float else types[name]):
                raise SertkError(f"no front-end setting: {name.replace('_', '-')}={value!r}")
        return cls(**values)

    def settings(self) -> dict:
        """The options under Kaldi's names, for a manifest or a model: {"sample-frequency": 16000.0, …}.

        `sample-scale`, which Kaldi does not have, is among them only where it scales.
        """
        named = {name.replace("_", "-"): value for name, value in asdict(self).items()}
        if self.sample_scale == 1:
            del named["sample-scale"]
        return named


def _require(condition: bool, message: str):
    if not condition:
        raise SertkError(message)
