import pytest


def write(folder, **lists):
    folder.mkdir()
    for name, text in lists.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_a_broken_folder_is_put_right_and_the_loss_is_said(call, tmp_path):
    folder = write(
        tmp_path / "data", utt2spk="b-1 b\na-1 a\na-2 a\n", wav_scp="a-1 1\nb-1 3\n", utt2label="b-1 x\na-1 y\na-2 z\n"
    )
    result = call("fix-data", folder)
    assert "WARNING: 1 utterances of utt2spk are not in wav.scp: left out" in result.err and "kept 2 of 3" in result.err
    assert (folder / "utt2label").read_text() == "a-1 y\nb-1 x\n" and (
        folder / "spk2utt"
    ).read_text() == "a a-1\nb b-1\n"
    assert (folder / ".backup/utt2spk").read_text() == "b-1 b\na-1 a\na-2 a\n"
    call("validate-data", folder)
    assert "WARNING" not in call("fix-data", folder).err


def test_what_remains_wrong_is_an_error(call, tmp_path):
    folder = write(tmp_path / "data", utt2spk="a-1 bob\nb-1 ann\n", wav_scp="a-1 1\nb-1 1\n")
    assert "sorted by speaker the order is another" in call("fix-data", folder, code=1).err


@pytest.mark.parametrize("args, code", [(["gone"], 1), (["empty"], 1), (["data", "more"], 2), (["disjoint"], 1)])
def test_wrong_calls_end_in_one_line(call, tmp_path, monkeypatch, args, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "disjoint", utt2spk="a a\n", wav_scp="b b\n")
    result = call("fix-data", *args, code=code)
    assert result.err.startswith("fix-data: ERROR: ") and result.err.count("\n") == 1
