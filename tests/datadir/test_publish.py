"""Folders that are there already: only the files that are written change, and a kill leaves what a rerun puts right."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from datafolder import UTTERANCES, content, edit, kaldi_accepts, make

from sertk.datadir.checks import problems
from sertk.datadir.combine import combine
from sertk.datadir.publish import STAGE, publish_files
from sertk.datadir.subset import subset
from sertk.errors import SertkError


def everything(folder):
    """Path to content of all that a folder holds, links as what they point at."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_symlink() or path.is_file())
    return {str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes() for path in files}


def strangers(folder):
    """Put into a folder what is none of ours to touch; gives its content."""
    folder.mkdir(exist_ok=True)
    texts = {"feats/feats.1.ark": "ark", "log/x.log": "log", "noise.scp": "n n.wav\n", "README": "mine", "wav.scp.old": "old",
             "utt2spk.tmp": "tmp", "utt2snr": "spk0-utt0 3\n", ".hidden": "h", "ctm": "x", "small.tmp/a": "a"}  # fmt: skip
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to("nowhere")
    return everything(folder)


def test_files_that_are_left_are_deleted(here):
    Path("out").mkdir()
    for name in ("a", "left", "mine"):
        Path("out", name).write_text("old")
    with pytest.raises(SertkError, match="Is a directory"):
        Path("out/b").mkdir()
        publish_files("out", {"a": b"new", "b": b"new"}, {"left": None})
    Path("out/b").rmdir()
    assert everything("out") == dict.fromkeys(["out/a", "out/left", "out/mine"], b"old")
    publish_files("out", {"a": b"new"}, {"left": None})
    assert everything("out") == {"out/a": b"new", "out/mine": b"old"}


CALLS = {
    "subset": lambda out: subset("data", out, "first", 5),
    "combine": lambda out: combine(["data", "other"], out),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_folder_that_is_there_keeps_all_else(here, name):
    """Written twice, and over what was another data folder."""
    make("data", UTTERANCES[:6])
    make("other", UTTERANCES[6:])
    for _ in range(2):
        before = strangers(Path("out"))
        CALLS[name]("out")
        assert before.items() <= everything("out").items() and kaldi_accepts_lists("out")
        assert list(problems("out")) == []
        assert not (here / "out" / STAGE).exists()


def kaldi_accepts_lists(folder):
    copy = Path("copy")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("utt2spk", "spk2utt", "wav.scp", "text", "utt2dur", "utt2num_frames", "spk2gender"):
        shutil.copy(Path(folder, name), copy)
    return kaldi_accepts(copy)


def test_features_of_the_same_recordings_stay(here):
    """make_feats.sh has put feats.scp into the subset; the data stage is run again."""
    make("data")
    subset("data", "out", "first", 2)
    Path("out/feats.scp").write_text("spk0-utt0 f.ark:1\nspk0-utt1 f.ark:9\n")
    assert subset("data", "out", "first", 2)[1] == [] and Path("out/feats.scp").exists()
    # Other recordings under the same keys: the features are not theirs.
    edit(Path("data/wav.scp"), lambda lines: [line.replace("a  b", "c") for line in lines])
    _, told = subset("data", "out", "first", 2)
    assert told == ["out/feats.scp: does not match the new lists, moved to out/.backup"]
    assert Path("out/.backup/feats.scp").exists() and not Path("out/feats.scp").exists()


def test_lists_of_other_utterances_are_moved_away(here):
    make("data", utt2dialog=None)
    make("out", UTTERANCES[6:], SIMULATED="yes\n", utt2lang="".join(f"{key} de\n" for key in UTTERANCES[6:]))
    before = content("out")
    _, told = subset("data", "out", "first", 2)
    assert list(problems("out")) == []
    assert told[:3] == [f"out/{name}: does not match the new lists, moved to out/.backup"
                        for name in ("SIMULATED", "utt2dialog", "utt2lang")]  # fmt: skip
    assert told[3] == "out: 6 utterances of its old lists are not in the new ones; the old lists are in out/.backup"
    assert before.items() <= (content("out/.backup") | {"utt2ours": before["utt2ours"]}).items()


def test_a_list_that_is_a_link_is_replaced_not_followed(here):
    """A folder of links to another's lists: what the links point at is not ours."""
    make("data")
    make("there", UTTERANCES[6:])
    Path("out").mkdir()
    for path in Path("there").iterdir():
        Path("out", path.name).symlink_to(Path("..", "there", path.name))
    before = everything("there")
    subset("data", "out", "first", 2)
    assert everything("there") == before and not Path("out/utt2spk").is_symlink()


def test_links_to_folders_are_followed(here):
    make("data")
    Path("real").mkdir()
    Path("out").symlink_to("real")
    subset("data", "out", "first", 2)
    assert Path("out").is_symlink() and list(problems("real")) == []
    Path("same").symlink_to("data")
    with pytest.raises(SertkError, match="same: cannot be read and written at once"):
        subset("data", "same", "first", 2)


def test_what_cannot_be_written_is_one_line_and_changes_nothing(here):
    make("data")
    Path("file").write_text("x")
    Path("blocked/text").mkdir(parents=True)
    for out, says in (("file", "file: cannot be written: Not a directory"), ("file/below", "Not a directory"),
                      ("blocked", "blocked/text: cannot be written: Is a directory")):  # fmt: skip
        before = everything(".")
        with pytest.raises(SertkError, match=says):
            subset("data", out, "first", 2)
        assert everything(".") == before and Path("blocked/text").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_one_line(here):
    make("data")
    Path("out").mkdir(mode=0o555)
    with pytest.raises(SertkError, match=r"out/.*: cannot be written: Permission denied"):
        subset("data", "out", "first", 2)


def test_a_subset_that_would_not_be_valid_is_not_written(here):
    make("data", ["spk0-utt0"], **{"wav.scp": "r r.wav\n", "segments": "spk0-utt0 r 0 -1\n"})
    with pytest.raises(SertkError, match=r"out/segments: key spk0-utt0: .* -1: .*nothing was written"):
        subset("data", "out", "first", 1)
    assert not Path("out").exists()


def in_a_child_killed_at(step, run):
    """Run in a fork that ends at the given call of mkdir, rename, fsync or unlink; True where it came to its end."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    count = 0

    def wrapped(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step:
                os._exit(9)
            return function(*args, **kwargs)

        return call

    for name in ("mkdir", "rename", "unlink", "fsync", "rmdir"):
        setattr(os, name, wrapped(getattr(os, name)))
    Path.rename = wrapped(Path.rename)
    try:
        run()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_is_put_right_by_a_rerun(here, monkeypatch, stride):
    """Between any two calls, the undoing of a killed run among them; what lies there meanwhile is old, new, or no folder."""
    make("data", UTTERANCES[:3], utt2dialog=None)
    make("old", UTTERANCES[3:5], PARTIAL="1 of 2\n")
    strangers(Path("old"))

    def run():
        subset("data", "out", "first", 2)

    shutil.copytree("old", "out", symlinks=True)
    run()
    new, before = content("out"), content("old")
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # killed, not unplugged
    for step in range(1, 400, stride):
        shutil.rmtree("out")
        shutil.copytree("old", "out", symlinks=True)
        done = in_a_child_killed_at(step, run)
        found = content("out")
        assert "utt2spk" not in found or found == before or found.items() >= new.items(), step
        if step % 2:
            in_a_child_killed_at(step // 3 + 1, run)
        run()
        assert content("out") == new and not Path("out", STAGE).exists(), step
        assert (Path("out/feats/feats.1.ark").read_text(), Path("out/link").is_symlink()) == ("ark", True)
        if done:
            break
    assert 40 < step < 399


def test_a_killed_run_is_told_of_where_its_folder_is_read(here):
    make("data")
    Path("out", STAGE).mkdir(parents=True)
    assert list(problems("out")) == [
        "out: not a data folder: it has no utt2spk (the program that wrote it was killed: rerun it)"
    ]


def test_two_that_write_one_folder_are_kept_apart(here):
    make("data")
    fd = os.open(here / "data", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(SertkError, match="another process is writing"):
        publish_files("data", {"utt2spk": b""})
    os.close(fd)
