"""Contents of audio files: encoded by libsndfile, and wav files with any header."""

import io
import struct

import numpy as np
import soundfile
from references import signal

SAMPLES = signal(0.5)
# A LIST chunk as ffmpeg writes it behind the samples.
LIST = b"LIST" + struct.pack("<I", 20) + b"INFOISFT" + struct.pack("<I", 8) + b"Lavf60\0\0"


def encoded(form: str, subtype: str, samples: np.ndarray = SAMPLES / 32768, rate: int = 16000) -> bytes:
    """The content of an audio file with `samples` in ±1."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def wav(rate=16000, channels=1, bits=16, code=1, size=None, data=b"", tail=b"", riff=None) -> bytes:
    """A wav file whose header says what it is told to; sizes of None are the right ones."""
    size = len(data) if size is None else size
    block = channels * bits // 8 % 65536
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block % 2**32, block, bits)
    riff = 36 + len(data) + len(tail) if riff is None else riff
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + data + tail
