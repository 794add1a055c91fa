"""The simulated corpora: the same bytes for a seed, laid out so that others' readers find in them what ours find."""

import re
import subprocess
import sys
import time
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from sertk.datadir.lists import read_list

EGS = ROOT / "egs"
LABELS = ("ang", "hap", "exc", "neu", "sad", "fru")  # those that torchaudio's reader keeps


def python(script, *words, code=0):
    line = [sys.executable, script, *map(str, words)]
    done = subprocess.run(line, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Iterator[Path]:
    """Both corpora, with fewer speakers and a third of the turns that the recipe has."""
    folder = tmp_path_factory.mktemp("mini") / "corpus"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EGS / "mini" / "local")
        import iemocap_layout
        import simulate_speech

        turns = {label: max(1, count // 3) for label, count in iemocap_layout.TURNS.items()} | {"neu": 12}
        patch.setattr(iemocap_layout, "TURNS", turns)
        with pytest.raises(SystemExit) as ended:
            simulate_speech.main(["--speakers", "4", "--trial-speakers", "3", str(folder)])
        assert ended.value.code == 0
        yield folder


@pytest.fixture
def synthesiser(monkeypatch):
    monkeypatch.syspath_prepend(EGS / "mini" / "local")
    import synthesiser

    return synthesiser


@pytest.fixture
def voices(monkeypatch):
    monkeypatch.syspath_prepend(EGS / "mini" / "local")
    import voices

    return voices


def test_a_seed_decides_the_waveform(synthesiser, voices):
    def speech(seed):
        rng = np.random.default_rng(seed)
        return synthesiser.synthesise(rng, voices.draw_voice(rng, "F"), 1.5)

    (first, words), (again, words_again), (other, _) = speech(1), speech(1), speech(2)
    assert first.tobytes() == again.tobytes()
    assert words == words_again
    assert first.shape == other.shape == (24000,)
    assert not np.array_equal(first, other)


def pitch_of(samples: np.ndarray) -> float:
    """The strongest lag of the autocorrelation between 60 and 400 Hz, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    lags = np.fft.irfft(spectrum)[: len(samples)]
    return 16000 / (40 + lags[40:266].argmax())


def test_emotions_change_the_voice_as_the_literature_says(synthesiser, voices):
    measured = {}
    for label in ("neu", "ang", "sad"):
        values = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            voice = voices.perform(rng, voices.draw_voice(rng, "M"), voices.MANNERS[label], intensity=(1, 1))
            speech, said = synthesiser.synthesise(rng, voice, 3.0)
            values.append((pitch_of(speech), 20 * np.log10(speech.std()), len(said)))
        measured[label] = np.median(values, axis=0)
    pitch, level, syllables = zip(measured["sad"], measured["neu"], measured["ang"])
    assert pitch[0] < pitch[1] < pitch[2]
    assert level[0] + 3 < level[1] < level[2] - 3
    assert syllables[0] < syllables[1] < syllables[2]


def test_an_utterance_is_simulated_faster_than_spoken(synthesiser, voices):
    rng = np.random.default_rng(0)
    voice = voices.draw_voice(rng, "F")
    synthesiser.synthesise(rng, voice, 1.0)
    began = time.process_time()
    synthesiser.synthesise(rng, voice, 20.0)
    assert time.process_time() - began < 2.0


def test_the_corpora_are_a_function_of_the_seed(corpus, tmp_path, synthesiser):
    from iemocap_layout import deal_turns
    from recording import generator
    from voxceleb_layout import write_voxceleb1

    # Two of the four speakers: what is drawn for one does not depend on who else there is.
    write_voxceleb1(tmp_path, 0, {"dev": 2, "test": 2})
    paths = sorted(tmp_path.rglob("*.wav"))
    assert len(paths) == 4 * 9
    for path in paths:
        assert path.read_bytes() == (corpus / "voxceleb1" / path.relative_to(tmp_path)).read_bytes()
    dialogs = deal_turns(2, generator(0, "Session2"))
    assert dialogs == deal_turns(2, generator(0, "Session2")) != deal_turns(2, generator(1, "Session2"))
    folder = corpus / "IEMOCAP" / "Session2" / "sentences" / "wav"
    assert {turn.name for turns in dialogs.values() for turn in turns} == {path.stem for path in folder.glob("*/*.wav")}


def test_a_folder_that_was_not_simulated_is_left_alone(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.wav").write_text("a recording")
    done = python(EGS / "mini/local/simulate_speech.py", tmp_path / "real", code=1)
    assert re.fullmatch(r"simulate-speech .*\nsimulate-speech: ERROR: .*/real: is there already .*\n", done.stderr)
    assert (tmp_path / "real" / "x.wav").read_text() == "a recording"


def test_recordings_are_16_khz_16_bit_mono_and_not_clipped(corpus):
    paths = sorted(corpus.rglob("*.wav"))
    assert len(paths) > 200
    clipped = 0
    for path in paths[::7]:
        with wave.open(str(path)) as file:
            assert file.getparams()[:3] == (1, 2, 16000)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert np.abs(samples).max() > 300
        clipped += np.abs(samples).max() == 32767
    assert clipped < 0.05 * len(paths[::7])


def test_label_files_have_everything_that_iemocaps_have(corpus):
    folder = corpus / "IEMOCAP" / "Session1" / "dialog" / "EmoEvaluation"
    names = {path.name for path in folder.iterdir()}
    assert {"._Ses01F_impro01.txt", "Categorical", "Ses01F_impro01.txt", "Ses01M_script02_2b.txt"} <= names
    text = "".join(path.read_text() for path in corpus.rglob("EmoEvaluation/Ses*.txt"))
    assert text.startswith("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n[")
    assert re.search(r"^C-E\d:\t\w+; \w+;\t\(", text, re.M)  # a vote for two
    assert re.search(r"^C-E\d:\t\t\(", text, re.M)  # an empty vote
    assert re.search(r"^C-[FM]1:\t\w+;\t\(\)", text, re.M)  # the actor's own
    assert re.search(r"^A-E\d:\tval \d; act \d; dom  \d;\t\(.+\)", text, re.M)  # free text
    labels = Counter(re.findall(r"^\[[\d.]+ - [\d.]+\]\t\S+\t(\w+)\t\[", text, re.M))
    assert set(labels) == {"ang", "hap", "exc", "neu", "sad", "fru", "sur", "fea", "oth", "dis", "xxx"}
    turns = re.findall(r"\t(Ses\S+)\t", text)
    assert len(turns) == len(set(turns)) == labels.total()
    pattern = r"Ses0[1-5][FM]_(impro\d\d[ab]?|script\d\d_\d[ab]?)_[FM]\d{3}"
    assert all(re.fullmatch(pattern, turn) for turn in turns)


def test_torchaudio_finds_the_same_turns_labels_and_dialogs(corpus, tmp_path):
    from torchaudio.datasets import IEMOCAP

    python(EGS / "iemocap/local/prepare_iemocap.py", "--simulated", "true", "--labels", ",".join(LABELS),
           corpus / "IEMOCAP", tmp_path / "data")  # fmt: skip
    theirs = IEMOCAP(corpus)
    rows = [theirs.get_metadata(index) for index in range(len(theirs))]
    ours = {utt.partition("-")[2]: label for utt, label in read_list(tmp_path / "data/utt2label").items()}
    assert {name: label for _, _, name, label, _ in rows} == ours
    wavs = {utt.partition("-")[2]: path for utt, path in read_list(tmp_path / "data/wav.scp").items()}
    assert {name: str(corpus / "IEMOCAP" / path) for path, _, name, _, _ in rows} == wavs
    # Their speaker is who wore the markers: our dialog without its number. Ours is the letter before the turn's.
    dialogs = {utt.partition("-")[2]: dialog for utt, dialog in read_list(tmp_path / "data/utt2dialog").items()}
    assert {name: speaker for *_, name, _, speaker in rows} == {name: dialogs[name][:6] for name in ours}
    speakers = read_list(tmp_path / "data/utt2spk")
    assert all(speaker == f"{utt[:5]}{utt[-4]}" for utt, speaker in speakers.items())
    assert len(set(speakers.values())) == 10


def test_torchaudio_finds_the_same_recordings_and_speakers(corpus, tmp_path):
    from torchaudio.datasets import VoxCeleb1Identification

    python(EGS / "voxceleb/local/prepare_voxceleb.py", "--simulated", "true", "--voxceleb1", corpus / "voxceleb1",
           "--trials", "O,E,H", tmp_path / "data")  # fmt: skip
    ours = read_list(tmp_path / "data/train/utt2spk") | read_list(tmp_path / "data/test/utt2spk")
    # Their reader wants the speakers of dev and test in one folder, with the list inside it.
    (tmp_path / "merged" / "wav").mkdir(parents=True)
    for speaker in corpus.glob("voxceleb1/*/wav/id*"):
        (tmp_path / "merged" / "wav" / speaker.name).symlink_to(speaker)
    (tmp_path / "merged" / "iden_split.txt").symlink_to(corpus / "voxceleb1" / "iden_split.txt")
    theirs = {}
    for subset in ("train", "dev", "test"):
        dataset = VoxCeleb1Identification(tmp_path / "merged", subset)
        for index in range(len(dataset)):
            path, rate, speaker, name = dataset.get_metadata(index)
            assert (tmp_path / "merged" / "wav" / path).is_file()
            assert rate == 16000
            theirs[name] = f"id1{speaker:04}"
    assert theirs == ours
    assert len(set(ours.values())) == 7
    for name in "OEH":
        trials = (tmp_path / f"data/test/trials_{name}").read_text().splitlines()
        for trial in trials:
            first, second, label = trial.split()
            assert (label == "target") == (first[:7] == second[:7])
            assert name != "H" or int(first[6]) % 2 == int(second[6]) % 2  # of one sex
        assert Counter(trial.split()[2] for trial in trials)["target"] * 2 == len(trials)
