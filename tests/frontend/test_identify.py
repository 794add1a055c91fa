"""Files that are no recordings, or recordings that are not read: each says what it is and what to do."""

import gzip
import io
import struct
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest
import soundfile
from references import signal
from support import needs_ffmpeg

from sertk.frontend.audio import read_audio
from sertk.frontend.unfit import UnfitAudio

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:c6f94b2592487c75\nsize 72862\n"
NIST = "NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i 16000\nsample_rate -i 16000\nsample_n_bytes -i 2\n"


def packed(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.wav", bytes(100))
    else:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a.wav"))
    return file.getvalue()


def nist(coding: str, data=b"ajkg\x02") -> bytes:
    return (NIST + f"sample_coding -s{len(coding)} {coding}\nend_head\n").encode().ljust(1024) + data


def codec(code: int) -> bytes:
    """A wav file of a codec that is not read."""
    form = struct.pack("<HHIIHHH", code, 1, 16000, 4000, 256, 4, 0)
    return (
        b"RIFF\xff\1\0\0WAVEfmt "
        + struct.pack("<I", 18)
        + form
        + b"data"
        + struct.pack("<I", 512)
        + bytes(range(256)) * 2
    )


FILES = [
    (LFS, "is a git-lfs pointer, not the recording: git lfs pull"),
    (b"/annex/objects/SHA256E-s72862--c6f9.wav\n", "is a git-annex pointer"),
    (b"outs:\n- md5: a304afb96060aad90176268345e10355\n  path: a.wav\n", "is a DVC pointer"),
    (b"<html><head><title>404 Not Found</title></head></html>\n", "is a web page .*404.*the download has failed"),
    (b"\n  <!DOCTYPE html>\n<html>", "is a web page"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is XML .*the download has failed"),
    (b'{"error": "not found"}', "is JSON .*the download has failed"),
    (b"hello, this is text\n" * 100, "is text .'hello, this is text"),
    ("Übung: Töne\n".encode() * 200, "is text"),
    ("\ufeffnot audio\r\n".encode("utf-16-le"), "is text .'not audio'"),
    (bytes(5000), "is 5000 zero bytes, not audio"),
    (nist("pcm,embedded-shorten-v2.00"), "is compressed with shorten .*sph2pipe -f wav -p FILE"),
    (nist("pcm,embedded-wavpack-v1.0"), "is compressed with wavpack .*sph2pipe"),
    (gzip.compress(bytes(100)), "is a gzip archive, not audio: unpack it .gunzip"),
    (packed("zip"), "is a zip archive"),
    (packed("tar"), "is a tar archive"),
    (b"Rar!\x1a\x07\x01\0" + bytes(50), "is a rar archive"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(50), "is a 7z archive"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(50), "is WMA .*convert it .ffmpeg"),
    (b"#!AMR\n" + bytes(50), "is AMR, which is not supported: convert it"),
    (b"\x1a\x45\xdf\xa3" + bytes(50), "is WebM or Matroska"),
    (b"RIFF\x40\0\0\0AVI LIST" + bytes(50), "is an AVI video"),
    (b"\xff\xf1\x60\x40" + bytes(50), "is AAC without a container"),
    (b"OggS\0\2" + bytes(20) + b"\1\x50Speex   1.2" + bytes(60), "is Speex in Ogg"),
    (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(50), "is a macOS resource file"),
    (b"%PDF-1.4\n", "is a PDF file"),
    (b"utt1 \x00BFM \x04" + bytes(50), "is a Kaldi archive of matrices"),
    (b"utt1 RIFF\x40\0\0\0WAVEfmt " + bytes(50), "is a Kaldi archive of recordings: give it as ark:FILE"),
    (np.random.default_rng(2).bytes(4000), "is not in a known audio format .*encrypted, damaged, or samples without a"),
    (codec(0x0161), r"is a wav file with the codec 0x0161 \(WMA 2\), which is not supported: convert it"),
    (codec(0x00FF), r"codec 0x00ff \(AAC\)"),
    (codec(0x1234), "with the codec 0x1234, which is not supported"),
]  # fmt: skip


@pytest.mark.parametrize("content, says", FILES, ids=[says[:30] for _, says in FILES])
def test_what_is_not_read_says_what_it_is_and_the_remedy(content, says):
    with pytest.raises(UnfitAudio, match=rf"(?s)^{says}" if says.startswith("is") else says) as error:
        read_audio(content)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


CODECS = [("a.wav", "mp3"), ("a.wav", "adpcm_ima_wav"), ("a.wav", "adpcm_ms"), ("a.wav", "pcm_alaw"), ("a.aif", "pcm_mulaw"),
          ("a.aif", "adpcm_ima_qt"), ("a.caf", "pcm_alaw")]  # fmt: skip


@needs_ffmpeg
@pytest.mark.parametrize("name, codec", CODECS)
def test_codecs_are_decoded_whole_and_truncation_is_noticed(tmp_path, name, codec):
    soundfile.write(tmp_path / "in.wav", signal(1.5).astype(np.int16), 16000)
    path = tmp_path / f"out-{name}"
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "in.wav", "-c:a", codec, path], capture_output=True
    )
    if made.returncode and codec == "mp3":
        pytest.skip("this ffmpeg writes no mp3")
    assert made.returncode == 0, made.stderr
    samples, rate = read_audio(path)
    assert rate == 16000 and 24000 <= len(samples) < 24000 + 2400
    assert samples.std() == pytest.approx(signal(1.5).std(), rel=0.2)
    content = path.read_bytes()
    with pytest.raises(UnfitAudio, match="truncated"):
        read_audio(content[: len(content) * 3 // 4])
