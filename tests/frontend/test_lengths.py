"""Files whose headers end before their samples do are read to the end, or refused."""

import io

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.frontend.audio import read_audio
from sertk.frontend.lengths import corrected_length
from sertk.frontend.unfit import UnfitAudio

SAMPLES = signal(0.5) / 32768


def encoded(form: str, samples: np.ndarray = SAMPLES, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def as_if_piped(flac: bytes) -> bytes:
    """A FLAC stream whose writer could not seek back: the number of samples is 0, unknown."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


@pytest.mark.parametrize("rate", [8000, 12345, 11025])
@pytest.mark.parametrize("count", [1, 200, 4096, 4097, 700_000])
def test_piped_flac_has_all_its_samples(count, rate):
    """libsndfile's own header of the same samples is the reference; 700,000 take a frame number of two bytes."""
    flac = encoded("FLAC", np.resize(SAMPLES, count), rate)
    assert corrected_length(as_if_piped(flac)) == flac


def test_piped_flac_is_decoded():
    flac = encoded("FLAC")
    np.testing.assert_array_equal(read_audio(as_if_piped(flac))[0], read_audio(flac)[0])


@pytest.mark.parametrize("cut", [1, 3, 4000])
def test_truncated_piped_flac_is_unfit(cut):
    with pytest.raises(UnfitAudio):
        read_audio(as_if_piped(encoded("FLAC"))[:-cut])


def test_flac_without_frames_is_left_alone():
    for tail in (b"", b"\xff\xf8", b"\xff\xf8\x69\x08\x00\x00" * 1000):
        header = as_if_piped(encoded("FLAC"))[:42]
        assert corrected_length(header + tail) == header + tail


def without_count(mp3: bytes) -> bytes:
    """An mp3 as a writer that cannot seek leaves it: no Xing frame."""
    place = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    return mp3[:place] + bytes(4) + mp3[place + 4 :]


@pytest.mark.parametrize("rate, channels", [(44100, 1), (48000, 2), (16000, 1), (22050, 2), (8000, 1), (11025, 2)])
def test_variable_bitrate_mp3_without_count_is_read_whole(rate, channels):
    """Silence, then noise: a count estimated from the first frame's bitrate gives a tenth of it."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, rate)
    samples = np.repeat(np.concatenate([np.zeros(rate // 2), noise])[:, None], channels, axis=1)
    mp3 = encoded("MP3", samples, rate)
    whole, piped = (read_audio(data, channel=0)[0] for data in (mp3, without_count(mp3)))
    assert len(whole) <= len(piped) <= len(whole) + 4 * 1152
    assert np.abs(piped[len(whole) * 9 // 10 : len(whole)]).max() > 1000


def test_joined_mp3_files_are_read_to_the_end():
    """`cat a.mp3 a.mp3`: the count in the first file's Xing frame is that of one."""
    one = encoded("MP3")
    alone = len(read_audio(one)[0])
    assert len(read_audio(one + one)[0]) >= 2 * alone
    tagged = one + b"TAG" + bytes(125)
    assert corrected_length(tagged) == tagged
    assert len(read_audio(tagged)[0]) == alone


def test_joined_ogg_streams_are_unfit():
    """libsndfile reads the first stream of a chained file, and says nothing of the others."""
    one = encoded("OGG")
    read_audio(one)
    with pytest.raises(UnfitAudio, match="several Ogg streams"):
        read_audio(one + one)


def test_rate_of_zero_is_named():
    au = encoded("AU")
    with pytest.raises(UnfitAudio, match="impossible rate"):
        read_audio(au[:16] + bytes(4) + au[20:])
