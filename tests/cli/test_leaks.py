"""Each kind of leak committed on purpose with the binaries themselves: refused, or stamped."""

import json
from pathlib import Path

import numpy as np
import pytest

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import table_writer

LABELS = ("ang", "sad")
TOY = ("--channels", 2, "--blocks", "1,1,1,1", "--embedding-dim", 4, "--chunk-frames", "16", "--epochs", 1,
       "--augment", "none", "--num-threads", 1, "--verbose", 0)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder of three sessions, two speakers each, and its raw features of 16 bins."""
    root = tmp_path_factory.mktemp("leaks")
    rng = np.random.default_rng(0)
    keys = [f"Ses0{n}{sex}-{label}{take}" for n in (1, 2, 3) for sex in "FM" for label in LABELS for take in (0, 1)]
    (root / "data").mkdir()
    with table_writer(f"ark,scp:{root}/raw.ark,{root}/raw.scp", settings={"cmvn": "none"}) as write:
        for key in keys:
            write(key, rng.normal(5, 2, (24, 16)).astype(np.float32))
    columns = {"utt2label": slice(7, 10), "utt2session": slice(0, 5), "utt2spk": slice(0, 6), "utt2dialog": slice(0, 5)}
    for name, part in columns.items():
        write_list(root / "data" / name, {key: key[part] for key in keys})
    return root


@pytest.fixture
def lab(folder, call, monkeypatch):
    """The folder as the current one, with what one does in it: lab("train-resnet", …)."""
    monkeypatch.chdir(folder)

    def run(*words, code=0):
        return call(*words, code=code)

    return run


def normalise(lab, name, *options):
    lab("cmvn-segment", "--verbose", 0, *options, "scp:raw.scp", f"ark,scp:{name}.ark,{name}.scp")
    return f"scp:{name}.scp"


def folds(lab, name, *options):
    lab("make-folds", "--verbose", 0, *options, "data", name)
    return f"{name}/utt2label", f"{name}/utt2fold"


def experiment(lab, name, feats, utt2label, utt2fold, spoil=None, number=3):
    """A network a fold and its scores in NAME; spoil: a map of folds to train by that is not the one to score by."""
    for fold in range(1, number + 1):
        lab("train-resnet", *TOY, "--utt2fold", spoil or utt2fold, "--fold", fold, feats, utt2label, f"{name}/{fold}")
        chosen = ("--utt2fold", utt2fold, "--fold", fold, "--num-threads", 1, "--verbose", 0)
        lab("predict-emotion", *chosen, f"{name}/{fold}/final.pt", feats, f"ark:{name}/{fold}/scores.ark")
    return name


def refused(result, *words):
    assert all(word in result.err for word in words), result.err
    assert result.err.count("\n") == 1 and result.out == b""


def test_a_network_that_was_trained_on_its_test(lab):
    feats, lists = normalise(lab, "one"), folds(lab, "folds1")
    # Trained by folds in which two takes have changed places, scored by the true ones.
    swapped = {"Ses01F-ang0": "2", "Ses02F-ang0": "1"}
    true = dict(line.split() for line in Path(lists[1]).read_text().splitlines())
    write_list("swapped", true | swapped)
    experiment(lab, "leaky", feats, *lists, spoil="swapped")
    refused(lab("score-loso", *lists, "leaky", code=1), "leaky/1/scores.ark: test segment Ses01F-ang0 in its training")
    text = lab("score-loso", "--i-know", "true", "--json", "leaky/results.json", *lists, "leaky").text
    assert text.splitlines()[0].endswith("] LEAKY")
    told = json.loads(Path("leaky/results.json").read_text())["leaks"]
    # The segment, and for the two folds its speaker and its session.
    assert [line.split(" ", 1)[1].split(" in ")[0] for line in told[:3]] == [
        "test segment Ses01F-ang0", "test speaker Ses01F", "test session Ses01"]  # fmt: skip


def test_sessions_on_both_sides_of_a_loso_scheme_are_refused(lab):
    feats, lists, stratified = normalise(lab, "two"), folds(lab, "loso"), folds(lab, "dealt", "--scheme", "stratified",
                                                                               "--num-folds", 3)  # fmt: skip
    experiment(lab, "dependent", feats, *stratified)
    head = lab("score-loso", *stratified, "dependent").text.splitlines()[0]
    assert head.endswith("] SPEAKER-DEPENDENT") and "LEAKY" not in head
    # The same scores under folds that promise more than they kept.
    refused(lab("score-loso", *lists, "dependent", code=1), "was scored by fold")


def test_dialogs_normalised_together_are_stamped_to_the_report(lab, undrawn):
    feats, lists = normalise(lab, "grouped", "--utt2group", "data/utt2dialog"), folds(lab, "exp/trans/folds")
    experiment(lab, "exp/trans", feats, *lists)
    text = lab("score-loso", "--json", "exp/trans/results.json", *lists, "exp/trans").text
    assert text.splitlines()[0].endswith("] TRANSDUCTIVE")
    lab("make-report", "--cards", "false", "--verbose", 0, "exp/trans", "out")
    page = Path("out/report.md").read_text()
    titles = [line for line in page.splitlines() if line.startswith("**")]
    assert len(titles) > 5 and all("[TRANSDUCTIVE]" in title for title in titles)
    assert page.splitlines()[0].endswith("[TRANSDUCTIVE]")


CELEBRITIES = [f"id1000{s}-vid{v}-0000{n}" for s in (1, 2) for v in "ab" for n in (1, 2)]


def embeddings(trained_on):
    rng = np.random.default_rng(1)
    settings = {"trained_on": trained_on}
    with table_writer("ark,scp:e.ark,e.scp", kind="vector", settings=settings) as write:
        for key in CELEBRITIES:
            write(key, rng.normal(size=8).astype(np.float32))
    pairs = [(int(a[:7] == b[:7]), a, b) for a in CELEBRITIES for b in CELEBRITIES if a < b]
    file = "{} {}.wav {}.wav\n"
    rows = (file.format(kind, *(name.replace("-", "/") for name in pair)) for kind, *pair in pairs)
    Path("list_test_hard2.txt").write_text("".join(rows))


@pytest.mark.parametrize(
    ("trained_on", "message"),
    [
        # VoxCeleb1-H by a network of VoxCeleb1's dev set: other recordings of the same people.
        ({"keys": ["id10001-other-00001"], "labels": {"id10001": 1}}, "e.scp: test speaker id10001 in its training"),
        # Of so many that only its speakers are known.
        ({"speakers": ["id00012", "id10002"]}, "e.scp: test speaker id10002 in its training"),
        # Tuned on something else afterwards.
        (
            {"keys": ["mine"], "init": {"speakers": ["id10001", "id10002"]}},
            "the network it was initialised from had test speaker id10001 and 1 more in its training",
        ),
    ],
)
def test_speakers_of_the_training_are_refused_as_trials(lab, trained_on, message):
    embeddings(trained_on)
    refused(lab("score-trials", "list_test_hard2.txt", "scp:e.scp", code=1), message)
    known = lab("score-trials", "--i-know", "true", "list_test_hard2.txt", "scp:e.scp")
    assert known.text.endswith("] LEAKY\n")


def test_celebrities_whom_it_does_not_know_are_trials(lab):
    embeddings({"keys": ["id00012-vid-00001"], "labels": {"id00012": 1}, "init": {"speakers": ["103"]}})
    assert "LEAKY" not in lab("score-trials", "list_test_hard2.txt", "scp:e.scp").text


def test_a_speaker_networks_labels_are_its_speakers(lab):
    embeddings({"keys": ["103-1240-0001"], "labels": {"id10001": 4}})
    write_list("utt2spk", {key: key[:7] for key in CELEBRITIES})
    result = lab("score-trials", "--utt2spk", "utt2spk", "list_test_hard2.txt", "scp:e.scp", code=1)
    refused(result, "test speaker id10001 in its training")
