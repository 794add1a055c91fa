"""What a scheme holds out, and who is who in a test set's corpus."""

from sertk.scoring.corpus import Corpus, held_apart


def test_a_schemes_promise_is_what_is_held_apart():
    assert held_apart({"scheme": "loso"}) == ("speaker", "session")
    assert held_apart({"scheme": "speaker"}) == ("speaker",)
    assert held_apart({"scheme": "stratified"}) == held_apart({}) == ()


def test_copies_are_their_recording_and_their_person():
    utt2spk = {"u1": "anna", "sp0.9-u2": "sp0.9-ben", "kaldi7": "kaldi-x"}
    corpus = Corpus(utt2spk, {"speaker": utt2spk, "recording": {"kaldi7": "u1"}})
    assert corpus.recordings == {"u1": "u1", "u2": "sp0.9-u2"} and corpus.people == {"anna", "ben"}
    assert [corpus.recording(key) for key in ("u1-noise", "kaldi7", "u2", "v")] == ["u1", "u1", "u2", None]
    assert corpus.group("speaker", "u2") == "ben" and corpus.group("speaker", "v") is None
