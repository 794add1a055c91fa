"""m4a through ffmpeg, and what ffmpeg's errors become."""

import subprocess

import pytest
import soundfile
from audiofiles import SAMPLES
from support import needs_ffmpeg

from sertk.errors import SertkError
from sertk.frontend.audio import read_audio
from sertk.frontend.ffmpeg import _reason
from sertk.frontend.unfit import UnfitAudio


@pytest.fixture
def m4a(tmp_path):
    soundfile.write(tmp_path / "in.wav", SAMPLES / 32768, 16000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "in.wav", tmp_path / "a.m4a"], check=True)
    return tmp_path / "a.m4a"


@needs_ffmpeg
def test_m4a_is_decoded_by_ffmpeg(m4a):
    samples, rate = read_audio(m4a)
    assert rate == 16000 and abs(len(samples) - len(SAMPLES)) <= 2048
    assert 0.5 < samples.std() / SAMPLES.std() < 1.5


@needs_ffmpeg
def test_an_m4a_with_its_index_first_that_was_cut_short_is_unfit(m4a, tmp_path):
    fast = tmp_path / "fast.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", m4a, "-c", "copy", "-movflags", "+faststart", fast], check=True)
    content = fast.read_bytes()
    assert len(read_audio(fast)[0]) == len(read_audio(m4a)[0])
    fast.write_bytes(content[: len(content) * 3 // 4])
    for source in (fast, fast.read_bytes()):
        with pytest.raises(UnfitAudio, match="truncated"):
            read_audio(source)


def test_a_missing_ffmpeg_is_said_in_one_line(tmp_path, monkeypatch):
    m4a = tmp_path / "a.m4a"
    m4a.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SertkError, match=r"needs ffmpeg.*install") as error:
        read_audio(m4a)
    assert "\n" not in str(error.value) and not isinstance(error.value, UnfitAudio)


@needs_ffmpeg
def test_an_m4a_that_is_damaged_within_is_unfit(m4a):
    """ffmpeg drops the frame, and exits with 0."""
    content = bytearray(m4a.read_bytes())
    place = content.index(b"mdat") + 600
    content[place : place + 200] = bytes(255 - byte for byte in content[place : place + 200])
    with pytest.raises(UnfitAudio, match="is damaged: ffmpeg dropped frames"):
        read_audio(bytes(content))


@needs_ffmpeg
def test_a_damaged_m4a_is_unfit(m4a):
    with pytest.raises(UnfitAudio, match=r"index \(moov\) is missing"):
        read_audio(m4a.read_bytes()[:28] + bytes(1000))


@needs_ffmpeg
def test_a_video_without_sound_says_so(tmp_path):
    video = tmp_path / "a.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5", "-c:v", "mpeg4", video], check=True
    )
    with pytest.raises(UnfitAudio, match=r"^has no sound track$"):
        read_audio(video)


@pytest.mark.parametrize(
    "said, reason",
    [
        ("[out#0 @ 0x1] Stream map '0:a:0' matches no streams.\nTo ignore this, add a trailing '?' to the map.\n"
         "Error opening output files: Invalid argument", "has no sound track"),
        ("[mov,mp4 @ 0x55] moov atom not found\n[in#0 @ 0x5] Error opening input: Invalid data", "its index (moov) is missing"),
        ("[aac @ 0x55d] [x @ 1] channel element is not allocated\nConversion failed!", "(channel element is not allocated)"),
        ("", "exit status 8"),
    ],
)  # fmt: skip
def test_ffmpegs_reason_is_the_line_that_says_why(said, reason):
    assert reason in _reason(said, 8)
