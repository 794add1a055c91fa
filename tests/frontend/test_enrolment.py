"""The front end of one speaker: the features of tables that are normalised by speaker."""

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.errors import SertkError
from sertk.frontend import enrolment
from sertk.frontend.enrolment import enrolled_extractor
from sertk.frontend.options import FbankOptions
from sertk.frontend.unfit import UnfitAudio
from sertk.kaldi.tables import read_manifest, read_table

FILES = ["0.wav", "1.wav", "2.wav"]
BY_SPEAKER = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "group", "group": "utt2spk"}


@pytest.fixture
def speaker(here):
    """Recordings of a speaker, each of another level; their wav.scp and utt2spk."""
    samples = signal(0.9)
    for number, file in enumerate(FILES):
        soundfile.write(file, (samples[4000 * number :][:6000] / 2**number).astype(np.int16), 16000)
    (here / "wav.scp").write_text("".join(f"{file} {file}\n" for file in FILES))
    (here / "utt2spk").write_text("".join(f"{file} s\n" for file in FILES))
    return here


@pytest.mark.parametrize("norm_vars", ["true", "false"])
def test_features_have_the_bits_of_the_tables(speaker, call, norm_vars):
    exact = ("--compress=none", "--verbose=0")
    call("make-fbank", *exact, "--num-mel-bins=16", "--cmvn=false", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    call("cmvn-segment", *exact, "--norm-vars", norm_vars, "--utt2group=utt2spk", "scp:f.scp", "ark,scp:n.ark,n.scp")
    extract = enrolled_extractor(read_manifest("scp:n.scp").settings, "final.pt", FILES)
    for file, feats in read_table("scp:n.scp"):
        np.testing.assert_array_equal(extract.of_file(file), feats)
        np.testing.assert_array_equal(extract(soundfile.read(file)[0], 16000), feats)
    assert abs(feats.mean()) > 0.1  # not those of the recording alone


def test_samples_are_enrolled_as_their_files_are(speaker):
    """At their rate and in their type; messages count them."""
    pairs = [soundfile.read(FILES[0], dtype="int16"), FILES[1], soundfile.read(FILES[2])]
    wanted = enrolled_extractor(BY_SPEAKER, "final.pt", FILES).of_file("0.wav")
    np.testing.assert_array_equal(enrolled_extractor(BY_SPEAKER, "final.pt", pairs).of_file("0.wav"), wanted)
    with pytest.raises(UnfitAudio, match=r"^recording 2: has no sound"):
        enrolled_extractor(BY_SPEAKER, "final.pt", [pairs[0], (np.zeros(16000), 16000)])


def test_unfit_recordings_raise_or_are_skipped(speaker):
    soundfile.write("silence.wav", np.zeros(16000), 16000)
    with pytest.raises(UnfitAudio, match=r"silence\.wav: has no sound"):
        enrolled_extractor(BY_SPEAKER, "final.pt", ["0.wav", "silence.wav"])
    skipped = {}
    some = enrolled_extractor(BY_SPEAKER, "final.pt", ["0.wav", "silence.wav"], lambda *item: skipped.update([item]))
    assert list(skipped) == ["silence.wav"]
    np.testing.assert_array_equal(
        some.of_file("1.wav"), enrolled_extractor(BY_SPEAKER, "final.pt", ["0.wav"]).of_file("1.wav")
    )
    for files in (["silence.wav"], []):
        with pytest.raises(SertkError, match=rf"final.pt: none of the recordings .* \({len(files)} skipped\)"):
            enrolled_extractor(BY_SPEAKER, "final.pt", files, lambda *_: None)


def test_few_seconds_are_a_warning(speaker, caplog, monkeypatch):
    enrolled_extractor(BY_SPEAKER, "final.pt", FILES)
    [line] = caplog.messages
    assert line.startswith("1.1 s of the speaker, under 25: ")
    monkeypatch.setattr(enrolment, "ENOUGH", 1.0)
    enrolled_extractor(BY_SPEAKER, "final.pt", FILES)
    assert caplog.messages == [line]


@pytest.mark.parametrize(
    ("frontend", "says"),
    [
        (BY_SPEAKER | {"cmvn": "segment mean"}, r"not normalised over groups \(cmvn: segment mean\)"),
        (BY_SPEAKER | {"cmvn": "none"}, r"not normalised over groups \(cmvn: none\)"),
        ({}, "holds no front-end settings"),
    ],
)
def test_other_models_are_refused(speaker, frontend, says):
    with pytest.raises(SertkError, match=f"final.pt: .*{says}"):
        enrolled_extractor(frontend, "final.pt", FILES)
