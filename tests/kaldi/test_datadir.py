"""Data folders: what is wrong is listed, what is dropped is said, what is written is valid."""

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi import dataedit
from sertk.kaldi.datachecks import problems
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.tables import table_writer

UTTERANCES = [f"spk{s}-utt{u}" for s in range(4) for u in range(3)]


def make(folder, utterances=UTTERANCES, **more) -> Path:
    """A valid folder with every list that we know; more: other lists, {name: text or None}."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    speakers = sorted({utterance.split("-")[0] for utterance in utterances})
    lists = {
        "wav.scp": {utterance: f'sox "a  b/{utterance}.wav" -t wav - |' for utterance in utterances},
        "utt2spk": {utterance: utterance.split("-")[0] for utterance in utterances},
        "spk2utt": {s: " ".join(u for u in utterances if u.startswith(s)) for s in speakers},
        "utt2label": {utterance: "neu" for utterance in utterances},
        "utt2session": {utterance: "Ses01" for utterance in utterances},
        "utt2dialog": {utterance: "d1" for utterance in utterances},
        "utt2dur": {utterance: "1.5" for utterance in utterances},
        "utt2num_frames": {utterance: "7" for utterance in utterances},
        "text": {utterance: "hello  there" for utterance in utterances},
        "utt2ours": {utterance: "of our own" for utterance in utterances},
        "spk2gender": {speaker: "f" for speaker in speakers},
    }
    texts = {name: "".join(f"{key} {value}\n" for key, value in values.items()) for name, values in lists.items()}
    for name, text in (texts | more).items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def content(folder):
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir()) if path.is_file()}


def edit(path, function):
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in function(lines)))


def kaldi_accepts(folder):
    """The rules of Kaldi's validate_data_dir.sh, written anew from its text: order, uniqueness, one set of utterances."""
    lists = {name: [line.split(" ", 1) for line in text.splitlines()] for name, text in content(folder).items()}
    utterances = [key for key, _ in lists["utt2spk"]]
    assert utterances
    for name, lines in lists.items():
        keys = [key for key, _ in lines]
        assert keys == sorted(set(keys), key=str.encode), name
        if (name.startswith("utt2") or name in ("text", "feats.scp", "segments")) or (
            name == "wav.scp" and "segments" not in lists
        ):
            assert keys == utterances, name
    by_speaker = sorted(lists["utt2spk"], key=lambda line: (line[1].encode(), line[0].encode()))
    assert by_speaker == lists["utt2spk"]
    inverse = {}
    for utterance, speaker in lists["utt2spk"]:
        inverse.setdefault(speaker, []).append(utterance)
    assert [[speaker, " ".join(found)] for speaker, found in sorted(inverse.items())] == lists["spk2utt"]
    if "segments" in lists:
        recordings = {line.split()[0] for _, line in lists["segments"]}
        assert recordings == {key for key, _ in lists["wav.scp"]}
    for name in lists:
        if name.startswith("spk2"):
            assert [key for key, _ in lists[name]] == sorted(inverse)
    return True


def test_a_good_folder_has_no_problems(here):
    make("data")
    assert list(problems("data")) == [] and kaldi_accepts("data")


BREAKS = {
    "a third column": ("utt2spk", lambda lines: [lines[0] + " x", *lines[1:]], r"utt2spk:1: 3 columns where 2"),
    "one column": ("utt2label", lambda lines: ["spk0-utt0", *lines[1:]], r"utt2label:1: 1 columns where 2"),
    "an empty line": ("utt2session", lambda lines: ["", *lines], r"utt2session:1: 0 columns"),
    "a duplicate": ("utt2dialog", lambda lines: [lines[0], *lines], r"utt2dialog:2: key spk0-utt0 comes twice"),
    "no order": ("text", lambda lines: lines[::-1], r"text:2: key spk3-utt1 comes after spk3-utt2: not in LC_ALL=C"),
    "one missing": ("utt2label", lambda lines: lines[1:], r"utt2label: utterance spk0-utt0 is missing"),
    "one too many": ("utt2dur", lambda lines: [*lines, "spk9-utt0 1"], r"utt2dur: utterance spk9-utt0 is not in utt2spk"),
    "one missing of ours": ("utt2ours", lambda lines: lines[1:], r"utt2ours: utterance spk0-utt0 is missing"),
    "no wav": ("wav.scp", lambda lines: lines[1:], r"wav\.scp: utterance spk0-utt0 is missing"),
    "a negative duration": ("utt2dur", lambda lines: ["spk0-utt0 -1", *lines[1:]], r"'-1' is no positive number"),
    "a duration of nan": ("utt2dur", lambda lines: ["spk0-utt0 nan", *lines[1:]], r"'nan' is no positive number"),
    "frames in halves": ("utt2num_frames", lambda lines: ["spk0-utt0 1.5", *lines[1:]], r"'1.5' is no positive number"),
    "a third gender": ("spk2gender", lambda lines: ["spk0 x", *lines[1:]], r"'x' is neither m nor f"),
    "a speaker missing": ("spk2gender", lambda lines: lines[1:], r"spk2gender: speaker spk0 is missing"),
    "another speaker": ("spk2utt", lambda lines: lines[1:], r"spk2utt: utterance spk0-utt0 is missing"),
    "a wrong speaker": ("spk2utt", lambda lines: [lines[0] + " spk1-utt0", *lines[1:]], r"spk2utt: utterance spk1-utt0 "),
    "no prefix": ("utt2spk", lambda lines: ["spk0-utt0 bob", *lines[1:]], r"speaker bob is not a prefix of utterance"),
    "nothing": ("utt2label", lambda lines: [], r"utt2label: has no usable line"),
    "windows": ("utt2label", lambda lines: [lines[0] + "\r", *lines[1:]], r"utt2label:1: .*CR LF"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_listed_with_file_and_key(here, name):
    folder = make("data")
    file, change, message = BREAKS[name]
    edit(folder / file, change)
    found = list(problems(folder))
    assert any(re.search(message, line) for line in found), found
    assert all("\n" not in line and str(folder) in line for line in found)


@pytest.mark.parametrize(
    "lines, message",
    [(["spk0-utt0 r 1 0"], "are no times in order"), (["spk0-utt0 r -1 1"], "no times"), (["spk0-utt0 r 0 nan"], "no times"),
     (["spk0-utt0 r 0 x"], "no times"), (["spk0-utt0 r 0"], "3 columns where 4"),
     (["spk0-utt0 gone 0 1"], "recording gone is missing")],
)  # fmt: skip
def test_bad_segments_are_listed(here, lines, message):
    folder = make("data", ["spk0-utt0"], **{"wav.scp": "r r.wav\n", "segments": "\n".join(lines) + "\n"})
    assert any(message in line for line in problems(folder))


def test_a_recording_without_a_segment_is_listed_as_kaldi_does(here):
    folder = make("data", ["spk0-utt0"], **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\n"})
    assert list(problems(folder)) == ["data/wav.scp: recording s is not in segments"]


def test_a_folder_without_its_first_list_is_none(here):
    assert "cannot be read" in next(problems("gone"))
    Path("empty").mkdir()
    assert list(problems("empty")) == ["empty: no data folder: it has no utt2spk"]
    make("data", **{"wav.scp": None, "spk2utt": None})
    assert {"data: has neither wav.scp nor feats.scp", "data: has no spk2utt"} == set(problems("data"))


def test_verification_reads_the_tables(here):
    folder = make("data", UTTERANCES[:2], **{"wav.scp": "spk0-utt0 a.wav\nspk0-utt1 sox x |\n"})
    with table_writer("ark,scp:x.ark,data/feats.scp") as write:
        for utterance in UTTERANCES[:2]:
            write(utterance, np.ones((7, 2), np.float32))
    assert list(problems(folder, verify=True)) == ["data/wav.scp: key spk0-utt0: a.wav is not there"]
    (here / "a.wav").touch()
    assert list(problems(folder, verify=True)) == []
    edit(folder / "utt2num_frames", lambda lines: [lines[0][:-1] + "8", lines[1]])
    assert list(problems(folder, verify=True)) == ["data/utt2num_frames: key spk0-utt0: says 8, feats.scp has 7 frames"]
    data = bytearray((here / "x.ark").read_bytes())
    data[-1] ^= 1
    (here / "x.ark").write_bytes(data)
    assert any("x.ark: is damaged" in line for line in problems(folder, verify=True))


def test_fixing_keeps_what_all_lists_have_and_says_what_it_drops(here):
    folder = make("data")
    before = content(folder)
    edit(folder / "utt2label", lambda lines: lines[2:][::-1])
    edit(folder / "wav.scp", lambda lines: lines[:-1])
    edit(folder / "utt2session", lambda lines: [lines[0], "spk0-utt1 too many words", *lines[2:]])
    edit(folder / "text", lambda lines: [*lines, "spk9-utt0 hello"])
    broken = content(folder)
    report = "\n".join(dataedit.fix(folder))
    assert list(problems(folder)) == [] and kaldi_accepts(folder)
    assert DataDir.load(folder).utterances == UTTERANCES[2:-1]
    for message in ("2 utterances of utt2spk are not in utt2label", "1 utterances of utt2spk are not in wav.scp",
                    "utt2session:2: 4 columns where 2 are wanted: left out", "1 utterances of text are not in utt2spk",
                    "kept 9 of 12 utterances"):  # fmt: skip
        assert message in report
    assert content(folder / ".backup") == broken
    assert 'sox "a  b/' in (folder / "wav.scp").read_text()
    assert before["utt2ours"].splitlines()[2:-1] == (folder / "utt2ours").read_text().splitlines()


def test_fixing_a_good_folder_changes_nothing(here):
    folder = make("data")
    before = content(folder)
    assert dataedit.fix(folder) == [] and content(folder) == before and not (folder / ".backup").exists()


def test_fixing_twice_keeps_both_backups(here):
    folder = make("data")
    edit(folder / "text", lambda lines: lines[1:])
    dataedit.fix(folder)
    edit(folder / "text", lambda lines: lines[1:])
    dataedit.fix(folder)
    assert len((folder / ".backup/utt2spk").read_text().splitlines()) == 12
    assert len((folder / ".backup.2/utt2spk").read_text().splitlines()) == 11


def test_fixing_makes_order_and_spk2utt(here):
    folder = make("data", spk2utt=None)
    for name in ("utt2spk", "text"):
        edit(folder / name, lambda lines: lines[::-1] + lines[:1])
    dataedit.fix(folder)
    assert list(problems(folder)) == [] and kaldi_accepts(folder)


def test_a_recording_that_no_segment_needs_is_dropped_and_said(here):
    folder = make("data", ["spk0-utt0", "spk0-utt1"],
                  **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\nspk0-utt1 q 0 1\n"})  # fmt: skip
    report = "\n".join(dataedit.fix(folder))
    assert (
        "1 utterances of utt2spk are not in wav.scp" in report and "1 lines of wav.scp belong to no utterance" in report
    )
    assert (folder / "wav.scp").read_text() == "r r.wav\n" and kaldi_accepts(folder)


@pytest.mark.parametrize("change", [lambda lines: [], lambda lines: ["x neu"], lambda lines: [*lines, "spk0-utt0 ang"]])
def test_what_cannot_be_fixed_stays_as_it_is(here, change):
    folder = make("data")
    edit(folder / "utt2label", change)
    before = content(folder)
    with pytest.raises(SertkError, match="nothing was changed"):
        dataedit.fix(folder)
    assert content(folder) == before and not (folder / ".backup").exists()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_splitting_keeps_speakers_whole_and_loses_no_utterance(here, number):
    folder = make("data")
    place = dataedit.split(folder, number)
    assert place == folder / f"split{number}"
    parts = [DataDir.load(place / str(part)) for part in range(1, number + 1)]
    assert sorted(utterance for part in parts for utterance in part.utterances) == UTTERANCES
    speakers = [speaker for part in parts for speaker in sorted(set(part.speaker_of.values()))]
    assert speakers == sorted(set(speakers))
    sizes = [len(part.utterances) for part in parts]
    assert max(sizes) - min(sizes) <= 3
    for part in range(1, number + 1):
        assert list(problems(place / str(part))) == [] and kaldi_accepts(place / str(part))
        assert set(content(place / str(part))) == set(content(folder))


def test_splitting_uneven_speakers_is_as_even_as_can_be(here):
    utterances = [f"a-{i}" for i in range(8)] + ["b-0", "c-0", "d-0", "e-0"]
    place = dataedit.split(make("data", utterances), 3)
    assert [len(DataDir.load(place / str(part)).utterances) for part in (1, 2, 3)] == [8, 2, 2]


def test_splitting_by_utterance_makes_even_parts(here):
    place = dataedit.split(make("data"), 5, per_utt=True)
    assert place.name == "split5utt"
    assert [len(DataDir.load(place / str(part)).utterances) for part in range(1, 6)] in (
        [2, 3, 2, 3, 2],
        [2, 2, 3, 2, 3],
        [3, 2, 2, 2, 3],
    )
    assert all(kaldi_accepts(place / str(part)) for part in range(1, 6))


def test_more_parts_than_speakers_are_an_error_and_the_old_split_stays(here):
    folder = make("data")
    dataedit.split(folder, 4)
    with pytest.raises(SertkError, match="4 speakers cannot be split into 5 parts"):
        dataedit.split(folder, 5)
    dataedit.split(folder, 4)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split4"]


def test_a_split_again_leaves_nothing_of_the_first(here):
    folder = make("data")
    dataedit.split(folder, 2)
    (folder / "utt2ours").unlink()
    dataedit.split(folder, 2)
    assert not (folder / "split2/1/utt2ours").exists()


def test_a_subset_has_all_lists_of_its_utterances(here):
    folder = make("data")
    found = dataedit.subset(folder, "small", lambda data: dataedit.chosen(data, per_spk=1))
    assert found.utterances == [f"spk{s}-utt0" for s in range(4)]
    assert kaldi_accepts("small") and set(content("small")) == set(content(folder))


def test_a_subset_of_recordings_takes_only_what_its_segments_need(here):
    folder = make("data", ["spk0-utt0", "spk0-utt1"],
                  **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\nspk0-utt1 s 0 1\n",
                     "reco2dur": "r 1\ns 1\n"})  # fmt: skip
    dataedit.subset(folder, "small", lambda data: dataedit.chosen(data, first=1))
    assert content("small")["wav.scp"] == "r r.wav\n" and content("small")["reco2dur"] == "r 1\n"


def test_a_name_that_a_folder_does_not_have_is_an_error_with_file_and_line(here):
    folder = make("data")
    Path("list").write_text("spk0-utt0\nx\n")
    with pytest.raises(SertkError, match="list:2: data has no utterance x"):
        dataedit.subset(folder, "small", lambda data: dataedit.chosen(data, utt_list="list"))
    with pytest.raises(SertkError, match=r"list:1: data has no speaker spk0-utt0|list:2: data has no speaker x"):
        dataedit.subset(folder, "small", lambda data: dataedit.chosen(data, spk_list="list"))
    assert not Path("small").exists()


def test_a_folder_is_not_written_over_while_it_is_read(here):
    folder = make("data")
    with pytest.raises(SertkError, match="is read and written at once"):
        dataedit.subset(folder, "data/../data", lambda data: data.utterances)
    with pytest.raises(SertkError, match="is read and written at once"):
        dataedit.combine([folder], folder)


def test_combining_the_parts_of_a_split_gives_the_folder_back(here):
    folder = make("data")
    place = dataedit.split(folder, 3)
    found, left_out = dataedit.combine([place / "3", place / "1", place / "2"], "all")
    assert content("all") == content(folder) and not left_out and found.utterances == UTTERANCES


def test_a_list_that_one_folder_lacks_is_left_out_and_named(here):
    make("a", UTTERANCES[:3])
    make("b", UTTERANCES[3:], utt2label=None)
    _, left_out = dataedit.combine(["a", "b"], "c")
    assert left_out == ["utt2label"] and kaldi_accepts("c")


def test_segments_are_made_for_a_folder_that_has_none(here):
    make("a", UTTERANCES[:1], **{"wav.scp": "r r.wav\n", "segments": "spk0-utt0 r 0 1\n"})
    make("b", UTTERANCES[3:4])
    dataedit.combine(["a", "b"], "c")
    assert (here / "c/segments").read_text() == "spk0-utt0 r 0 1\nspk1-utt0 spk1-utt0 0 1.5\n" and kaldi_accepts("c")
    (here / "b/utt2dur").unlink()
    with pytest.raises(SertkError, match="utt2dur would be needed"):
        dataedit.combine(["a", "b"], "c")


def test_an_utterance_in_two_folders_is_an_error(here):
    make("a", UTTERANCES[:3])
    make("b", UTTERANCES[2:5])
    with pytest.raises(SertkError, match=r"b/.*: key spk0-utt2 is in another of the folders too"):
        dataedit.combine(["a", "b"], "c")
    assert not Path("c").exists()


def test_a_failing_write_leaves_the_old_folder(here, monkeypatch):
    folder = make("data")
    dataedit.split(folder, 2)
    before = content(folder / "split2/1")
    edit(folder / "utt2label", lambda lines: [line.replace("neu", "ang") for line in lines])
    for turn in range(60):
        count = -1

        def fail(fd, turn=turn):
            nonlocal count
            count += 1
            if count == turn:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", fail)
        try:
            dataedit.split(folder, 2)
        except SertkError as error:
            assert "No space left" in str(error) and content(folder / "split2/1") == before
            assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split2"]
        else:
            break
    assert 20 < turn < 59 and "ang" in (folder / "split2/1/utt2label").read_text()


def test_a_kill_between_two_renames_of_folders_is_put_right(here):
    folder = make("data")
    dataedit.split(folder, 2)
    (folder / "split2").rename(folder / "split2.old")
    shutil.copytree(folder / "split2.old", folder / "split2.tmp")
    dataedit.split(folder, 2)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split2"]


def test_a_hundred_thousand_utterances_are_checked_in_seconds(here):
    utterances = [f"spk{i // 5000:04}-utt{i:06}" for i in range(100_000)]
    folder = make("data", utterances, text=None, utt2ours=None, utt2dialog=None, spk2utt=None, spk2gender=None)
    start = time.process_time()
    assert list(problems(folder)) == ["data: has no spk2utt"]
    assert time.process_time() - start < 20
