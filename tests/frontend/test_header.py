"""Rate and length from headers, against what decoding gives."""

import numpy as np
import pytest
import soundfile

from sertk.errors import SertkError
from sertk.frontend.audio import read_audio
from sertk.frontend.header import read_header


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
def test_headers_agree_with_decoding(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 22050), 22050)
    header, (samples, rate) = read_header(path), read_audio(path)
    assert header.rate == rate == 22050
    assert header.seconds == (None if suffix == "mp3" else pytest.approx(len(samples) / rate))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"no audio", "not audio|text"), (b"RIFF\0\0\0\0WAVEfmt ", "truncated|damaged|header")],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SertkError, match=message) as error:
        read_header(tmp_path / "a.wav")
    assert str(error.value).startswith(f"{tmp_path}/a.wav: ")
    with pytest.raises(SertkError, match=r"missing.wav: cannot be read: No such file"):
        read_header(tmp_path / "missing.wav")


def test_a_truncated_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 16000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:1000])
    with pytest.raises(SertkError, match="is truncated"):
        read_header(tmp_path / "a.wav")
