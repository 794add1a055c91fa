"""Repaired folders: what is left out is reported, what is written is valid."""

import pytest
from datafolder import UTTERANCES, content, edit, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.datadir.fix import fix
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
    report = "\n".join(fix(folder))
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
    assert fix(folder) == [] and content(folder) == before and not (folder / ".backup").exists()


def test_fixing_twice_keeps_both_backups(here):
    folder = make("data")
    edit(folder / "text", lambda lines: lines[1:])
    fix(folder)
    edit(folder / "text", lambda lines: lines[1:])
    fix(folder)
    assert len((folder / ".backup/utt2spk").read_text().splitlines()) == 12
    assert len((folder / ".backup.2/utt2spk").read_text().splitlines()) == 11


def test_fixing_makes_order_and_spk2utt(here):
    folder = make("data", spk2utt=None)
    for name in ("utt2spk", "text"):
        edit(folder / name, lambda lines: lines[::-1] + lines[:1])
    fix(folder)
    assert list(problems(folder)) == [] and kaldi_accepts(folder)


def test_a_recording_that_no_segment_needs_is_dropped_and_said(here):
    folder = make("data", ["spk0-utt0", "spk0-utt1"],
                  **{"wav.scp": "r r.wav\ns s.wav\n", "segments": "spk0-utt0 r 0 1\nspk0-utt1 q 0 1\n"})  # fmt: skip
    report = "\n".join(fix(folder))
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
        fix(folder)
    assert content(folder) == before and not (folder / ".backup").exists()
