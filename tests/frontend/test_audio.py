"""Every container gives the same samples, and what is broken is told apart from what is fine."""

import io

import numpy as np
import pytest
import soundfile
from audiofiles import SAMPLES, encoded

from sertk.errors import SertkError
from sertk.frontend import audio
from sertk.frontend.audio import read_audio
from sertk.frontend.unfit import UnfitAudio

EXACT = [
    ("WAV", "PCM_16"), ("WAVEX", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
    ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("NIST", "PCM_16"), ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AU", "PCM_16"),
]  # fmt: skip


@pytest.mark.parametrize("form, subtype", EXACT)
def test_containers_without_loss_give_the_very_same_samples(form, subtype):
    samples, rate = read_audio(encoded(form, subtype))
    assert rate == 16000 and samples.dtype == np.float32
    np.testing.assert_array_equal(samples, SAMPLES)


@pytest.mark.parametrize(
    "form, subtype, off",
    [("WAV", "PCM_U8", 256), ("WAV", "ULAW", 260), ("WAV", "ALAW", 260), ("NIST", "ULAW", 260)],
)
def test_eight_bit_containers_are_off_by_their_step_at_most(form, subtype, off):
    samples, _ = read_audio(encoded(form, subtype))
    assert np.abs(samples - SAMPLES).max() <= off


@pytest.mark.parametrize("form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_containers_have_the_same_level(form, subtype):
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    samples, rate = read_audio(encoded(form, subtype, tone / 32768))
    assert rate == 16000 and abs(len(samples) - 16000) < 2400
    assert abs(np.sqrt((samples[4000:12000] ** 2).mean()) / np.sqrt((tone**2).mean()) - 1) < 0.05


def test_the_mu_law_code_is_decoded_by_its_table():
    # ITU-T G.711: 0x00 is −8031 and 0x80 is 8031 in 14 bits, 0xFF is 0.
    wav = encoded("WAV", "ULAW")
    start = wav.index(b"data") + 8
    wav = wav[:start] + bytes([0x00, 0x80, 0xFF, 0x7F]) + wav[start + 4 :]
    assert read_audio(wav)[0][:4].tolist() == [-32124, 32124, 0, 0]


def test_a_path_a_stream_and_bytes_are_the_same(tmp_path):
    content = encoded("WAV", "PCM_16")
    (tmp_path / "a.wav").write_bytes(content)
    for source in (tmp_path / "a.wav", str(tmp_path / "a.wav"), content, io.BytesIO(content)):
        np.testing.assert_array_equal(read_audio(source)[0], SAMPLES)


@pytest.mark.parametrize(
    "form, subtype",
    [("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", "PCM_16"),
     ("NIST", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_16"),
     ("AU", "PCM_16")],
)  # fmt: skip
@pytest.mark.parametrize("part", [0.5, 0.99])
def test_a_truncated_recording_is_unfit(form, subtype, part):
    content = encoded(form, subtype)
    with pytest.raises(UnfitAudio, match=r"truncated|damaged"):
        read_audio(content[: int(len(content) * part)])


def test_a_header_that_promises_more_than_any_memory_is_unfit():
    content = bytearray(encoded("FLAC", "PCM_16"))
    content[21] |= 15  # the upper bits of STREAMINFO's 36 for the number of samples
    content[22:26] = bytes([255] * 4)
    with pytest.raises(UnfitAudio, match=r"truncated|damaged"):
        read_audio(bytes(content))


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "empty"),
        (b"RIFF", "not audio"),
        (b"RIFF\0\0\0\0WAVE", "damaged wav"),
        (b"hello, this is text\n" * 100, "not audio"),
        (bytes(5000), "not audio"),
        (encoded("WAV", "PCM_16", np.zeros(0)), "no samples"),
        (encoded("WAV", "PCM_16")[:44], "truncated"),
        (encoded("WAV", "PCM_16")[:40], "no samples"),
        (encoded("WAV", "FLOAT", np.zeros(0)), "no samples"),
        (encoded("FLAC", "PCM_16")[:60], "not audio"),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),  # some bytes are of the time
)  # fmt: skip
def test_what_is_no_recording_is_unfit(content, says):
    with pytest.raises(UnfitAudio, match=says):
        read_audio(content)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_in_a_float_wav_are_unfit_and_say_where(value):
    samples = SAMPLES / 32768
    samples[77] = value
    with pytest.raises(UnfitAudio, match=r"NaN or infinite samples \(sample 77 is"):
        read_audio(encoded("WAV", "FLOAT", samples))


@pytest.mark.parametrize("scale", [1e15, 1e30, 3e38])
def test_samples_too_large_to_be_squared_are_unfit(recwarn, scale):
    """As in floats read in the wrong byte order: the features would be infinite, and end the whole job."""
    with pytest.raises(UnfitAudio, match=r"full scale is 1|NaN or infinite"):
        read_audio(encoded("WAV", "FLOAT", SAMPLES / np.abs(SAMPLES).max() * np.float32(scale)))
    assert not recwarn.list
    samples = 1e6 * SAMPLES / 32768
    assert len(read_audio(encoded("WAV", "FLOAT", samples))[0]) == len(samples)


def test_several_channels_want_a_choice():
    content = encoded("WAV", "PCM_16", np.stack([SAMPLES, -SAMPLES], axis=1) / 32768)
    with pytest.raises(SertkError, match=r"2 channels.*--channel"):
        read_audio(content)
    np.testing.assert_array_equal(read_audio(content, channel=0)[0], SAMPLES)
    np.testing.assert_array_equal(read_audio(content, channel=1)[0], -SAMPLES)
    with pytest.raises(UnfitAudio, match="no channel 2"):
        read_audio(content, channel=2)


def test_a_channel_of_a_compressed_stereo_file_is_that_channel():
    content = encoded("FLAC", "PCM_16", np.stack([SAMPLES, -SAMPLES], axis=1) / 32768)
    np.testing.assert_array_equal(read_audio(content, channel=1)[0], -SAMPLES)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_large_wav_file_is_read_in_pieces(tmp_path, monkeypatch, channel):
    """With a size that was left open too, and a sample that lacks its second channel; others are read as a whole."""
    samples = np.random.default_rng(0).integers(-9999, 9999, (1001, 2), np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    data = (tmp_path / "a.wav").read_bytes()
    place = data.index(b"data") + 4
    (tmp_path / "open.wav").write_bytes(data[:place] + b"\0\0\0\0" + data[place + 4 :] + b"\1\0")
    soundfile.write(tmp_path / "a.flac", samples, 16000)
    soundfile.write(tmp_path / "24.wav", samples / 32768, 16000, subtype="PCM_24")
    monkeypatch.setattr(audio, "_LARGE_FILE", 100)
    monkeypatch.setattr(audio, "_PIECE", 300)
    for name in ("a.wav", "open.wav", "a.flac", "24.wav"):
        found, rate = audio.decode_file(tmp_path / name, lambda piece: audio.one_channel(piece, channel))
        assert rate == 16000 and found.dtype == np.float32
        np.testing.assert_array_equal(found, samples[:, channel])
    (tmp_path / "cut.wav").write_bytes(data[:-10])
    with pytest.raises(UnfitAudio, match="truncated"):
        audio.decode_file(tmp_path / "cut.wav", lambda piece: piece[:, 0])
