"""wav files: headers with and without lengths, chunks around the samples."""

import struct

import numpy as np
import pytest
from audiofiles import LIST, SAMPLES, encoded, wav

from sertk.frontend.audio import read_audio
from sertk.frontend.unfit import UnfitAudio

PCM = SAMPLES.astype("<i2").tobytes()


def with_data_size(wav: bytes, size: int) -> bytes:
    place = wav.index(b"data") + 4
    return wav[:place] + struct.pack("<I", size) + wav[place + 4 :]


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_header_without_a_length_reads_to_the_end(size, subtype):
    np.testing.assert_array_equal(read_audio(with_data_size(encoded("WAV", subtype), size))[0], SAMPLES)


def test_chunks_before_and_after_the_samples_are_passed_over():
    wav = encoded("WAV", "PCM_16")
    place = wav.index(b"data")
    wav = (
        wav[:place] + b"LIST" + struct.pack("<I", 5) + b"hello\0" + wav[place:] + b"LIST" + struct.pack("<I", 2) + b"xx"
    )
    np.testing.assert_array_equal(read_audio(wav)[0], SAMPLES)


def test_a_wav_says_which_number_is_absurd():
    with pytest.raises(UnfitAudio, match=r"^is a damaged wav file \(0 samples a second; 1000 to 768000 are read\)"):
        read_audio(wav(rate=0, data=PCM))
    with pytest.raises(UnfitAudio, match=r"^is a damaged wav file \(2000 channels"):
        read_audio(wav(channels=2000, data=PCM))


@pytest.mark.parametrize("content", [
    wav(tail=LIST), wav(tail=LIST * 3), wav(riff=36) + PCM, wav(code=3, bits=32, tail=LIST), wav(code=7, bits=8, tail=LIST),
], ids=["a chunk", "chunks", "bytes beyond its own end", "float", "mu-law"])  # fmt: skip
def test_an_empty_wav_is_empty_whatever_stands_behind(content):
    with pytest.raises(UnfitAudio, match="no samples"):
        read_audio(content)


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, 0x7FFFF024, None])
def test_a_wav_whose_length_was_not_known_has_its_samples(riff):
    np.testing.assert_array_equal(read_audio(wav(size=0, data=PCM, riff=riff))[0], SAMPLES)
