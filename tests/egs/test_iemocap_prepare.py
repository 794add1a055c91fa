"""prepare_iemocap.py on small made-up folders in IEMOCAP's layout, with all the oddities of the real one."""

import hashlib
import json
import re
from collections import Counter
from itertools import count

import pytest
from support import ROOT

from sertk.datadir.lists import read_list

SCRIPT = "iemocap/local/prepare_iemocap.py"
GOLDEN = json.loads((ROOT / "egs/iemocap/local/golden.json").read_text())
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"

# A turn of the actor without markers in a dialog of the one with them; two-label, empty and bracketed votes; xxx; a
# class outside the five; free text with a byte that is no UTF-8 and one that broke into a line of its own.
IMPRO = (
    HEADER.encode()
    + b"""[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tFrustration; Other;\t(mildly [annoyed]; but staying polite)
C-E4:\t;\t()
C-F1:\tNeutral;\t(caf\xe9)
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 3; act 2; dom  ;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\texc\t[2.5000, 2.5000, 2.5000]
C-E2:\tExcited;\t(she is
really glad)
A-E3:\tval 4; act 4; dom  2;\t()

[14.8872 - 18.0175]\tSes01F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tAnger;\t()

[19.2900 - 20.7875]\tSes01F_impro01_M001\tfru\t[2.5000, 3.5000, 3.5000]
C-E2:\tFrustration;\t()
"""
)
SCRIPTED = HEADER + (
    "[1.0000 - 2.0000]\tSes05M_script01_1b_F003\tang\t[2.0000, 3.0000, 3.0000]\r\nC-E2:\tAnger;\t()\r\n\r\n"
)


def put(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def label_file(corpus, dialog):
    return corpus / f"Session{dialog[4]}" / "dialog" / "EmoEvaluation" / f"{dialog}.txt"


def wav(corpus, turn):
    return corpus / f"Session{turn[4]}" / "sentences" / "wav" / turn.rpartition("_")[0] / f"{turn}.wav"


@pytest.fixture
def corpus(tmp_path):
    """Two dialogs, in sessions 1 and 5, and what else lies in the real folders."""
    root = tmp_path / "IEMOCAP"
    put(label_file(root, "Ses01F_impro01"), IMPRO)
    put(label_file(root, "Ses05M_script01_1b"), SCRIPTED)
    folder = label_file(root, "Ses01F_impro01").parent
    put(folder / "._Ses01F_impro01.txt", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    put(folder / "Categorical" / "Ses01F_impro01_e2_cat.txt", "Ses01F_impro01_F000 :Neutral state; ()\n")
    put(folder / "Self-evaluation" / "Ses01F_impro01_f1_self.txt", "Ses01F_impro01_F000 :Anger; ()\n")
    for turn in re.findall(rb"Ses0\w+_[FM]\d{3}", IMPRO + SCRIPTED.encode()):
        put(wav(root, turn.decode()))
        put(wav(root, turn.decode()).with_name(f"._{turn.decode()}.wav"))
    return root


def test_the_maps_are_those_of_the_label_files(prepare, corpus, tmp_path):
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    utts = ["Ses01F-Ses01F_impro01_F000", "Ses01M-Ses01F_impro01_M000", "Ses05F-Ses05M_script01_1b_F003"]
    columns = {
        "utt2label": ["neu", "exc", "ang"],
        "utt2spk": ["Ses01F", "Ses01M", "Ses05F"],
        "utt2session": ["Ses01", "Ses01", "Ses05"],
        "utt2dialog": ["Ses01F_impro01", "Ses01F_impro01", "Ses05M_script01_1b"],
        "wav.scp": [str(wav(corpus, utt.partition("-")[2])) for utt in utts],
    }
    for name, values in columns.items():
        assert read_list(tmp_path / "data" / name) == dict(zip(utts, values, strict=True))
    assert (tmp_path / "data/spk2utt").read_text() == "".join(f"{utt[:6]} {utt}\n" for utt in utts)
    assert (tmp_path / "data/spk2gender").read_text() == "Ses01F f\nSes01M m\nSes05F f\n"
    assert (tmp_path / "data/SIMULATED").exists()
    assert not (tmp_path / "data/PARTIAL").exists()
    assert "3 segments (ang 1, hap 0, exc 1, neu 1, sad 0)" in result.err


def test_every_raters_labels_are_kept_by_the_majoritys_codes(prepare, corpus, tmp_path):
    prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    assert (tmp_path / "data/utt2votes").read_text().splitlines() == [
        "Ses01F-Ses01F_impro01_F000 E2=neu E3=fru,oth E4= F1=neu",
        "Ses01M-Ses01F_impro01_M000 E2=exc",
        "Ses05F-Ses05M_script01_1b_F003 E2=ang",
    ]


def test_a_line_of_free_text_is_told_and_passed_over(prepare, corpus, tmp_path):
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    assert f"{label_file(corpus, 'Ses01F_impro01')}:13: not a rater's line: really glad)" in result.err


def test_other_labels_are_kept_when_asked_for(prepare, corpus, tmp_path):
    prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true", "--labels", "xxx,fru")
    assert list(read_list(tmp_path / "data/utt2label").values()) == ["xxx", "fru"]
    assert "no such code: happy" in prepare(SCRIPT, corpus, tmp_path, "--labels", "happy", code=1).err


def test_transcriptions_become_text_when_every_turn_has_one(prepare, corpus, tmp_path):
    path = corpus / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    put(path, "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nSes01F_impro01_M000 [010.0100-011.3925]: Do you?\n")
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    assert "1 of 3 turns have no transcription" in result.err
    assert not (tmp_path / "data/text").exists()
    put(corpus / "Session5/dialog/transcriptions/Ses05M_script01_1b.txt",
        "F: [LAUGHTER]\nSes05M_script01_1b_F003 [001.0000-002.0000]: I  can't.\n")  # fmt: skip
    prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    assert list(read_list(tmp_path / "data/text", columns=None).values()) == ["Excuse me.", "Do you?", "I can't."]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1.0 - 2.0]\tSes02F_impro01_F000\tneu\n", "not a turn's line"),
        ("[1.0 - 2.0]\tSes02F_impro01_F000\thappy\t[1, 1, 1]\n", "has the unknown label happy"),
        ("[1.0 - 2.0]\tSes02F_impro02_F000\tneu\t[1, 1, 1]\n", "turn Ses02F_impro02_F000 is not one of dialog"),
        ("[1.0 - 2.0]\tSes02F_impro01_X000\tneu\t[1, 1, 1]\n", "turn Ses02F_impro01_X000 is not one of dialog"),
        ("1.0 - 2.0]\tSes02F_impro01_F000\tneu\t[1, 1, 1]\n", "neither a turn nor a rater's line"),
    ],
)
def test_a_broken_line_stops_and_names_file_and_line(prepare, corpus, tmp_path, line, message):
    path = label_file(corpus, "Ses02F_impro01")
    put(path, HEADER + line + "C-E2:\tNeutral;\t()\n")
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true", code=1)
    assert re.search(rf"WARNING: {path}:3: .*{message}", result.err)
    assert result.err.splitlines()[-1].startswith("prepare-iemocap: ERROR: ")
    assert not (tmp_path / "data").exists()


def test_a_turn_that_stands_twice_is_named_with_both_places(prepare, corpus, tmp_path):
    path = label_file(corpus, "Ses05M_script01_1b")
    put(path, SCRIPTED + SCRIPTED)
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true", code=1)
    assert f"{path}:8: turn Ses05M_script01_1b_F003 is also at {path}:3" in result.err


def test_missing_recordings_and_label_files_are_named(prepare, corpus, tmp_path):
    wav(corpus, "Ses01F_impro01_M000").unlink()
    put(wav(corpus, "Ses05F_impro02_F000"))
    result = prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true", code=1)
    assert f"{wav(corpus, 'Ses01F_impro01_M000')}: no such recording" in result.err
    assert f"{label_file(corpus, 'Ses05F_impro02')}: no such label file" in result.err
    assert result.err.splitlines()[-1].endswith(
        "and 1 more (--allow-partial true accepts it and marks the results PARTIAL)"
    )


def test_a_folder_that_is_not_the_corpus_is_one_line(prepare, tmp_path):
    result = prepare(SCRIPT, tmp_path, tmp_path / "data", code=1)
    assert result.err.splitlines() == [
        f"prepare-iemocap: ERROR: {tmp_path}: no Session1 to Session5 in it (expected: the folder that holds them)"
    ]


def test_partial_goes_on_only_when_allowed_and_says_so(prepare, corpus, tmp_path):
    result = prepare(SCRIPT, corpus, tmp_path / "data", code=1)
    assert "session 01, speaker Ses01F, neu: 1 turns, expected 171 (found in Ses01F_impro01 1)" in result.err
    assert "--allow-partial true accepts it" in result.err.splitlines()[-1]
    prepare(SCRIPT, corpus, tmp_path / "data", "--allow-partial", "true")
    stamp = (tmp_path / "data/PARTIAL").read_text()
    assert "speaker Ses05F, ang: 1 turns, expected 78 (found in Ses05M_script01_1b 1)" in stamp
    assert "2 dialogs, expected 151" in stamp
    assert f"{corpus}/Session2: no such folder" in stamp
    assert len(read_list(tmp_path / "data/utt2label")) == 3
    prepare(SCRIPT, corpus, tmp_path / "data", "--simulated", "true")
    assert not (tmp_path / "data/PARTIAL").exists()


def test_the_golden_table_adds_up_to_the_papers_counts():
    by_session, by_class = Counter(), Counter()
    for speaker, cells in GOLDEN["speakers"].items():
        by_session[speaker[:5]] += sum(cells.values())
        by_class.update(cells)
    assert list(by_session.values()) == [1085, 1023, 1151, 1031, 1241]
    assert by_class == {"ang": 1103, "hap": 595, "exc": 1041, "neu": 1708, "sad": 1084}
    assert by_class.items() <= GOLDEN["turns"].items()
    assert sum(GOLDEN["turns"].values()) == 10039


@pytest.fixture
def whole(tmp_path):
    """A made-up corpus with exactly the golden counts, and a golden.json with its own sha256."""
    root, number, numbers = tmp_path / "whole", count(), Counter()
    dialogs = [f"Ses0{1 + n % 5}{'FM'[n % 2]}_impro{n // 5 % 100:02d}" for n in range(GOLDEN["dialogs"])]
    wanted = [(speaker, label, n) for speaker, cells in GOLDEN["speakers"].items() for label, n in cells.items()]
    wanted += [
        ("Ses03F", label, n) for label, n in GOLDEN["turns"].items() if label not in GOLDEN["speakers"]["Ses01F"]
    ]
    lines, five = {dialog: [] for dialog in dialogs}, []
    for speaker, label, turns in wanted:
        own = [dialog for dialog in dialogs if dialog[:5] == speaker[:5]]
        for _ in range(turns):
            dialog = own[next(number) % len(own)]
            turn = f"{dialog}_{speaker[5]}{numbers[dialog, speaker]:03d}"
            numbers[dialog, speaker] += 1
            lines[dialog].append(f"[1.0 - 2.0]\t{turn}\t{label}\t[1, 1, 1]\nC-E1:\tOther;\t()\n\n")
            if label in GOLDEN["speakers"]["Ses01F"]:
                put(wav(root, turn))
                five.append(f"{turn} {label}\n")
    for dialog, turns in lines.items():
        put(label_file(root, dialog), HEADER + "".join(turns))
    golden = tmp_path / "golden.json"
    golden.write_text(json.dumps(GOLDEN | {"sha256": hashlib.sha256("".join(sorted(five)).encode()).hexdigest()}))
    return root, golden


def test_the_whole_corpus_passes_and_a_changed_label_does_not(prepare, whole, tmp_path):
    root, golden = whole
    result = prepare(SCRIPT, root, tmp_path / "data", GOLDEN=golden)
    assert "5531 segments (ang 1103, hap 595, exc 1041, neu 1708, sad 1084)" in result.err
    assert len(read_list(tmp_path / "data/wav.scp")) == 5531
    assert not (tmp_path / "data/PARTIAL").exists()

    result = prepare(SCRIPT, root, tmp_path / "other", code=1)
    assert "all counts agree, but turns and labels do not: sha256 " in result.err

    path = label_file(root, "Ses01F_impro00")
    changed = re.sub(r"(Ses01F_impro00_F\d+)\thap", r"\1\tneu", path.read_text(), count=1)
    path.write_text(changed)
    result = prepare(SCRIPT, root, tmp_path / "other", GOLDEN=golden, code=1)
    warnings = [line for line in result.err.splitlines() if "WARNING" in line]
    assert len(warnings) == 2
    assert "speaker Ses01F, hap: 68 turns, expected 69 (found in Ses01" in warnings[0]
    assert "speaker Ses01F, neu: 172 turns, expected 171 (found in Ses01" in warnings[1]
    assert "Ses01F_impro00" in warnings[1]
