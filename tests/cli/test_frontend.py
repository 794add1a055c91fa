"""Options that make-fbank and cmvn-segment share: Kaldi's, compression, and where numbers are written."""

import kaldi_native_io
import numpy as np
import pytest
import soundfile
from references import signal

from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.kaldi.tables import read_table

SAMPLES = signal(1.5)


def features(source="scp:f.scp"):
    return dict(read_table(source))


def test_files_hold_16_bits_and_pipes_and_text_every_bit(folder, call):
    call("make-fbank", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert b"u0 \0BCM2 " in (folder / "f.ark").read_bytes()
    exact = call("make-fbank", "scp:wav.scp", "ark:-").out
    assert exact.startswith(b"u0 \0BFM ")
    call("make-fbank", "scp:wav.scp", "ark,t:f.txt")
    np.testing.assert_array_equal(features("ark:f.txt")["u3"], Fbank()(SAMPLES[:12800]))
    assert np.abs(features()["u3"] - Fbank()(SAMPLES[:12800])).max() < 5e-4


@pytest.mark.parametrize("place", ["ark:d", "ark,t:d", "t,ark:d", "ark,scp:d,d.scp", "ark:| cat >d", "ark:-"])
def test_durations_and_frames_go_to_any_wspecifier(folder, call, place):
    for option, reader in (
        ("--write-utt2dur", kaldi_native_io.SequentialDoubleReader),
        ("--write-num-frames", kaldi_native_io.SequentialInt32Reader),
    ):
        out = call("make-fbank", f"{option}={place}", "scp:wav.scp", "ark:f.ark").out
        if place == "ark:-":
            (folder / "d").write_bytes(out)
        with reader("ark:d") as table:
            found = {key: value for key, value in table}
        expected = {f"u{i}": 0.5 + 0.1 * i for i in range(10)}
        if option == "--write-num-frames":
            expected = {key: len(feats) for key, feats in features("ark:f.ark").items()}
        assert list(found) == list(expected)
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-7)
        assert not (folder / "d.manifest").exists()


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("scp,t:d", 1, "d: cannot be read"),
        ("ark:| exit 3", 1, "the command exited with 3"),
        ("ark:nowhere/d", 1, "there is no folder"),
        ("ark,x:d", 2, "unknown option 'x'"),
        ("| cat", 2, "'| cat' is not a file (for a stream or a pipe use ark,t:- or 'ark,t:| command')"),
        ("-", 2, "'-' is not a file"),
        ("", 2, "'' is not a file"),
    ],
)
def test_a_wrong_place_for_durations_publishes_nothing(folder, call, place, code, said):
    before = sorted(folder.iterdir())
    result = call("make-fbank", f"--write-utt2dur={place}", "scp:wav.scp", "ark:f.ark", code=code)
    assert said in result.err and sorted(folder.iterdir()) == before


def test_two_tables_cannot_share_standard_output(folder, call):
    err = call("make-fbank", "--write-utt2dur=ark,t:-", "scp:wav.scp", "ark:-", code=2).err
    assert "two tables cannot both go to standard output" in err


@pytest.mark.parametrize(
    "option",
    ["use-log-fbank", "use-power=T", "subtract-mean=false", "output-format=kaldi", "vtln-warp=1", "vtln-map=", "utt2spk=x",
     "vtln-low=60", "vtln-high=-300", "debug-mel", "max-feature-vectors=-1", "allow-downsample=false", "channel=-1"],
)  # fmt: skip
def test_kaldis_options_without_effect_are_accepted(folder, call, option):
    (folder / "a.conf").write_text(f"--{option}\n")
    (folder / "wav.scp").write_text("u0 u0.wav\n")
    plain = call("make-fbank", "scp:wav.scp", "ark:-").out
    for words in ([f"--{option}"], ["--config", "a.conf"]):
        result = call("make-fbank", *words, "scp:wav.scp", "ark:-")
        assert result.out == plain
        if option != "channel=-1":
            assert (
                f"make-fbank: ignored options of compute-fbank-feats: --{option.partition('=')[0]}"
                in result.err.splitlines()
            )


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("use-log-fbank=false", "computes logarithms only"),
        ("use-power=f", "sums power spectra only"),
        ("subtract-mean=true", "cmvn-segment --norm-vars=false"),
        ("output-format=htk", "copy-feats-to-htk"),
        ("vtln-warp=0.9", "make-fbank has no VTLN"),
        ("vtln-map=ark:warps", "make-fbank has no VTLN"),
    ],
)
def test_kaldis_options_that_change_features_are_refused(folder, call, option, remedy):
    err = call("make-fbank", f"--{option}", "scp:wav.scp", "ark:f.ark", code=2).err
    assert f"--{option} is not supported: ".replace("=f ", "=false ") in err and remedy in err


def test_kaldis_allow_downsample_allows_resampling(folder, call):
    soundfile.write("u3.wav", np.repeat(SAMPLES, 2).astype(np.int16), 32000)
    result = call("make-fbank", "--allow-downsample", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert "--allow-downsample: read as --allow-resample=true" in result.err
    assert len(features()["u3"]) == 148


def text(content):
    return lambda folder: (folder / "wav.scp").write_text(content)


def test_help_shows_every_option_of_kaldis(call):
    text = call("make-fbank", "--help").text
    for name in FbankOptions().settings():
        assert f"--{name}" in text
    assert "e.g.: make-fbank" in text and "See also: cmvn-segment" in text
