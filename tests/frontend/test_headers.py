"""What a header says decides neither time nor memory: headers with other numbers, of every container."""

import io
import resource
import struct
import time

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.errors import SertkError
from sertk.frontend.audio import decode, read_audio
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import resample
from sertk.frontend.unfit import MAX_RATE, MIN_RATE, UnfitAudio

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


def encoded(form, subtype) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES / 32768, 16000, format=form, subtype=subtype)
    return file.getvalue()


@pytest.fixture(scope="module")
def extract():
    resample(SAMPLES, 8000, 16000)  # torchaudio's import is no file's cost
    return FeatureExtractor(FbankOptions(num_mel_bins=16))


def listen(content: bytes, extract) -> float:
    """Decode, convert and compute the features of `content`; seconds of CPU time. Anything but SertkError is raised."""
    start = time.process_time()
    try:
        samples, rate = decode(content)
        assert extract.features(np.ascontiguousarray(samples[:, 0]), rate).shape[1] == 16
    except SertkError as error:
        assert "\n" not in str(error)
    return time.process_time() - start


def check_mutations(form, subtype, head, count, extract):
    content, draw = encoded(form, subtype), np.random.default_rng(0)
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


def wav(rate=16000, channels=1, bits=16, code=1, size=None, data=b"", tail=b"", riff=None):
    size = len(data) if size is None else size
    block = channels * bits // 8 % 65536
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block % 2**32, block, bits)
    riff = 36 + len(data) + len(tail) if riff is None else riff
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + data + tail


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


@pytest.mark.parametrize("rate", [0, 1, 7, MIN_RATE - 1, MAX_RATE + 1, 2**32 - 1])
@pytest.mark.parametrize(
    "form, place, order", [("WAV", 24, "<I"), ("AU", 16, ">I"), ("W64", 68, "<I"), ("NIST", None, "")]
)
def test_a_rate_that_nothing_records_is_unfit_in_any_container(form, place, order, rate):
    content = encoded(form, "PCM_16")
    if form == "NIST":
        content = (
            content.replace(b"sample_rate -i 16000\n", f"sample_rate -i {rate}\n".encode())[:1024] + content[1024:]
        )
        content = content[:1024].ljust(1024) + content[1024:]
    else:
        assert struct.unpack_from(order, content, place) == (16000,)
        content = content[:place] + struct.pack(order, rate) + content[place + 4 :]
    with pytest.raises(UnfitAudio, match=rf"{rate} samples a second|damaged"):
        read_audio(content)


def test_a_wav_says_which_number_is_absurd():
    with pytest.raises(UnfitAudio, match=r"^is a damaged wav file \(0 samples a second; 1000 to 768000 are read\)"):
        read_audio(wav(rate=0, data=PCM))
    with pytest.raises(UnfitAudio, match=r"^is a damaged wav file \(2000 channels"):
        read_audio(wav(channels=2000, data=PCM))


def test_a_file_of_empty_chunks_is_not_walked_over():
    head = wav(data=b"")[:36]
    for content in (
        head + bytes(1 << 22),
        b"RF64\xff\xff\xff\xffWAVE" + bytes(1 << 22),
        b"FORM\0\1\0\0AIFF" + bytes(1 << 22),
    ):
        start = time.process_time()
        with pytest.raises(UnfitAudio):
            read_audio(content)
        assert time.process_time() - start < 0.5


LIST = b"LIST" + struct.pack("<I", 20) + b"INFOISFT" + struct.pack("<I", 8) + b"Lavf60\0\0"


@pytest.mark.parametrize("content", [
    wav(tail=LIST), wav(tail=LIST * 3), wav(riff=36) + PCM, wav(code=3, bits=32, tail=LIST), wav(code=7, bits=8, tail=LIST),
], ids=["a chunk", "chunks", "bytes beyond its own end", "float", "mu-law"])  # fmt: skip
def test_an_empty_wav_is_empty_whatever_stands_behind(content):
    with pytest.raises(UnfitAudio, match="no samples"):
        read_audio(content)


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, 0x7FFFF024, None])
def test_a_wav_whose_length_was_not_known_has_its_samples(riff):
    np.testing.assert_array_equal(read_audio(wav(size=0, data=PCM, riff=riff))[0], SAMPLES)


@pytest.mark.parametrize("form", ["W64", "AU", "NIST", "AIFF", "CAF", "RF64", "WAV"])
@pytest.mark.parametrize("tail", [LIST, bytes(range(100))], ids=["a chunk", "bytes"])
def test_what_stands_behind_the_samples_is_not_read(form, tail):
    np.testing.assert_array_equal(read_audio(encoded(form, "PCM_16") + tail)[0], SAMPLES)
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), 16000, format=form, subtype="PCM_16")
    with pytest.raises(UnfitAudio, match="no samples"):
        read_audio(file.getvalue() + tail)
