"""Lossy codecs in this process, by libsndfile: GSM full rate, MP3 and Opus."""

import io

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import decode
from sertk.frontend.perturb_rate import change_rate

# Name -> sample rate in Hz, libsndfile's names, kbit/s at its compression levels 0 and 1.
_CODECS = {
    "gsm": (8000, "WAV", "GSM610", None),
    "mp3": (16000, "MP3", "MPEG_LAYER_III", (160, 8)),
    "opus": (16000, "OGG", "OPUS", (256, 6)),
}
# Samples by which encoder and decoder of MP3 may delay: below 40 kbit/s no frame has room for the tag that says so.
_LONGEST_DELAY = 2048


def coded(samples: np.ndarray, rate: int, name: str, kbps: float | None = None) -> np.ndarray:
    """Encode and decode; neither delayed nor longer.

    Args:
        samples: (samples,) float32 in the 16-bit range; beyond it they are clipped
        rate: sample rate in Hz; samples are converted to the codec's rate (gsm 8 kHz, mp3 and opus 16 kHz) and back
        name: gsm, mp3 or opus
        kbps: bit rate of mp3 and opus in kbit/s; mp3 takes the nearest of its rates, that of opus varies

    Returns:
        (samples,) float32

    Raises:
        SertkError: if soundfile or its libsndfile lacks the codec.
    """
    codec_rate, container, subtype, rates = _CODECS[name]
    narrow = np.clip(change_rate(samples, rate, codec_rate), -32768, 32767) / np.float32(32768)
    decoded = decode(_encoded(narrow, codec_rate, container, subtype, _level(rates, kbps)))[0][:, 0]
    delay = _delay(narrow, decoded) if name == "mp3" and len(decoded) > len(narrow) else 0
    wide = change_rate(decoded[delay:][: len(narrow)].astype(np.float32), codec_rate, rate)
    return np.pad(wide[: len(samples)], (0, max(0, len(samples) - len(wide))))


def _level(rates: tuple[int, int] | None, kbps: float | None) -> float | None:
    """The compression level of a bit rate; libsndfile refuses 1 itself."""
    return None if rates is None else min((rates[0] - kbps) / (rates[0] - rates[1]), 0.999)


def _delay(samples: np.ndarray, decoded: np.ndarray) -> int:
    """The delay at which they correlate most."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(decoded) + _LONGEST_DELAY, real=True)
    correlation = irfft(rfft(decoded, size) * rfft(samples, size).conj(), size)
    return int(np.argmax(correlation[:_LONGEST_DELAY]))


def _encoded(samples: np.ndarray, rate: int, container: str, subtype: str, level: float | None) -> bytes:
    try:
        import soundfile

        file = io.BytesIO()
        constant = "CONSTANT" if subtype == "MPEG_LAYER_III" else None
        with soundfile.SoundFile(
            file, "w", rate, 1, subtype, format=container, compression_level=level, bitrate_mode=constant
        ) as encoder:
            encoder.write(samples)
    except (ImportError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise SertkError(
            f"soundfile cannot encode {subtype} ({error}): soundfile 0.13 or later with libsndfile 1.1 or later is needed"
        ) from None
    return file.getvalue()
