"""Damage is seen: --verify notices every mutation, a plain read those that make a record unreadable."""

from pathlib import Path

import numpy as np
import pytest

from sertk.errors import SertkError
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


def test_every_mutation_of_an_archive_or_script_is_noticed_when_verified(small):
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
    manifest = read_manifest("scp:x.scp")
    assert (manifest.keys, manifest.frames, manifest.dim, manifest.settings) == (3, 12, 3, {"a": [1, "é"]})


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
