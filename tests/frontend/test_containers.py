"""Sizes in the headers of containers: truncated files, open sizes, bytes after the samples."""

import io
import struct
import subprocess
import time

import numpy as np
import pytest
import soundfile
from audiofiles import LIST, SAMPLES, encoded, wav
from support import needs_ffmpeg

from sertk.frontend.audio import read_audio
from sertk.frontend.containers import missing_bytes
from sertk.frontend.unfit import UnfitAudio


@needs_ffmpeg
def test_an_mp3_that_counts_no_frames_ends_where_it_ends(tmp_path):
    soundfile.write(tmp_path / "in.wav", SAMPLES / 32768, 16000)
    for counted in (0, 1):
        path = tmp_path / f"{counted}.mp3"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", tmp_path / "in.wav", "-write_xing", str(counted), path], check=True
        )
        content = path.read_bytes()
        whole = len(read_audio(content)[0])
        if counted:
            assert whole == len(SAMPLES)
            with pytest.raises(UnfitAudio, match=r"truncated: \d+ samples where its header says"):
                read_audio(content[: len(content) // 2])
        else:
            assert len(read_audio(content[: len(content) // 2])[0]) < whole


@pytest.mark.parametrize("form, place", [("AIFF", b"SSND"), ("AU", b".snd\0\0\0\x18")])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_size_that_was_not_known_promises_nothing(form, place, size):
    content = encoded(form, "PCM_16")
    end = content.index(place) + len(place)
    assert missing_bytes(io.BytesIO(content)) == 0 and missing_bytes(io.BytesIO(content[:-6])) == 6
    assert missing_bytes(io.BytesIO(content[:end] + struct.pack(">I", size) + content[end + 4 : -6])) == 0


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


@pytest.mark.parametrize("form", ["W64", "AU", "NIST", "AIFF", "CAF", "RF64", "WAV"])
@pytest.mark.parametrize("tail", [LIST, bytes(range(100))], ids=["a chunk", "bytes"])
def test_what_stands_behind_the_samples_is_not_read(form, tail):
    np.testing.assert_array_equal(read_audio(encoded(form, "PCM_16") + tail)[0], SAMPLES)
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), 16000, format=form, subtype="PCM_16")
    with pytest.raises(UnfitAudio, match="no samples"):
        read_audio(file.getvalue() + tail)
