"""prepare-manifest as a user calls it: from a table to a data folder."""

from sertk.datadir.lists import read_list


def test_a_table_becomes_a_valid_folder(call, box):
    result = call("prepare-manifest", "corpus.csv", "data/corpus")
    assert "files at 16000 Hz: 6" in result.err and "Done 6 (3 speakers, 2 labels), left out 0" in result.err
    call("validate-data", "data/corpus")
    assert read_list("data/corpus/utt2label")["Ses1F-ang"] == "ang"


def test_what_is_not_used_of_a_table_is_said(call, box):
    lines = (box / "corpus.csv").read_text().splitlines()
    ends = [",mood,age", ",good,20"] + [",,"] * len(lines[2:])
    (box / "corpus.csv").write_text("\n".join(map(str.__add__, lines, ends)))
    err = call("prepare-manifest", "corpus.csv", "data/corpus").err
    assert "prepare-manifest: ignored columns: mood\n" in err
    assert "prepare-manifest: WARNING: no utt2age: 5 of 6 rows have no age\n" in err


def test_rows_that_do_not_fit_stop_it_or_stamp_it(call, box):
    (box / "corpus.csv").write_text((box / "corpus.csv").read_text() + "missing.wav,x,ang\nwav/all/Ses1F-sad.wav,x,\n")
    result = call("prepare-manifest", "corpus.csv", "data/corpus", code=1)
    assert "corpus.csv:8: " in result.err and "corpus.csv:9: wav/all/Ses1F-sad.wav: no label" in result.err
    assert "ERROR: corpus.csv: not the whole corpus: corpus.csv:8: " in result.err
    assert not (box / "data/corpus").exists()
    call("prepare-manifest", "--allow-partial", "true", "corpus.csv", "data/corpus")
    assert len((box / "data/corpus/PARTIAL").read_text().splitlines()) == 2
    assert len(read_list("data/corpus/utt2spk")) == 6


def test_wrong_options_are_misuse(call, box):
    assert "no such field 'mood'" in call("prepare-manifest", "--columns", "mood=x", "corpus.csv", "d", code=2).err
    assert "is not NAME=VALUE" in call("prepare-manifest", "--columns", "file", "corpus.csv", "d", code=2).err
    assert "not a regular expression" in call("prepare-manifest", "--speaker-from", "(", "corpus.csv", "d", code=2).err
