"""The data folder of a report."""

from sertk.report.data import Data


def test_segments_of_longer_recordings_are_cut_out_to_be_heard(experiments, root, tmp_path):
    key, wav = experiments[0].test.keys[0], root / "data" / "tone.wav"
    (tmp_path / "wav.scp").write_text(f"long {wav}\nother {wav}.missing\n")
    (tmp_path / "segments").write_text(f"{key} long 0.05 0.15\nelse other 0 1\n")
    with Data(tmp_path) as data:
        sound = data.sounds([key])[key]
    assert len(sound) == 44 + 2 * 1600
    (tmp_path / "utt2perturb").write_text(f"{key} speed=0.5\n")
    with Data(tmp_path) as data:
        assert len(data.sounds([key])[key]) == 44 + 2 * 3200
