"""perturb-data and make-fbank as a user runs them: to features of perturbed speech."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from references import signal
from support import needs_ffmpeg

from sertk.datadir.lists import read_list
from sertk.datadir.prepare import write_data_dir
from sertk.frontend.fbank import Fbank
from sertk.frontend.perturb import perturbed
from sertk.kaldi.tables import read_table


@pytest.fixture
def data(here):
    """Eight recordings of a second, by four speakers."""
    paths = {f"s{n // 2}-u{n}": str(here / f"{n}.wav") for n in range(8)}
    for number, path in enumerate(paths.values()):
        soundfile.write(path, np.roll(signal(1.0), 999 * number).astype(np.int16), 16000)
    write_data_dir(here / "data", {"wav.scp": paths, "utt2spk": {key: key[:2] for key in paths}})
    return here / "data"


FEATS = ("--compress=none", "--utt2perturb=out/utt2perturb", "scp:out/wav.scp", "ark,scp:f.ark,f.scp")


def test_features_are_those_of_the_perturbed_samples(data, call):
    done = call("perturb-data", "--speed=0.9", "--noise=pink", "--rir=synthetic", "--level=-20", data, "out")
    assert done.err == "perturb-data: wrote out: 64 utterances, 56 of them perturbed\n"
    assert call("validate-data", "out").err == "validate-data: out: valid\n"
    result = call("make-fbank", *FEATS)
    assert result.err == "make-fbank: Done 64, skipped 0\n"
    feats = dict(read_table("scp:f.scp"))
    clean = np.roll(signal(1.0), 999 * 5).astype(np.float32)
    np.testing.assert_array_equal(feats["s2-u5"], Fbank()(clean))
    assert abs(len(feats["sp0.9-s2-u5"]) - 1 / 0.9 * 98) < 2
    # A tenth of the amplitude is 2 · ln 10 less.
    np.testing.assert_allclose(feats["s2-u5-level"], feats["s2-u5"] - 2 * np.log(10), atol=1e-3)
    lines = read_list("out/utt2perturb", columns=None)
    expected = Fbank()(perturbed(clean, 16000, lines["sp0.9-s2-u5-noise"]))
    np.testing.assert_allclose(feats["sp0.9-s2-u5-noise"], expected, atol=1e-5)


def test_the_same_bytes_for_any_number_of_threads(data, call, here):
    call("perturb-data", "--noise=synthetic", "--rir=image", "--codec=telephone,opus", "--babble=own", data, "out")
    contents = set()
    for threads in (1, 3):
        call("make-fbank", f"--num-threads={threads}", *FEATS)
        contents.add((here / "f.ark").read_bytes())
    assert len(contents) == 1


def test_a_missing_noise_costs_the_utterances_it_is_mixed_into(data, call, here):
    (here / "noises").mkdir()
    (here / "noises/wav.scp").write_text("a gone.wav\n")
    (here / "noises/utt2dur").write_text("a 5\n")
    call("perturb-data", "--noise=noises", data, "out")
    done = call("make-fbank", *FEATS, code=1)
    assert "skipped s0-u0-noise: gone.wav cannot be read: No such file or directory" in done.err
    assert "8 of 16 skipped, more than --max-skip" in done.err and not (here / "f.scp").exists()


def test_a_list_of_other_utterances_is_an_error(data, call, here):
    (here / "list").write_text("other level=-20\n")
    words = ("--utt2perturb=list", f"scp:{data}/wav.scp", "ark,scp:f.ark,f.scp")
    done = call("make-fbank", *words, code=1)
    assert "list: the input has none of its 1 utterances: other, …" in done.err and not (here / "f.scp").exists()


def test_segments_are_cut_before_they_are_perturbed(data, call, here):
    (here / "segments").write_text("x s0-u0 0.25 0.75\nx-quiet s0-u0 0.25 0.75\n")
    (here / "list").write_text("x-quiet speed=0.5\n")
    words = ("--compress=none", "--segments=segments", "--utt2perturb=list", "--write-utt2dur=dur")
    call("make-fbank", *words, f"scp:{data}/wav.scp", "ark,scp:f.ark,f.scp")
    assert (here / "dur").read_text() == "x 0.5\nx-quiet 1\n"


def test_a_list_that_is_not_read_is_a_warning(data, call):
    """Without --utt2perturb copies would get the features of their originals, in silence."""
    call("perturb-data", "--level=-20", data, "out")
    done = call("make-fbank", "scp:out/wav.scp", "ark:f.ark")
    assert "WARNING: out/utt2perturb is not read: --utt2perturb=out/utt2perturb perturbs the utterances" in done.err
    assert "WARNING" not in call("make-fbank", "--utt2perturb=out/utt2perturb", "scp:out/wav.scp", "ark:f.ark").err


@needs_ffmpeg
def test_a_codec_of_ffmpeg_is_a_pipe(data, call):
    """The commands of docs/speakers.md, on AAC: a frame or two more at the end, none before."""
    (data.parent / "data/test").symlink_to(data)
    text = (Path(__file__).parents[2] / "docs/speakers.md").read_text(encoding="utf-8")
    commands = next(block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "ffmpeg" in block)
    subprocess.run(["bash", "-ec", commands], check=True)
    assert call("validate-data", "data/test_aac").err == "validate-data: data/test_aac: valid\n"
    for folder in ("test", "test_aac"):
        call("make-fbank", "--compress=none", f"scp:data/{folder}/wav.scp", f"ark,scp:{folder}.ark,{folder}.scp")
    clean, coded = (dict(read_table(f"scp:{folder}.scp"))["s2-u5"] for folder in ("test", "test_aac"))
    likeness = [
        np.corrcoef(clean[10:-10].ravel(), coded[10 + lag :][: len(clean) - 20].ravel())[0, 1] for lag in range(-5, 6)
    ]
    assert 0 <= len(coded) - len(clean) < 20 and np.argmax(likeness) == 5
