"""cmvn-segment as a user runs it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT

from sertk.kaldi.tables import read_manifest, read_table, table_writer

SETTINGS = {"fbank": {"num-mel-bins": 8}, "cmvn": "none"}


def segment(i):
    return np.random.default_rng(i).normal(10 + i, 1 + i, (20 + 10 * i, 8)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with table_writer("ark,scp:f.ark,f.scp", settings=SETTINGS) as write:
        for i in range(4):
            write(f"u{i}", segment(i))
    return tmp_path


def test_every_segment_is_normalised_by_itself(folder, call):
    result = call("cmvn-segment", "--compress=none", "scp:f.scp", "ark,scp:n.ark,n.scp")
    assert result.err.strip() == "cmvn-segment: Done 4, skipped 0"
    for i, (key, feats) in enumerate(read_table("scp:n.scp")):
        wide = segment(i).astype(np.float64)
        assert key == f"u{i}"
        np.testing.assert_allclose(feats, (wide - wide.mean(0)) / wide.std(0), atol=1e-5)


def test_means_alone(folder, call):
    call("cmvn-segment", "--norm-vars=false", "--compress=none", "scp:f.scp", "ark,scp:n.ark,n.scp")
    for i, (_, feats) in enumerate(read_table("scp:n.scp")):
        np.testing.assert_allclose(feats, segment(i) - segment(i).mean(0), atol=1e-4)
    assert read_manifest("n.scp").settings["cmvn"] == "segment mean"


def test_the_settings_are_carried_over(folder, call):
    call("cmvn-segment", "scp:f.scp", "ark,scp:n.ark,n.scp")
    assert read_manifest("n.scp").settings == {"fbank": {"num-mel-bins": 8}, "cmvn": "segment"}


def test_a_table_written_again_by_another_tool_is_normalised(folder, call):
    """The manifest beside it says that it is; it was written for other content."""
    call("cmvn-segment", "scp:f.scp", "ark,scp:n.ark,n.scp")
    (folder / "n.ark").write_bytes((folder / "f.ark").read_bytes())
    result = call("cmvn-segment", "--compress=none", "ark:n.ark", "ark:again.ark")
    assert "WARNING: n.manifest does not match n.ark (overwritten?): ignored\n" in result.err
    assert read_manifest("ark:again.ark").settings == {"cmvn": "segment"}


def test_groups_are_normalised_together_and_marked_transductive(folder, call):
    (folder / "utt2dialog").write_text("u0 d1\nu1 d1\nu2 d2\nu3 d1\n")
    call("cmvn-segment", "--utt2group=utt2dialog", "--compress=none", "scp:f.scp", "ark,scp:n.ark,n.scp")
    found = dict(read_table("scp:n.scp"))
    together = np.concatenate([segment(i) for i in (0, 1, 3)]).astype(np.float64)
    expected = (together - together.mean(0)) / together.std(0)
    np.testing.assert_allclose(np.concatenate([found[f"u{i}"] for i in (0, 1, 3)]), expected, atol=1e-5)
    assert read_manifest("n.scp").settings == SETTINGS | {"cmvn": "group", "group": "utt2dialog", "transductive": True}


def test_segments_without_a_group_are_skipped_and_counted(folder, call):
    (folder / "utt2dialog").write_text("u0 d1\nu1 d1\nu2 d2\n")
    words = ["--utt2group=utt2dialog", "scp:f.scp", "ark,scp:n.ark,n.scp"]
    result = call("cmvn-segment", "--max-skip=0.3", *words)
    assert "skipped u3: not in utt2dialog" in result.err and "Done 3, skipped 1" in result.err
    assert "--max-skip" in call("cmvn-segment", *words, code=1).err


def test_statistics_of_a_group_come_from_the_enrolled_alone(folder, call):
    """A group without one is skipped; the manifest names the list, and the results stay TRANSDUCTIVE."""
    (folder / "utt2spk").write_text("u0 s1\nu1 s1\nu2 s2\nu3 s1\n")
    (folder / "ten.utts").write_text("u1\nu3\n")
    words = ["--utt2group=utt2spk", "--enrol=ten.utts", "--compress=none", "scp:f.scp", "ark,scp:n.ark,n.scp"]
    result = call("cmvn-segment", "--max-skip=0.3", *words)
    assert "skipped u2: none of the segments of s2 is in ten.utts" in result.err and "Done 3, skipped 1" in result.err
    enrolled = np.concatenate([segment(1), segment(3)]).astype(np.float64)
    for key, feats in read_table("scp:n.scp"):
        expected = (segment(int(key[1:])) - enrolled.mean(0)) / enrolled.std(0)
        np.testing.assert_allclose(feats, expected, atol=1e-5)
    settings = {"cmvn": "group", "group": "utt2spk", "transductive": True, "enrolled": "ten.utts"}
    assert read_manifest("n.scp").settings == SETTINGS | settings


def test_vectors_by_group_stay_vectors_and_say_transductive(folder, call):
    settings = {"model": "5e1f", "at": "embedding", "frontend": {"cmvn": "segment"}, "trained_on": {"keys": ["x"]}}
    with table_writer("ark,scp:v.ark,v.scp", kind="vector", settings=settings) as write:
        for i in range(4):
            write(f"u{i}", segment(i)[0])
    (folder / "utt2spk").write_text("u0 s1\nu1 s1\nu2 s2\nu3 s2\n")
    call("cmvn-segment", "--utt2group=utt2spk", "scp:v.scp", "ark,scp:n.ark,n.scp")
    found = dict(read_table("scp:n.scp", kind="vector"))
    np.testing.assert_allclose(
        np.abs(np.stack([*found.values()])), 1, atol=1e-3
    )  # of two, each is a deviation from the mean
    by_group = {"cmvn": "group", "group": "utt2spk", "transductive": True}
    assert read_manifest("n.scp").settings == settings | by_group
    assert "is of type FV, expected a matrix" in call("cmvn-segment", "scp:v.scp", "ark:x.ark", code=1).err
    assert "is normalised already" in call("cmvn-segment", "--utt2group=utt2spk", "scp:n.scp", "ark:x.ark", code=1).err


def test_a_pipe_in_and_a_pipe_out(folder, shell):
    out = shell("cat f.ark | cmvn-segment ark:- ark:- | cat").out
    assert out.startswith(b"u0 \0BFM ")


def cut(folder):
    (folder / "f.ark").write_bytes((folder / "f.ark").read_bytes()[:-50])


def flip(folder):
    content = bytearray((folder / "f.ark").read_bytes())
    content[-1] ^= 1
    (folder / "f.ark").write_bytes(bytes(content))


def nan(folder):
    place = (folder / "f.ark").read_bytes().index(b"FM ") + 13
    content = bytearray((folder / "f.ark").read_bytes())
    content[place : place + 4] = b"\0\0\xc0\x7f"
    (folder / "f.ark").write_bytes(bytes(content))


def normalised(folder):
    with table_writer("ark,scp:f.ark,f.scp", settings={"cmvn": "segment"}) as write:
        write("u0", segment(0))


def none_enrolled(folder):
    (folder / "map").write_text("u0 a\nu1 a\n")
    (folder / "names").write_text("u2\nx\n")


FAILURES = [
    (lambda f: (f / "f.scp").unlink(), ["scp:f.scp"], 1, "f.scp"),
    (lambda f: (f / "f.scp").write_text(""), ["scp:f.scp"], 1, "f.scp"),
    (cut, ["scp:f.scp"], 1, "key u3"),
    (nan, ["scp:f.scp"], 1, "key u0"),
    (flip, ["--verify=true", "scp:f.scp"], 1, "f.ark: is damaged"),
    (normalised, ["scp:f.scp"], 1, "is normalised already"),
    (None, ["f.scp"], 2, "rspecifier"),
    (None, ["ark:false |"], 1, "exited with 1"),
    (None, ["ark:head -c 500 f.ark |"], 1, "key u0"),
    (None, ["ark:cat f.ark; exit 3 |"], 1, "exited with 3"),
    (None, ["--utt2group=gone", "scp:f.scp"], 1, "gone"),
    (lambda f: (f / "map").write_text("u0 a b\n"), ["--utt2group=map", "scp:f.scp"], 1, "map:1"),
    (lambda f: (f / "map").write_text("u0 a\n"), ["--utt2group=map", "ark:cat f.ark |"], 1, "must be a file"),
    (lambda f: (f / "map").write_text("x a\n"), ["--utt2group=map", "--verbose=0", "--max-skip=1", "scp:f.scp"], 1,
     "nothing was processed"),
    (lambda f: (f / "map").write_text("u0 a\nu1 a\nu2 a\nu3 a\n"), ["--utt2group=map", "--enrol=map", "ark:cat f.ark |"], 1,
     "must be a file"),
    (none_enrolled, ["--utt2group=map", "--enrol=names", "--verbose=0", "--max-skip=1", "scp:f.scp"], 1,
     "nothing was processed"),
    (None, ["--norm-vars=yes", "scp:f.scp"], 2, "'yes' is neither true nor false"),
    (None, ["--compress=zip", "scp:f.scp"], 2, "'zip'"),
]  # fmt: skip


@pytest.mark.parametrize("spoil, words, code, says", FAILURES, ids=[" ".join(failure[1]) for failure in FAILURES])
def test_bad_input_is_one_clear_line_and_the_old_table_stays(folder, call, spoil, words, code, says):
    call("cmvn-segment", "scp:f.scp", "ark,scp:n.ark,n.scp")
    before = {path.name: path.read_bytes() for path in folder.glob("n.*")}
    if spoil:
        spoil(folder)
    result = call("cmvn-segment", *words, "ark,scp:n.ark,n.scp", code=code)
    lines = [line for line in result.err.splitlines() if ": WARNING: " not in line]
    assert len(lines) == 1 and lines[0].startswith("cmvn-segment: ERROR: ") and says in lines[0], result.err
    assert {path.name: path.read_bytes() for path in folder.glob("n.*")} == before


def test_torch_and_scipy_stay_out():
    code = (
        "import sys, sertk.cli.cmvn_segment, sertk.frontend.cmvn\n"
        "print([name for name in ('torch', 'scipy') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "[]\n", done.stderr


def test_removed_statistics_are_written_as_vectors(folder, call):
    call("cmvn-segment", "--compress=none", "--stats", "ark,scp:s.ark,s.scp", "scp:f.scp", "ark,scp:n.ark,n.scp")
    vectors, normal = dict(read_table("scp:s.scp", kind="vector")), dict(read_table("scp:n.scp"))
    for i in range(4):
        wide = segment(i).astype(np.float64)
        np.testing.assert_allclose(vectors[f"u{i}"], np.concatenate([wide.mean(0), wide.std(0)]), rtol=1e-5)
        mean, deviation = np.split(vectors[f"u{i}"], 2)
        np.testing.assert_allclose(normal[f"u{i}"] * deviation + mean, segment(i), atol=1e-3)
    assert read_manifest("s.scp").settings == SETTINGS | {"statistics": "mean, deviation", "trained_on": "nothing"}
    (folder / "utt2dialog").write_text("u0 d1\nu1 d1\nu2 d2\nu3 d1\n")
    err = call("cmvn-segment", "--utt2group=utt2dialog", "--stats", "ark:t.ark", "scp:f.scp", "ark:m.ark", code=2).err
    assert "--stats is of segments that are normalised alone" in err
