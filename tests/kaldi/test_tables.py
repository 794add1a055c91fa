"""What reading a table promises; how its errors read."""

from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.tables import open_table, read_manifest, read_raw_table, read_table, table_writer


@pytest.fixture
def table(here, feats):
    """x.ark, x.scp and x.manifest with the matrices of `feats`."""
    with table_writer("ark,scp:x.ark,x.scp", settings={"fbank": {"num-mel-bins": 20}}) as write:
        for key, value in feats.items():
            write(key, value)
    return feats


def same(found, expected):
    found = dict(found)
    return list(found) == list(expected) and all(np.array_equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    "source",
    [
        "ark:x.ark",
        "scp:x.scp",
        "ark:cat x.ark |",
        "scp:cat x.scp |",
        "ark,s,cs:x.ark",
        "scp,o,s,cs,p:x.scp",
        "ark,t:x.ark",
    ],
)
def test_every_form_of_a_table_reads_the_same(table, source):
    assert same(read_table(source), table)


def test_a_table_is_read_from_standard_input(table, shell, here):
    code = "from sertk.kaldi.tables import read_table; print(len(list(read_table('ark:-'))), len(list(read_table('scp:x.scp'))))"
    result = shell(f'cat x.ark | python3 -c "{code}"', PYTHONPATH=f"{Path(__file__).parents[2]}", PATH=python_path())
    assert result.text == "12 12\n"


def python_path():
    import os
    import sys

    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_kaldi_reads_what_we_write_and_its_offsets_are_ours(table, here):
    with kaldi.SequentialFloatMatrixReader("scp:x.scp") as reader:
        assert same(((key, np.array(value)) for key, value in reader), table)
    with kaldi.FloatMatrixWriter("ark,scp:k.ark,k.scp") as writer:
        for key, value in table.items():
            writer.write(key, value)
    assert (here / "k.ark").read_bytes() == (here / "x.ark").read_bytes()
    assert (here / "k.scp").read_text().replace("k.ark", "x.ark") == (here / "x.scp").read_text()


def test_a_script_names_the_archive_as_the_user_did(here):
    for name in ("a.ark", "./a.ark", f"{here}/a.ark"):
        with table_writer(f"ark,scp:{name},a.scp") as write:
            write("k", np.ones((2, 2), np.float32))
        assert (here / "a.scp").read_text() == f"k {name}:2\n"


def test_an_archive_may_have_a_colon_and_digits_in_its_name(here):
    """As in Kaldi: x.ark:15:2 is byte 2 of the file x.ark:15, although a table cannot be written to that name."""
    with table_writer("ark:x.ark") as write:
        write("k", np.ones((2, 2), np.float32))
    (here / "x.ark").rename("x.ark:15")
    (here / "y.scp").write_text("k x.ark:15:2\n")
    with kaldi.SequentialFloatMatrixReader("scp:y.scp") as reader:
        assert same(((key, np.array(value)) for key, value in reader), {"k": np.ones((2, 2))})
    assert same(read_table("scp:y.scp"), {"k": np.ones((2, 2))})
    with open_table("scp:y.scp") as found:
        assert np.array_equal(found["k"], np.ones((2, 2)))


def test_an_entry_may_be_a_file_or_a_pipe_of_its_own(table, here):
    for key in table:
        with table_writer(f"ark:{key}.ark") as write:
            write("x", table[key])
        Path(f"{key}.mat").write_bytes(Path(f"{key}.ark").read_bytes()[2:])
    (here / "y.scp").write_text(
        "".join(f"{key} {f'cat {key}.mat |' if i % 2 else f'{key}.mat'}\n" for i, key in enumerate(table))
    )
    assert same(read_table("scp:y.scp"), table)


def test_a_failed_pipe_is_an_error_though_all_entries_were_read(table):
    with pytest.raises(SertkError, match="exited with 3"):
        list(read_table("ark:cat x.ark; exit 3 |"))


def test_failed_pipe_of_a_script_names_the_key(table, here):
    Path("m").write_bytes(Path("x.ark").read_bytes()[len("spk0-utt00 ") :])
    (here / "y.scp").write_text("a cat m; exit 3 |\n")
    with pytest.raises(SertkError, match=r"y\.scp:1: key a: .*exited with 3"):
        list(read_table("scp:y.scp"))


def test_permissive_skips_what_is_bad_and_says_so(table, here):
    lines = (here / "x.scp").read_text().splitlines()
    lines[3] = "spk0-utt03 gone.ark:11"
    lines[5] = "spk1-utt05 false |"
    lines[7] = lines[7].rpartition(":")[0] + ":1"
    lines[8] += "[0:999]"
    (here / "y.scp").write_text("\n".join(lines) + "\n")
    skipped = {}
    found = dict(read_table("scp,p:y.scp", skip=skipped.__setitem__))
    assert set(skipped) == {"spk0-utt03", "spk1-utt05", "spk1-utt07", "spk2-utt08"}
    assert set(found) | set(skipped) == set(table) and not set(found) & set(skipped)
    assert all(f"key {key}" in reason for key, reason in skipped.items())


def test_permissive_ends_a_broken_archive_at_the_break(table, here, caplog):
    data = (here / "x.ark").read_bytes()
    (here / "y.ark").write_bytes(data[: len(data) - 10])
    assert same(read_table("ark,p:y.ark"), dict(list(table.items())[:-1]))
    assert "the rest is skipped" in caplog.text


@pytest.mark.parametrize("data", [b"k \0B\4\2\0\0\0\4\1\0\0\0\5\1\0\0\0", b"k \0B\4\xff\xff\xff\xff", b"k \0B\1", b"k 1 x\n",
                                  b"k 99999999999\n", b"k \0B\4\xff\xff\xff\x7f"])  # fmt: skip
def test_bad_integers_are_an_error(here, data):
    (here / "x.ark").write_bytes(data)
    with pytest.raises(SertkError, match=r"x\.ark at byte 0: key k: "):
        list(read_table("ark:x.ark", "ints"))


def test_a_matrix_is_not_taken_for_a_vector(table):
    with pytest.raises(SertkError, match=r"x\.ark at byte 0: key spk0-utt00: is of type FM, expected a vector"):
        list(read_table("ark:x.ark", "vector"))


def test_huge_header_from_a_pipe_allocates_little(here):
    import tracemalloc

    (here / "x.ark").write_bytes(b"k \0BFM \4\xff\xff\xff\x0f\4\xff\xff\xff\x0f" + bytes(100))
    tracemalloc.start()
    with pytest.raises(SertkError, match="the data end after 100 of"):
        list(read_table("ark:cat x.ark |"))
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize("source", ["scp:empty", "ark:empty"])
def test_an_empty_raw_table_is_an_error(here, source):
    (here / "empty").write_bytes(b"")
    with pytest.raises(SertkError, match="has no entries"):
        list(read_raw_table(source))


def test_raw_values_are_read_from_scripts_and_archives(here):
    (here / "a").write_bytes(b"1234")
    (here / "x.ark").write_bytes(b"a 1234b 5678")
    (here / "x.scp").write_text("a a\nb tail -c 4 x.ark |\n")
    for source in ("ark:x.ark", "ark:cat x.ark |", "scp:x.scp"):
        assert [(key, stream.read(4)) for key, stream in read_raw_table(source)] == [("a", b"1234"), ("b", b"5678")]


def test_the_manifest_is_found_through_scripts_made_of_others(table, here):
    lines = (here / "x.scp").read_text().splitlines(True)
    (here / "part.scp").write_text("".join(lines[:5]))
    for source in ("x.scp", "x.ark", "scp:x.scp", "ark:x.ark", "part.scp", "scp:part.scp"):
        manifest = read_manifest(source)
        assert (manifest.keys, manifest.dim, manifest.settings) == (12, 20, {"fbank": {"num-mel-bins": 20}})
    assert manifest.frames == sum(len(value) for value in table.values())
    assert read_manifest("ark:cat x.ark |") is None
    with table_writer("ark:y.ark", settings={"fbank": {"num-mel-bins": 80}}) as write:
        write("z", np.ones((2, 80), np.float32))
    (here / "both.scp").write_text("".join(lines) + "z y.ark:2\n")
    with pytest.raises(SertkError, match="made with different settings"):
        read_manifest("scp:both.scp")
    (here / "y.manifest").unlink()
    assert read_manifest("scp:both.scp") is None


def test_mixed_dimensions_are_refused_at_random(table, here):
    with table_writer("ark,scp:y.ark,y.scp") as write:
        write("a", np.ones((2, 3), np.float32))
        write("b", np.ones((2, 4), np.float32))
    assert read_manifest("y.scp").dim == 0
    with (
        pytest.raises(SertkError, match=r"key b: .*has 4 columns where the entries before have 3"),
        open_table("scp:y.scp") as found,
    ):
        found.num_frames.sum()
