"""Data folders: what is wrong is listed, each with file and key."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from datafolder import UTTERANCES, edit, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.kaldi.tables import table_writer


def test_a_good_folder_has_no_problems(here):
    make("data")
    assert list(problems("data")) == [] and kaldi_accepts("data")


BREAKS = {
    "a third column": ("utt2spk", lambda lines: [lines[0] + " x", *lines[1:]], r"utt2spk:1: 3 columns, expected 2"),
    "one column": ("utt2label", lambda lines: ["spk0-utt0", *lines[1:]], r"utt2label:1: 1 columns, expected 2"),
    "an empty line": ("utt2session", lambda lines: ["", *lines], r"utt2session:1: 0 columns"),
    "a duplicate": ("utt2dialog", lambda lines: [lines[0], *lines], r"utt2dialog:2: key spk0-utt0 comes twice"),
    "no order": ("text", lambda lines: lines[::-1], r"text:2: key spk3-utt1 comes after spk3-utt2: not in LC_ALL=C"),
    "one missing": ("utt2label", lambda lines: lines[1:], r"utt2label: utterance spk0-utt0 is missing"),
    "one too many": ("utt2dur", lambda lines: [*lines, "spk9-utt0 1"], r"utt2dur: utterance spk9-utt0 is not in utt2spk"),
    "one missing of ours": ("utt2session", lambda lines: lines[1:], r"utt2session: utterance spk0-utt0 is missing"),
    "no wav": ("wav.scp", lambda lines: lines[1:], r"wav\.scp: utterance spk0-utt0 is missing"),
    "a negative duration": ("utt2dur", lambda lines: ["spk0-utt0 -1", *lines[1:]], r"'-1' is not a positive number"),
    "a duration of nan": ("utt2dur", lambda lines: ["spk0-utt0 nan", *lines[1:]], r"'nan' is not a positive number"),
    "frames in halves": ("utt2num_frames", lambda lines: ["spk0-utt0 1.5", *lines[1:]], r"'1.5' is not a positive whole number"),
    "a third gender": ("spk2gender", lambda lines: ["spk0 x", *lines[1:]], r"'x' is neither m nor f"),
    "a speaker missing": ("spk2gender", lambda lines: lines[1:], r"spk2gender: speaker spk0 is missing"),
    "another speaker": ("spk2utt", lambda lines: lines[1:], r"spk2utt: utterance spk0-utt0 is missing"),
    "a wrong speaker": ("spk2utt", lambda lines: [lines[0] + " spk1-utt0", *lines[1:]], r"spk2utt: utterance spk1-utt0 "),
    "speakers in another order": ("utt2spk", lambda lines: ["spk0-utt0 zoe", *lines[1:]], r"sorted by speaker the order"),
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
    [(["spk0-utt0 r 1 0"], "are not times in order"), (["spk0-utt0 r -1 1"], "not times"), (["spk0-utt0 r 0 nan"], "not times"),
     (["spk0-utt0 r 0 x"], "not times"), (["spk0-utt0 r 0"], "3 columns, expected 4"),
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
    assert list(problems("empty")) == ["empty: not a data folder: it has no utt2spk"]
    make("data", **{"wav.scp": None, "spk2utt": None})
    assert {"data: has neither wav.scp nor feats.scp", "data: has no spk2utt"} == set(problems("data"))


def test_verification_reads_the_tables(here):
    folder = make("data", UTTERANCES[:2], **{"wav.scp": "spk0-utt0 a.wav\nspk0-utt1 sox x |\n"})
    with table_writer("ark,scp:x.ark,data/feats.scp") as write:
        for utterance in UTTERANCES[:2]:
            write(utterance, np.ones((7, 2), np.float32))
    assert list(problems(folder, verify=True)) == ["data/wav.scp: key spk0-utt0: a.wav does not exist"]
    (here / "a.wav").touch()
    assert list(problems(folder, verify=True)) == []
    edit(folder / "utt2num_frames", lambda lines: [lines[0][:-1] + "8", lines[1]])
    assert list(problems(folder, verify=True)) == ["data/utt2num_frames: key spk0-utt0: 8, feats.scp has 7 frames"]
    data = bytearray((here / "x.ark").read_bytes())
    data[-1] ^= 1
    (here / "x.ark").write_bytes(data)
    assert any("x.ark: is damaged" in line for line in problems(folder, verify=True))


def test_thirty_thousand_utterances_are_checked_in_seconds(here):
    utterances = [f"spk{i // 5000:04}-utt{i:06}" for i in range(30_000)]
    folder = make("data", utterances, text=None, utt2ours=None, utt2dialog=None, spk2utt=None, spk2gender=None)
    start = time.process_time()
    assert list(problems(folder)) == ["data: has no spk2utt"]
    assert time.process_time() - start < 6
