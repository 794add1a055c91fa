"""What a header says decides neither time nor memory: headers with other numbers, of every container."""

import resource
import time

import numpy as np
import pytest
from audiofiles import encoded, wav
from references import signal

from sertk.errors import SertkError
from sertk.frontend.audio import decode, one_channel
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import resample

SAMPLES = signal(0.25)
# (container, codec, bytes that are changed)
FORMS = [
    ("WAV", "PCM_16", 44), ("WAV", "PCM_24", 60), ("WAV", "FLOAT", 80), ("WAV", "ULAW", 58), ("WAV", "IMA_ADPCM", 60),
    ("WAV", "MS_ADPCM", 90), ("WAV", "GSM610", 60), ("WAVEX", "PCM_16", 80), ("RF64", "PCM_16", 104), ("W64", "PCM_16", 104),
    ("AIFF", "PCM_16", 54), ("AIFF", "IMA_ADPCM", 90), ("AU", "PCM_16", 24), ("CAF", "PCM_16", 72), ("CAF", "ALAC_16", 72),
    ("NIST", "PCM_16", 300), ("FLAC", "PCM_16", 100), ("OGG", "VORBIS", 120), ("OGG", "OPUS", 120),
    ("MP3", "MPEG_LAYER_III", 120),
]  # fmt: skip
NUMBERS = [
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    1000,
    16001,
    0x7FFF,
    0x8000,
    0xFFFF,
    192001,
    768000,
    0x7FFFF000,
    2**31,
    2**32 - 1,
]


@pytest.fixture(scope="module")
def extract():
    resample(SAMPLES, 8000, 16000)  # torchaudio's import is no file's cost
    return FeatureExtractor(FbankOptions(num_mel_bins=16))


def listen(content: bytes, extract) -> float:
    """Decode, convert and compute the features of `content`; seconds of CPU time. Anything but SertkError is raised."""
    start = time.process_time()
    try:
        samples, rate = decode(content)
        assert extract.features(one_channel(samples, 0), rate).shape[1] == 16
    except SertkError as error:
        assert "\n" not in str(error)
    return time.process_time() - start


def check_mutations(form, subtype, head, count, extract):
    content, draw = encoded(form, subtype, SAMPLES / 32768), np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(draw.integers(1, 4)):
            width = int(draw.choice([1, 2, 4, 8]))
            place = int(draw.integers(head - width))
            number = int(draw.choice(NUMBERS)) if draw.random() < 0.7 else int(draw.integers(2**32))
            changed[place : place + width] = (number % 256**width).to_bytes(width, draw.choice(["little", "big"]))
        if draw.random() < 0.2:
            del changed[int(draw.integers(20, len(changed))) :]
        assert listen(bytes(changed), extract) < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("form, subtype, head", FORMS)
def test_a_header_of_other_numbers_costs_little(form, subtype, head, extract):
    check_mutations(form, subtype, head, 40, extract)


@pytest.mark.slow
@pytest.mark.parametrize("form, subtype, head", FORMS)
def test_thousands_of_headers_of_other_numbers_cost_little(form, subtype, head, extract):
    check_mutations(form, subtype, head, 3000, extract)


PCM = SAMPLES.astype("<i2").tobytes()


def test_any_44_bytes_cost_little(extract):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for rate in NUMBERS:
        for channels in (0, 1, 2, 1024, 65535):
            for bits in (0, 1, 16, 24, 65535):
                for data in (b"", PCM[:2000]):
                    for size in (0, len(data), 2**32 - 1):
                        content = wav(rate % 2**32, channels, bits, size=size, data=data)
                        assert listen(content, extract) < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
