"""Damage is seen: --verify notices every mutation, a plain read those that make a record unreadable."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi import manifest
from sertk.kaldi.tables import read_manifest, read_table, table_writer, verify_table


@pytest.fixture
def small(here):
    with table_writer("ark,scp:x.ark,x.scp", compress="cm2", settings={"a": [1, "é"]}) as write:
        for i in range(3):
            write(f"k{i}", np.random.default_rng(i).normal(size=(4, 3)).astype(np.float32))
    (here / "part.scp").write_text("".join(Path("x.scp").read_text().splitlines(True)[1:]))
    return here


def mutations(path, step):
    data = path.read_bytes()
    for place in range(0, len(data), step):
        for value in (data[place] ^ 1, data[place] ^ 128, 0):
            if value != data[place]:
                yield data[:place] + bytes([value]) + data[place + 1 :]
        yield data[:place] + data[place + 1 :]
        yield data[:place] + b"0" + data[place:]
        if place:
            yield data[:place]


def noticed(source):
    try:
        verify_table(source)
    except SertkError as error:
        assert "\n" not in str(error)
        return True
    return False


def check_all_are_noticed(small, step):
    for name, sources in (("x.ark", ["ark:x.ark", "scp:x.scp", "scp:part.scp"]), ("x.scp", ["scp:x.scp"])):
        good = (small / name).read_bytes()
        for bad in mutations(small / name, step):
            (small / name).write_bytes(bad)
            for source in sources:
                assert noticed(source), (name, source, bad)
        (small / name).write_bytes(good)
        assert not any(noticed(source) for source in sources)


def test_verification_notices_every_mutation(small):
    check_all_are_noticed(small, 5)


@pytest.mark.slow
def test_every_mutation_at_every_byte_is_noticed_when_verified(small):
    check_all_are_noticed(small, 1)


def test_a_changed_offset_or_key_in_a_derived_script_is_noticed(small):
    good = (small / "part.scp").read_text()
    for bad in (good.replace("k1", "k9"), good.replace(":43", ":42"), "k0" + good[2:], good.replace("x.ark", "y.ark")):
        assert bad != good or ":43" not in good
        (small / "part.scp").write_text(bad)
        assert bad == good or noticed("scp:part.scp")


def test_a_reader_verifies_before_it_reads(small):
    data = bytearray((small / "x.ark").read_bytes())
    data[-1] ^= 1
    (small / "x.ark").write_bytes(data)
    assert len(list(read_table("scp:x.scp"))) == 3
    with pytest.raises(SertkError, match=r"x\.ark: is damaged: its sha256 is not the one in x\.manifest"):
        next(read_table("scp:x.scp", verify=True))


@pytest.mark.parametrize("source", ["ark:cat x.ark |", "scp:pipe.scp", "ark:-", "ark:gone.ark"])
def test_what_cannot_be_verified_is_an_error(small, source):
    (small / "pipe.scp").write_text("k0 tail -c +4 x.ark |\n")
    with pytest.raises(SertkError):
        verify_table(source)
    (small / "x.manifest").unlink()
    with pytest.raises(SertkError, match=r"there is no x\.manifest beside it"):
        verify_table("ark:x.ark")


def test_the_manifest_says_what_was_written(small):
    found = read_manifest("scp:x.scp")
    assert (found.keys, found.frames, found.dim, found.settings) == (3, 12, 3, {"a": [1, "é"]})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"keys": 1}', "null", "[" * 100000, "\xff",
             '{"keys": "1", "frames": 1, "dim": 1, "sha256": ""}', '{"keys": 1, "frames": 1, "dim": 1, "sha256": 5}',
             '{"keys": -1, "frames": 1, "dim": 1, "sha256": ""}', '{"keys": 1, "frames": 1, "dim": 1, "sha256": "", "x": 1}',
             '{"keys": 1, "frames": 1, "dim": 1, "sha256": "", "settings": []}'],
    ids=range(13),
)  # fmt: skip
def test_a_damaged_manifest_is_an_error_that_names_it(small, text):
    (small / "x.manifest").write_text(text, encoding="latin-1")
    with pytest.raises(SertkError, match=r"x\.manifest: is damaged"):
        read_manifest("scp:x.scp")


def _other_content(data: bytes, random) -> bytes:
    """The same number of bytes, one of them another."""
    place = int(random.integers(len(data)))
    return data[:place] + bytes([data[place] ^ int(random.integers(1, 256))]) + data[place + 1 :]


def _write_anew(path, other):
    path.write_bytes(other)


def _write_in_place(path, other):
    with open(path, "r+b") as file:  # dd conv=notrunc
        file.write(other)


def _move_over(path, other):
    path.with_name("other").write_bytes(other)
    os.replace(path.with_name("other"), path)


def _copy_over_with_times(path, other):
    before = path.stat()
    path.with_name("other").write_bytes(other)
    os.utime(path.with_name("other"), ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy2(path.with_name("other"), path)


def _link_to_other(path, other):
    path.with_name("other").unlink(missing_ok=True)
    path.with_name("other").write_bytes(other)
    path.unlink()
    path.symlink_to("other")


def _restore_times(path, other):
    before = path.stat()
    path.write_bytes(other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _append(path, other):
    path.write_bytes(other + b"k9 \0BFM ")


def _cut(path, other):
    path.write_bytes(other[:-1])


OVERWRITINGS = [_write_anew, _write_in_place, _move_over, _copy_over_with_times, _link_to_other, _restore_times,
                _append, _cut]  # fmt: skip


def _put_back(path, data):
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("number", [80, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_overwritten_archive_has_its_manifest(small, number):
    """Within a clock step of each other too; put back, the archive has its manifest again."""
    path, random = small / "x.ark", np.random.default_rng(0)
    data = path.read_bytes()
    for turn in range(number):
        OVERWRITINGS[turn % len(OVERWRITINGS)](path, _other_content(data, random))
        assert read_manifest("scp:x.scp") is None, OVERWRITINGS[turn % len(OVERWRITINGS)]
        if turn % 8 == 7:
            _put_back(path, data)
            assert read_manifest("scp:x.scp") is not None


@pytest.mark.parametrize("overwrite", OVERWRITINGS)
def test_no_overwritten_large_archive_has_its_manifest(small, monkeypatch, overwrite):
    """A large archive is believed without hashing, until something is done to it."""
    monkeypatch.setattr(manifest, "_LARGE", 1)
    path, random = small / "x.ark", np.random.default_rng(0)
    with table_writer("ark:x.ark") as write:
        write("a", np.ones((9, 9), np.float32))
    with monkeypatch.context() as without_hashing:
        without_hashing.delattr("hashlib.file_digest")
        assert read_manifest("ark:x.ark").frames == 9
    overwrite(path, _other_content(path.read_bytes(), random))
    assert read_manifest("ark:x.ark") is None


def test_a_copy_of_a_large_archive_is_hashed_once(small, monkeypatch):
    """cp without -p: other times, the same content. It is noted when the copy is older than any clock's step."""
    monkeypatch.setattr(manifest, "_LARGE", 1)
    monkeypatch.setattr(manifest, "_COARSE_STEP_NS", 0)
    (small / "there").mkdir()
    for name in ("x.ark", "x.manifest"):
        shutil.copy(small / name, small / "there")
    time.sleep(0.03)
    hashed = []
    monkeypatch.setattr(
        "hashlib.file_digest", lambda *args, digest=hashlib.file_digest: hashed.append(1) or digest(*args)
    )
    for _ in range(3):
        assert read_manifest("ark:there/x.ark").keys == 3
    assert len(hashed) == 1


def test_a_stale_manifest_is_told_of_once(small, caplog):
    (small / "x.ark").write_bytes((small / "x.ark").read_bytes()[::-1])
    for _ in range(2):
        assert read_manifest("scp:x.scp") is None
    assert [record.getMessage() for record in caplog.records] == [
        "x.manifest does not match x.ark (overwritten?): ignored"
    ]


def test_kaldis_writer_takes_the_manifest_from_an_archive(small):
    kaldi_native_io = pytest.importorskip("kaldi_native_io")
    with kaldi_native_io.FloatMatrixWriter("ark,scp:x.ark,x.scp") as write:
        write["k0"] = np.ones((4, 3), np.float32)
    assert read_manifest("scp:x.scp") is None
