"""score-loso: what the headline says of folds, epochs and leaks."""

import json

import pytest
from experiment import Experiment, score

from sertk.kaldi.tables import read_table, table_writer


@pytest.fixture
def made(tmp_path):
    return Experiment(tmp_path)


def test_stamps_stand_in_the_headline_and_in_the_json(call, made, tmp_path):
    scheme = tmp_path / "folds" / "scheme.json"
    scheme.write_text(scheme.read_text().replace('"stamps": []', '"stamps": ["SIMULATED"]'))
    made.write()
    text = score(call, made, "--stamp", "PARTIAL", "--stamp", "SIMULATED", "--json", tmp_path / "r.json").text
    assert text.splitlines()[0].endswith("] PARTIAL SIMULATED")
    assert json.loads((tmp_path / "r.json").read_text())["stamps"] == ["PARTIAL", "SIMULATED"]


def test_shared_scripts_are_told(call, made, tmp_path):
    scheme = tmp_path / "folds" / "scheme.json"
    found = json.loads(scheme.read_text()) | {
        "scripts": {"1": {"scripted": 6, "shared": 3}, "2": {"scripted": 2, "shared": 1}}
    }
    scheme.write_text(json.dumps(found))
    made.write()
    assert "\n8 scripted segments, with a script that is also in the training data: 50.00 %\n" in score(call, made).text


def test_stratified_folds_are_stamped_speaker_dependent(call, tmp_path):
    made = Experiment(tmp_path, scheme="stratified")
    made.write()
    head = score(call, made).text.splitlines()[0]
    assert "stratified" in head and head.endswith("] SPEAKER-DEPENDENT")


def test_folds_made_by_hand_are_what_their_utt2spk_makes_them(call, made, tmp_path):
    made.write()
    (tmp_path / "folds" / "scheme.json").unlink()
    head = score(call, made).text.splitlines()[0]
    assert head.endswith("folds made by hand, speaker-independent ]")
    # A copy of one fold's segment in another fold: the speaker is on both sides, whatever the copy is called.
    spoiled = tmp_path / "folds" / "utt2spk"
    old = spoiled.read_text()
    spoiled.write_text(old.replace("Ses02F-ang0 Ses02F", "Ses02F-ang0 sp0.9-Ses01F"))
    result = score(call, made, "--json", tmp_path / "r.json")
    assert result.text.splitlines()[0].endswith("folds made by hand ] SPEAKER-DEPENDENT")
    assert json.loads((tmp_path / "r.json").read_text())["speaker_independent"] is False
    spoiled.unlink()
    result = score(call, made)
    assert result.text.splitlines()[0].endswith("folds of unknown scheme, leaks unchecked ] UNKNOWN-SCHEME")
    assert "the speaker of 18 test segments is not known" in result.err


def test_a_scheme_that_its_folds_contradict_is_refused(call, made, tmp_path):
    made.write()
    lists = (tmp_path / "folds" / "utt2spk").read_text()
    (tmp_path / "folds" / "utt2spk").write_text(lists.replace("Ses02F-ang0 Ses02F", "Ses02F-ang0 sp0.9-Ses01F"))
    head = score(call, made).text.splitlines()[0]
    assert "speaker-independent" not in head and head.endswith("] SPEAKER-DEPENDENT")


def test_scores_written_again_are_not_checked_for_leaks(call, made, tmp_path):
    """Other posteriors are moved over those of a fold: its manifest says nothing of them."""
    made.write()
    scores = tmp_path / "exp/2/scores.ark"
    entries = list(read_table(f"ark:{scores}", kind="vector"))
    with table_writer(f"ark:{tmp_path}/new.ark", kind="vector") as write:
        for key, values in entries:
            write(key, values[::-1].copy())
    (tmp_path / "new.ark").replace(scores)
    result = score(call, made)
    assert "leaks unchecked" in result.text.splitlines()[0]
    assert "exp/2/scores.manifest does not match" in result.err


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (lambda said: said["keys"].append("Ses02F-ang0"), "test segment Ses02F-ang0 in its training"),
        (lambda said: said["speakers"].append("Ses02M"), "test speaker Ses02M in its training"),
        (lambda said: said["sessions"].append("Ses02"), "test session Ses02 in its training"),
        (lambda said: said["keys"].append("Ses02M-xxx9"), "test speaker Ses02M in its training"),
        (
            lambda said: said.update(trunk={"keys": ["Ses02M-xxx9"]}),
            "the network it was initialised from had test speaker Ses02M",
        ),
        (
            lambda said: said.update(init={"keys": ["x", "Ses02F-ang0"]}),
            "the network it was initialised from had test segment Ses02F-ang0",
        ),
        (
            lambda said: said.update(init={"keys": ["x"], "init": {"keys": ["Ses02F-ang0"]}}),
            "the network it was initialised from had test",
        ),
    ],
)
def test_leaks_are_refused_and_shown_stamped_to_who_knows(call, made, tmp_path, leak, message):
    for name, value in (("utt2spk", "Ses02M"), ("utt2session", "Ses02")):  # a segment whose label no fold has
        with (tmp_path / "folds" / name).open("a") as file:
            file.write(f"Ses02M-xxx9 {value}\n")
    leak(made.settings[2]["trained_on"])
    made.write()
    result = score(call, made, code=1)
    assert message in result.err and "2/scores.ark" in result.err and result.err.count("\n") == 1
    known = score(call, made, "--i-know", "true", "--json", tmp_path / "r.json")
    assert known.text.splitlines()[0].endswith("] LEAKY")
    assert message in json.loads((tmp_path / "r.json").read_text())["leaks"][0]


def test_shared_speakers_are_no_leak_if_the_scheme_shares_them(call, tmp_path):
    made = Experiment(tmp_path, scheme="stratified")
    made.write()
    assert "LEAKY" not in score(call, made).text


def test_another_corpus_may_call_its_speakers_the_same(call, made):
    made.settings[2]["trained_on"]["init"] = {"keys": ["libri-1"], "speakers": ["Ses02F"]}
    made.write()
    text = score(call, made).text
    assert "LEAKY" not in text and "with the names of test speakers (Ses02F)" in text.splitlines()[1]


def test_selection_and_normalisation_on_the_test_are_stamped(call, made):
    made.settings[1]["trained_on"]["select"] = "oracle"
    made.settings[1]["frontend"] = {"cmvn": "group", "transductive": True}
    made.write()
    assert score(call, made).text.splitlines()[0].endswith("] LEAKY TRANSDUCTIVE")


@pytest.mark.parametrize(
    ("rules", "select", "words"),
    [
        (("last", "last", "last"), "last", "speaker-independent ]"),
        (("dev-session",) * 3, "dev-session", "speaker-independent, epoch by dev-session ]"),
        (("last", "oracle", "last"), "last, oracle", "epoch by last, oracle ] LEAKY"),
        ((None, None, None), None, "speaker-independent ]"),
    ],
)
def test_how_the_epochs_were_chosen_is_said(call, made, tmp_path, rules, select, words):
    for fold, rule in enumerate(rules, 1):
        said = made.settings[fold]["trained_on"]
        said.pop("select") if rule is None else said.update(select=rule)
    made.write()
    text = score(call, made, "--json", tmp_path / "r.json").text
    assert json.loads((tmp_path / "r.json").read_text())["select"] == select
    assert text.splitlines()[0].endswith(words)
