"""Recordings in folders."""

import pytest

from sertk.errors import SertkError
from sertk.frontend.audiofolders import recordings_in


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path):
    """In sorted order, whatever the case of the suffix; hidden files, folders and other files of a folder are not."""
    for name in ("b/2.WAV", "b/1.flac", "b/.hidden.wav", "b/notes.txt", "b/c/3.mp3", "b/d.wav/4.ogg", "speech.raw"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = recordings_in((tmp_path / "speech.raw", tmp_path / "b"))
    names = ["speech.raw", "b/1.flac", "b/2.WAV", "b/c/3.mp3", "b/d.wav/4.ogg"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == names


def test_what_has_no_recordings_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SertkError, match="no recordings in this folder"):
        list(recordings_in((tmp_path,)))
    with pytest.raises(SertkError, match="nowhere: no such file or folder"):
        list(recordings_in((tmp_path / "nowhere",)))
