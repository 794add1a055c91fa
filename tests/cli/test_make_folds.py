"""make-folds as a user calls it."""

import json

import pytest

from sertk.datadir.lists import read_list


@pytest.fixture
def data(tmp_path):
    """Three sessions of two speakers; 'xxx' is a label that an experiment would leave out."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [
        (
            f"Ses0{session}{who}-{kind}_{label}{n}",
            label,
            f"Ses0{session}{who}",
            f"Ses0{session}",
            f"Ses0{session}F_{kind}",
        )
        for session in (1, 2, 3)
        for who in "FM"
        for kind in ("impro01", "script02_1")
        for label in ("neu", "exc", "hap", "xxx")
        for n in (0, 1)
    ]
    for column, name in enumerate(("utt2label", "utt2spk", "utt2session", "utt2dialog"), 1):
        (folder / name).write_text("".join(f"{row[0]} {row[column]}\n" for row in rows))
    (tmp_path / "labels.exp3").write_text("exc hap\nhap hap\nneu neu\n")
    return folder


def test_the_label_map_merges_leaves_out_and_orders(call, data, tmp_path):
    result = call("make-folds", "--label-map", tmp_path / "labels.exp3", data, tmp_path / "folds")
    folds = tmp_path / "folds"
    assert (folds / "labels.txt").read_text() == "hap\nneu\n"
    assert set(read_list(folds / "utt2label").values()) == {"hap", "neu"}
    assert len(read_list(folds / "utt2label")) == 72
    assert {fold for utt, fold in read_list(folds / "utt2fold").items() if utt.startswith("Ses02")} == {"2"}
    assert "make-folds: fold 1: 16 hap, 8 neu" in result.err
    assert "Done 72, left out 24" in result.err and "make-folds: labels left out: 24 " in result.err
    assert "WARNING" not in result.err
    assert result.out == b""


def test_a_label_of_the_map_that_no_segment_has_is_named(call, data, tmp_path):
    """It is misspelt, or the corpus is not the one that the map was written for."""
    (tmp_path / "map").write_text("hap hap\nhappy hap\nneu neu\n")
    err = call("make-folds", "--label-map", tmp_path / "map", data, tmp_path / "folds").err
    assert f"make-folds: WARNING: {tmp_path}/map: no segment is labelled happy\n" in err


def test_the_scheme_is_kept_with_counts_groups_and_stamps(call, data, tmp_path):
    (data / "SIMULATED").write_text("")
    call("make-folds", "--label-map", tmp_path / "labels.exp3", data, tmp_path / "folds")
    scheme = json.loads((tmp_path / "folds" / "scheme.json").read_text())
    assert scheme["scheme"] == "loso" and scheme["speaker_independent"] is True
    assert scheme["counts"]["3"] == {"hap": 16, "neu": 8}
    assert scheme["held_out"] == {"1": ["Ses01"], "2": ["Ses02"], "3": ["Ses03"]}
    for name in ("utt2spk", "utt2session"):  # whole, for the leak guard
        assert read_list(tmp_path / "folds" / name) == read_list(data / name)
    assert scheme["label_map"] == {"exc": "hap", "hap": "hap", "neu": "neu"}
    assert scheme["stamps"] == ["SIMULATED"]


def test_stratified_folds_follow_the_seed_and_are_stamped(call, data, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("make-folds", "--scheme", "stratified", "--num-folds", 4, "--seed", seed, data, tmp_path / name)
    assert (tmp_path / "a" / "utt2fold").read_bytes() == (tmp_path / "b" / "utt2fold").read_bytes()
    assert (tmp_path / "a" / "utt2fold").read_bytes() != (tmp_path / "c" / "utt2fold").read_bytes()
    scheme = json.loads((tmp_path / "a" / "scheme.json").read_text())
    assert scheme["speaker_independent"] is False and scheme["seed"] == 1 and len(scheme["counts"]) == 4


def test_speaker_folds_are_one_a_speaker(call, data, tmp_path):
    call("make-folds", "--scheme", "speaker", data, tmp_path / "folds")
    assert set(read_list(tmp_path / "folds" / "utt2fold").values()) == set("123456")


def test_a_part_keeps_its_dialogs_only(call, data, tmp_path):
    call("make-folds", "--part", "scripted", data, tmp_path / "folds")
    utts = read_list(tmp_path / "folds" / "utt2fold")
    assert len(utts) == 48 and all("script" in utt for utt in utts)


def test_the_scripts_that_training_and_test_share_are_told(call, data, tmp_path):
    result = call("make-folds", data, tmp_path / "folds")
    assert "fold 1: 16 scripted, 16 of them of scripts that its training has too" in result.err
    assert json.loads((tmp_path / "folds" / "scheme.json").read_text())["scripts"]["3"] == {
        "scripted": 16,
        "shared": 16,
    }


def test_read_sentences_are_scripts_too(call, data, tmp_path):
    sentences = {utt: utt[-4:] for utt in read_list(data / "utt2label")}  # exc0, …; the last of them said once only
    last = list(sentences)[-1]
    sentences[last] = "unheard"
    (data / "utt2script").write_text("".join(f"{utt} {sentence}\n" for utt, sentence in sentences.items()))
    call("make-folds", data, tmp_path / "folds")
    found = json.loads((tmp_path / "folds" / "scheme.json").read_text())["scripts"]
    assert found == {"1": {"scripted": 32, "shared": 32}, "2": {"scripted": 32, "shared": 32},
                     "3": {"scripted": 32, "shared": 31}}  # fmt: skip


def drop(data, name, key=None):
    path = data / name
    if key is None:
        path.unlink()
    else:
        path.write_text("".join(line for line in path.open() if not line.startswith(key)))


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (lambda data: drop(data, "utt2label"), [], "utt2label: cannot be read"),
        (lambda data: drop(data, "utt2session"), [], "scheme loso needs utt2session, which the data folder"),
        (lambda data: drop(data, "utt2session", "Ses02M-impro01_exc1"), [], "has a label and no session in utt2session"),
        (lambda data: drop(data, "utt2dialog"), ["--part", "scripted"], "utt2dialog: cannot be read"),
        (lambda data: (data / "utt2label").open("a").write("Ses01F-x neu\nSes01F-x neu\n"), [], "comes twice"),
        (lambda data: None, ["--num-folds", "5"], "3 sessions give 3 folds, not 5"),
        (lambda data: (data / "map").write_text("sad sad\nneu neu\n"), ["--label-map", "{}/map"], "the label 'sad'"),
        (lambda data: (data / "map").write_text("neu\n"), ["--label-map", "{}/map"], "map:1: 1 columns, expected 2"),
        (lambda data: None, ["--label-map", "{}/none"], "none: cannot be read"),
        (lambda data: (data / "utt2spk").write_text(
            (data / "utt2spk").read_text().replace("exc0 Ses03M", "exc0 Ses01M")),
         [], "speaker Ses01M is in sessions Ses01 and Ses03"),
    ],
)  # fmt: skip
def test_bad_data_is_one_line_and_writes_nothing(call, data, tmp_path, damage, options, message):
    damage(data)
    result = call("make-folds", *[word.format(data) for word in options], data, tmp_path / "folds", code=1)
    assert message in result.err
    assert result.err.startswith("make-folds: ERROR: ") and result.err.count("\n") == 1
    assert not (tmp_path / "folds").exists()


def test_an_unknown_scheme_is_misuse(call, data, tmp_path):
    assert "--scheme" in call("make-folds", "--scheme", "random", data, tmp_path / "folds", code=2).err


@pytest.mark.parametrize("uniq", [False, True])
@pytest.mark.parametrize("scheme", ["loso", "speaker", "stratified"])
def test_perturbed_copies_follow_their_original(call, data, tmp_path, scheme, uniq):
    """By Kaldi's names (perturb_data_dir_speed.sh), or by its utt2uniq whatever they are called."""
    before, affix = read_list(data / "utt2label"), "tempo7" if uniq else "sp0.9-"
    for name in ("utt2label", "utt2spk", "utt2session", "utt2dialog"):
        values = read_list(data / name)
        prefix = affix if name in ("utt2spk", "utt2session") and (scheme != "loso" or not uniq) else ""
        values |= {affix + utt: prefix + value for utt, value in values.items()}
        (data / name).write_text("".join(f"{utt} {values[utt]}\n" for utt in sorted(values)))
    if uniq:
        (data / "utt2uniq").write_text("".join(f"{affix}{utt} {utt}\n" for utt in before))
    result = call("make-folds", "--scheme", scheme, data, tmp_path / "folds")
    folds = read_list(tmp_path / "folds" / "utt2fold")
    assert all(folds[utt] == folds[affix + utt] for utt in before) and len(folds) == 2 * len(before)
    assert len(set(folds.values())) == {"loso": 3, "speaker": 6, "stratified": 5}[scheme]
    assert f"{len(before)} segments are perturbed copies of others" in result.err


def test_groups_of_speakers_have_men_and_women(call, data, tmp_path):
    speakers = sorted(set(read_list(data / "utt2spk").values()))
    (data / "spk2gender").write_text("".join(f"{speaker} {speaker[-1].lower()}\n" for speaker in speakers))
    call("make-folds", "--scheme", "speaker", "--num-folds", 3, data, tmp_path / "folds")
    scheme = json.loads((tmp_path / "folds" / "scheme.json").read_text())
    assert scheme["speaker_independent"] is True
    assert [sorted(name[-1] for name in group) for group in scheme["held_out"].values()] == [["F", "M"]] * 3


def test_unknown_speakers_cannot_be_held_out(call, data, tmp_path):
    (data / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in read_list(data / "utt2label")))
    result = call("make-folds", "--scheme", "speaker", data, tmp_path / "folds", code=1)
    assert result.err == f"make-folds: ERROR: {data}/utt2spk: the speakers are unknown: each utterance is its own\n"


def test_given_splits_that_share_speakers_are_stamped(call, data, tmp_path):
    """As EmoBox's folds: no error, but the results say SPEAKER-DEPENDENT."""
    utts = list(read_list(data / "utt2label"))
    (data / "utt2split").write_text("".join(f"{utt} {n % 2 + 1}\n" for n, utt in enumerate(utts)))
    call("make-folds", "--scheme", "given", data, tmp_path / "folds")
    assert json.loads((tmp_path / "folds" / "scheme.json").read_text())["speaker_independent"] is False
    call("make-folds", "--scheme", "given", "--splits", data / "utt2session", data, tmp_path / "folds")
    assert json.loads((tmp_path / "folds" / "scheme.json").read_text())["held_out"]["3"] == ["Ses03"]
