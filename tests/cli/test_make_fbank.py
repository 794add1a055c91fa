"""make-fbank as a user runs it: what it writes, what it skips, and how it fails."""

import json
import os
import subprocess
import sys
from signal import SIGPIPE

import numpy as np
import pytest
import soundfile
from references import native_fbank, signal
from support import ROOT

from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.kaldi.tables import read_manifest, read_table

SAMPLES = signal(1.5)


def features(source="scp:f.scp"):
    return dict(read_table(source))


def test_what_is_written_is_kaldis(folder, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "sertk.frontend.perturb", None)  # slow to import: only for those that perturb
    result = call("make-fbank", "--compress=none", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert result.err.strip() == "make-fbank: Done 10, skipped 0" and result.out == b""
    found = features()
    assert list(found) == [f"u{i}" for i in range(10)]
    np.testing.assert_array_equal(found["u9"], Fbank()(SAMPLES[:22400]))
    np.testing.assert_allclose(found["u1"], native_fbank(SAMPLES[:9600], FbankOptions()), atol=1e-3)


def test_the_manifest_says_how_they_were_made(folder, call):
    call("make-fbank", "--num-mel-bins=80", "--cmvn=true", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    manifest = read_manifest("f.scp")
    assert (manifest.keys, manifest.dim) == (10, 80)
    assert manifest.settings == {"fbank": FbankOptions(num_mel_bins=80).settings(), "cmvn": "segment"}


def test_the_same_bytes_for_any_number_of_threads(folder, call):
    made = set()
    for threads in (1, 2, 7):
        call("make-fbank", "--dither=1", f"--num-threads={threads}", "scp:wav.scp", "ark:f.ark")
        made.add((folder / "f.ark").read_bytes())
    assert len(made) == 1


def test_the_same_bytes_per_key_however_the_list_is_split(folder, call):
    call("make-fbank", "--dither=1", "--compress=cm2", "scp:wav.scp", "ark:-")
    whole = call("make-fbank", "--dither=1", "--compress=cm2", "scp:wav.scp", "ark:-").out
    lines = (folder / "wav.scp").read_text().splitlines(keepends=True)
    parts = b""
    for part in (lines[:3], lines[3:4], lines[4:]):
        (folder / "part.scp").write_text("".join(part))
        parts += call("make-fbank", "--dither=1", "--compress=cm2", "scp:part.scp", "ark:-").out
    assert parts == whole
    assert call("make-fbank", "--dither=1", "--seed=1", "--compress=cm2", "scp:wav.scp", "ark:-").out != whole


def test_num_frames_and_durations_are_written_beside(folder, call):
    call("make-fbank", "--write-num-frames=n", "--write-utt2dur=ark,t:d", "scp:wav.scp", "ark:f.ark")
    assert (folder / "n").read_text().splitlines()[:2] == ["u0 48", "u1 58"]
    assert (folder / "d").read_text().splitlines()[:2] == ["u0 0.5", "u1 0.6"]


def test_segments_are_cut_out(folder, call):
    (folder / "segments").write_text("s1 u9 0.25 0.75\ns2 u9 1 -1\n")
    call("make-fbank", "--segments=segments", "--compress=none", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    np.testing.assert_array_equal(features()["s1"], Fbank()(SAMPLES[4000:12000]))
    np.testing.assert_array_equal(features()["s2"], Fbank()(SAMPLES[16000:22400]))


def test_a_config_of_kaldis_is_taken(folder, call):
    config = ROOT / "egs" / "common" / "conf" / "fbank.conf"
    call("make-fbank", "--config", config, "--num-mel-bins=64", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert read_manifest("f.scp").dim == 64


def test_other_rates_are_converted_when_asked(folder, call):
    soundfile.write("u3.wav", np.repeat(SAMPLES, 2).astype(np.int16), 32000)
    call("make-fbank", "--allow-resample=true", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert len(features()["u3"]) == 148


def test_the_torchaudio_backend_agrees(folder, call):
    call("make-fbank", "--compress=none", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    call("make-fbank", "--compress=none", "--backend=torchaudio", "scp:wav.scp", "ark,scp:g.ark,g.scp")
    for key, feats in features().items():
        assert np.quantile(np.abs(features("scp:g.scp")[key] - feats), 0.99) < 1e-3


def test_what_is_unfit_is_skipped_named_and_counted(folder, call):
    (folder / "u4.flac").write_bytes((folder / "u4.flac").read_bytes()[:-100])
    (folder / "u2.wav").write_bytes((folder / "u2.wav").read_bytes()[:44])
    soundfile.write("u3.wav", SAMPLES[:399].astype(np.int16), 16000)
    result = call("make-fbank", "--max-skip=0.5", "--write-num-frames=n", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert list(features()) == [f"u{i}" for i in (0, 1, 5, 6, 7, 8, 9)]
    lines = result.err.splitlines()
    assert lines[0].startswith("make-fbank: WARNING: skipped u2: u2.wav is truncated")
    assert lines[1] == "make-fbank: WARNING: skipped u3: has 399 samples, too few for a frame"
    assert lines[2].startswith("make-fbank: WARNING: skipped u4: u4.flac is damaged")
    assert lines[3] == "make-fbank: Done 7, skipped 3"
    assert len((folder / "n").read_text().splitlines()) == 7


@pytest.mark.parametrize("value", [0, -7, 300])
def test_a_recording_without_sound_is_skipped_and_says_so(folder, call, value):
    soundfile.write("u3.wav", np.full(8000, value, np.int16), 16000)
    result = call("make-fbank", "--cmvn=true", "--max-skip=0.2", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert f"WARNING: skipped u3: has no sound: all of its 8000 samples are {value}\n" in result.err
    assert "Done 9, skipped 1" in result.err and "u3" not in features()


def test_a_recording_of_one_frame_passes(folder, call):
    soundfile.write("u3.wav", SAMPLES[:400].astype(np.int16), 16000)
    call("make-fbank", "--cmvn=true", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert (features()["u3"] == 0).all() and features()["u3"].shape == (1, 128)


def test_a_file_with_an_absurd_header_costs_that_file(folder, call):
    wav = (folder / "u0.wav").read_bytes()
    for name, rate in (("u3", 0), ("u5", 7), ("u6", 2**32 - 1)):
        (folder / f"{name}.wav").write_bytes(wav[:24] + rate.to_bytes(4, "little") + wav[28:])
    result = call("make-fbank", "--allow-resample=true", "--max-skip=0.5", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    assert "skipped u3: u3.wav is a damaged wav file (0 samples a second" in result.err
    assert "Done 7, skipped 3" in result.err and len(features()) == 7


def stereo(_):
    soundfile.write("u0.wav", np.zeros((8000, 2), np.int16), 16000)


def nan(_):
    soundfile.write("u0.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")


def slow(_):
    soundfile.write("u0.wav", SAMPLES.astype(np.int16), 8000)


def text(content):
    return lambda folder: (folder / "wav.scp").write_text(content)


def write(name, content):
    return lambda folder: (folder / name).write_text(content)


FAILURES = [
    # (what is wrong with the folder, options, exit status, what the line says)
    (lambda f: (f / "wav.scp").unlink(), [], 1, "wav.scp"),
    (text(""), [], 1, "nothing was processed"),
    (text("u0\n"), [], 1, "wav.scp:1"),
    (text("u0 u0.wav\nu0 u1.wav\n"), [], 1, "wav.scp:2: key u0: this key comes twice"),
    (text("u0 gone.wav\n"), [], 1, "skipped u0: gone.wav cannot be read: No such file or directory"),
    (text("u0 false |\n"), [], 1, "key u0: false |: the command exited with 1"),
    (text("u0 cat u0.wav; exit 3 |\n"), [], 1, "exited with 3"),
    (text("u0 u0.wav[0:3]\n"), [], 1, "range"),
    (text("u0 wav.scp\n"), [], 1, "nothing was processed (1 read, 1 skipped)"),
    (text("u0 u0.wav\nu1 wav.scp\n"), [], 1, "--max-skip=0.05"),
    (stereo, [], 1, "skipped u0: u0.wav has 2 channels: choose one with --channel"),
    (nan, [], 1, "skipped u0: u0.wav has NaN or infinite samples (sample 0 is nan)"),
    (slow, [], 1, "skipped u0: has a sample rate of 8000 Hz, not 16000: --allow-resample=true"),
    (None, ["--low-freq=0"], 1, "mel filter 0 of 128"),
    (None, ["--low-freq=9000"], 1, "--low-freq=9000"),
    (None, ["--window-type=kaiser"], 1, "--window-type=kaiser"),
    (None, ["--num-mel-bins=many"], 2, "'many'"),
    (None, ["--snip-edges=maybe"], 2, "'maybe' is neither true nor false"),
    (None, ["--compress=zip"], 2, "'zip'"),
    (None, ["--channel=-2"], 2, "-2"),
    (None, ["--no-such-option"], 2, "no-such-option"),
    (None, ["--segments=gone"], 1, "gone"),
    (
        write("segments", "s1 u0 0\n"),
        ["--segments=segments"],
        1,
        "skipped s1: segments:1: key s1: not 'utterance recording start end",
    ),
    (write("segments", "s1 u0 2 1\n"), ["--segments=segments"], 1, "not a time span"),
    (write("segments", "s1 nobody 0 1\n"), ["--segments=segments"], 1, "nothing was processed"),
    (write("c", "--num-mel-bins=80\n--colour=red\n"), ["--config=c"], 1, "c:2"),
    (None, ["--config=gone.conf"], 1, "gone.conf"),
]


@pytest.mark.parametrize("spoil, options, code, says", FAILURES, ids=[failure[3] for failure in FAILURES])
def test_bad_input_is_one_clear_line_and_the_old_table_stays(folder, call, spoil, options, code, says):
    call("make-fbank", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    before = {path.name: path.read_bytes() for path in folder.glob("f.*")}
    if spoil:
        spoil(folder)
    result = call("make-fbank", *options, "scp:wav.scp", "ark,scp:f.ark,f.scp", code=code)
    lines = result.err.splitlines()
    assert len(lines) <= 3 and lines[-1].startswith("make-fbank: ERROR: ") and any(says in line for line in lines)
    assert {path.name: path.read_bytes() for path in folder.glob("f.*")} == before


@pytest.mark.parametrize("source", ["wav.scp", "scp,x:wav.scp", "ark:gone.ark", "ark:false |", "scp:cat gone.scp |"])
def test_wrong_specifiers_and_sources_are_one_clear_line(folder, call, source):
    result = call("make-fbank", source, "ark:f.ark", code=None)
    assert result.code in (1, 2) and result.err.splitlines()[-1].startswith("make-fbank: ERROR: ")
    assert "Traceback" not in result.err and not (folder / "f.ark").exists()


def test_a_missing_ffmpeg_is_one_line_that_says_what_to_do(folder, call, monkeypatch):
    (folder / "u.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (folder / "wav.scp").write_text("u u.m4a\n")
    monkeypatch.setenv("PATH", "/nowhere")
    result = call("make-fbank", "scp:wav.scp", "ark:f.ark", code=1)
    assert "needs ffmpeg" in result.err and len(result.err.splitlines()) == 1


def test_pipes_can_be_forbidden(folder, call, monkeypatch):
    monkeypatch.setenv("SERTK_NO_PIPES", "1")
    (folder / "wav.scp").write_text("u0 cat u0.wav |\n")
    assert "SERTK_NO_PIPES" in call("make-fbank", "scp:wav.scp", "ark:f.ark", code=1).err


def test_a_reader_that_leaves_early_ends_the_writer_by_sigpipe(folder, shell):
    line = "set -o pipefail; for i in $(seq 400); do echo x$i u9.wav; done > l; make-fbank scp:l ark:- | head -c 100 > /dev/null"
    assert shell(line, code=128 + SIGPIPE).err == ""


def test_the_pipe_with_kaldis_names_gives_what_one_process_gives(folder, shell):
    shell(
        "make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark,scp:f.ark,f.scp && make-fbank --cmvn true scp:wav.scp ark:g.ark"
    )
    assert (folder / "f.ark").read_bytes() == (folder / "g.ark").read_bytes()


def test_neither_torch_nor_torchaudio_is_imported(folder):
    code = (
        "import sys; from sertk.cli.make_fbank import main\n"
        "try: main(['scp:wav.scp', 'ark:f.ark'])\n"
        "finally: print(json.dumps([m for m in ('torch', 'torchaudio', 'kaldiio', 'click') if m in sys.modules]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "import json\n" + code], capture_output=True, text=True, env=environment
    )
    assert json.loads(done.stdout) == ["click"], done.stderr
