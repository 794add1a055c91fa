"""The data folder binaries as a user calls them."""

import pytest


def make(folder, utterances=("a-1", "a-2", "b-1", "b-2"), label="neu"):
    folder.mkdir()
    spk = {utterance: utterance[0] for utterance in utterances}
    (folder / "wav.scp").write_text("".join(f"{utterance} {utterance}.wav\n" for utterance in utterances))
    (folder / "utt2spk").write_text("".join(f"{utterance} {spk[utterance]}\n" for utterance in utterances))
    (folder / "utt2label").write_text("".join(f"{utterance} {label}\n" for utterance in utterances))
    inverse = {speaker: " ".join(u for u in utterances if spk[u] == speaker) for speaker in spk.values()}
    (folder / "spk2utt").write_text("".join(f"{speaker} {found}\n" for speaker, found in inverse.items()))
    return folder


def test_a_valid_folder_passes_and_stdout_stays_empty(call, tmp_path):
    result = call("validate-data", make(tmp_path / "data"))
    assert result.out == b"" and "valid" in result.err


def test_problems_are_listed_up_to_the_limit_and_fail(call, tmp_path):
    folder = make(tmp_path / "data")
    (folder / "utt2label").write_text("x neu\n")
    result = call("validate-data", folder, code=1)
    assert len(result.text.splitlines()) == 5 and f"validate-data: ERROR: {folder}: 5 problems\n" in result.err
    result = call("validate-data", "--limit", "2", folder, code=1)
    assert len(result.text.splitlines()) == 2 and "5 problems, 2 of them listed" in result.err


def test_verification_is_asked_for(call, tmp_path):
    folder = make(tmp_path / "data")
    assert "a-1.wav is not there" in call("validate-data", "--verify", "true", folder, code=1).text


@pytest.mark.parametrize("args, code", [(["gone"], 1), (["--verify", "maybe", "data"], 2), (["--limit", "0", "data"], 2),
                                        (["data", "x"], 2), (["--nothing", "data"], 2)])  # fmt: skip
def test_wrong_calls_end_in_one_line(call, tmp_path, monkeypatch, args, code):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data")
    result = call("validate-data", *args, code=code)
    assert result.err.startswith("validate-data: ERROR: ") and result.err.count("\n") == 1
