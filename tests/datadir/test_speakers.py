"""Speakers, and the persons behind perturbed copies."""

from sertk.datadir.speakers import people, read_speakers, recordings


def test_speakers_are_known_unless_each_segment_has_its_own(tmp_path):
    path = tmp_path / "utt2spk"
    assert read_speakers(path) == {}
    path.write_text("a a\nb b\n")
    assert read_speakers(path) == {}
    path.write_text("a a\nb c\n")
    assert read_speakers(path) == {"a": "a", "b": "c"}
    path.write_text("a a\n")  # one segment alone says nothing about the others
    assert read_speakers(path) == {"a": "a"}


def test_copies_have_the_recording_and_person_of_their_original():
    utt2spk = {"u": "anna", "sp0.9-u": "sp0.9-anna", "u-noise": "anna", "z": "z"}
    assert recordings(utt2spk) == {"u": "u", "sp0.9-u": "u", "u-noise": "u", "z": "z"}
    assert people(utt2spk) == {"u": "anna", "sp0.9-u": "anna", "u-noise": "anna", "z": "z"}
    assert recordings(utt2spk, {"z": "sp1.1-u"})["z"] == "u" and people(utt2spk, {"z": "u"})["z"] == "anna"
