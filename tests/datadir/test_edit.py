"""Data folders: what is dropped is said, what is written is valid."""

from pathlib import Path

import pytest
from datafolder import UTTERANCES, content, edit, kaldi_accepts, make

from sertk.datadir import edit as dataedit
from sertk.datadir.checks import problems
from sertk.datadir.folder import DataDir
from sertk.errors import SertkError


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
                    "utt2session:2: 4 columns, expected 2: left out", "1 utterances of text are not in utt2spk",
                    "kept 9 of 12 utterances"):  # fmt: skip
        assert message in report
    assert content(folder / ".backup") | {"utt2ours": broken["utt2ours"]} == broken
    assert 'sox "a  b/' in (folder / "wav.scp").read_text()
    assert before["utt2ours"] == (folder / "utt2ours").read_text()  # what is not known is left alone


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
    place, _ = dataedit.split(folder, number)
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
    place, _ = dataedit.split(make("data", utterances), 3)
    assert [len(DataDir.load(place / str(part)).utterances) for part in (1, 2, 3)] == [8, 2, 2]


def test_splitting_by_utterance_makes_even_parts(here):
    place, _ = dataedit.split(make("data"), 5, per_utt=True)
    assert place.name == "split5utt"
    assert [len(DataDir.load(place / str(part)).utterances) for part in range(1, 6)] in (
        [2, 3, 2, 3, 2],
        [2, 2, 3, 2, 3],
        [3, 2, 2, 2, 3],
    )
    assert all(kaldi_accepts(place / str(part)) for part in range(1, 6))


def test_too_many_parts_are_refused_and_the_old_split_stays(here):
    folder = make("data")
    dataedit.split(folder, 4)
    with pytest.raises(SertkError, match="4 speakers cannot be split into 5 parts"):
        dataedit.split(folder, 5)
    dataedit.split(folder, 4)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split4"]


def test_a_split_again_has_no_list_of_the_first(here):
    folder = make("data")
    dataedit.split(folder, 2)
    (folder / "utt2dur").unlink()
    (folder / "split2/1/mine").write_text("mine")
    _, told = dataedit.split(folder, 2)
    assert not (folder / "split2/1/utt2dur").exists() and (folder / "split2/1/.backup/utt2dur").exists()
    assert (
        told[0] == "data/split2/1/utt2dur: does not match the new lists, moved to data/split2/1/.backup"
        and len(told) == 2
    )
    assert (folder / "split2/1/mine").read_text() == "mine"


def test_a_subset_has_all_lists_of_its_utterances(here):
    folder = make("data")
    found = dataedit.subset(folder, "small", "per-spk", 1)[0]
    assert found.utterances == [f"spk{s}-utt0" for s in range(4)]
    assert kaldi_accepts("small") and set(content("small")) == set(content(folder))


def test_subset_has_only_the_recordings_of_its_segments(here):
    folder = make("data", ["spk0-utt0", "spk0-utt1"],
                  **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\nspk0-utt1 s 0 1\n",
                     "reco2dur": "r 1\ns 1\n"})  # fmt: skip
    dataedit.subset(folder, "small", "first", 1)
    assert content("small")["wav.scp"] == "r r.wav\n" and content("small")["reco2dur"] == "r 1\n"


def test_names_that_a_folder_does_not_have_are_told(here):
    """filter_scp.pl passes over them without a word."""
    folder = make("data")
    Path("list").write_text("spk0-utt0\nx\n")
    found, told = dataedit.subset(folder, "small", "utt-list", names_from="list")
    assert found.utterances == ["spk0-utt0"] and told == ["list: 1 of 2 utterances are not in data: x, …"]
    with pytest.raises(SertkError, match="list: data has none of its 2 speakers: spk0-utt0"):
        dataedit.subset(folder, "other", "spk-list", names_from="list")
    assert not Path("other").exists()


def test_a_folder_is_not_written_over_while_it_is_read(here):
    folder = make("data")
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        dataedit.subset(folder, "data/../data", "first", 1)
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        dataedit.combine([folder], folder)


def test_combining_the_parts_of_a_split_gives_the_folder_back(here):
    folder = make("data")
    place, _ = dataedit.split(folder, 3)
    found, told = dataedit.combine([place / "3", place / "1", place / "2"], "all")
    assert content("all") == content(folder) and not told and found.utterances == UTTERANCES


def test_a_list_that_one_folder_lacks_is_left_out_and_named(here):
    make("a", UTTERANCES[:3])
    make("b", UTTERANCES[3:], utt2label=None)
    _, told = dataedit.combine(["a", "b"], "c")
    assert told == ["utt2label: left out, since not every folder has it"] and kaldi_accepts("c")


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


def test_stamps_go_along(here):
    """Into subsets and parts; what is put together of stamped and unstamped is stamped."""
    make("a", UTTERANCES[:6], SIMULATED="simulated speech\n", PARTIAL="3 of 9\n", frame_shift="0.01\n")
    make("b", UTTERANCES[6:], PARTIAL="3 of 9\n2 of 4\n")
    dataedit.subset("a", "small", "first", 2)
    dataedit.split("a", 2)
    dataedit.combine(["b", "a"], "all")
    edit(Path("a/text"), lambda lines: lines[1:])
    dataedit.fix("a")
    for folder in ("a", "small", "a/split2/1", "a/split2/2"):
        found = content(folder)
        assert (found["SIMULATED"], found["PARTIAL"], found["frame_shift"]) == (
            "simulated speech\n",
            "3 of 9\n",
            "0.01\n",
        )
    assert (content("all")["SIMULATED"], content("all")["PARTIAL"]) == ("simulated speech\n", "3 of 9\n2 of 4\n")


def test_features_of_different_frame_shifts_are_not_put_together(here):
    for name, utterances, shift in (("a", UTTERANCES[:6], "0.01\n"), ("b", UTTERANCES[6:], "0.02\n")):
        make(name, utterances, frame_shift=shift, **{"feats.scp": "".join(f"{key} f.ark:1\n" for key in utterances)})
    with pytest.raises(SertkError, match="a and b have different frame shifts"):
        dataedit.combine(["a", "b"], "c")


def test_utt2uniq_is_made_where_a_folder_has_none(here):
    """As combine_data.sh does."""
    make("a", UTTERANCES[:1], utt2uniq=f"{UTTERANCES[0]} x\n")
    make("b", UTTERANCES[3:4])
    dataedit.combine(["a", "b"], "c")
    assert Path("c/utt2uniq").read_text() == f"{UTTERANCES[0]} x\n{UTTERANCES[3]} {UTTERANCES[3]}\n"
