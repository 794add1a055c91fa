"""Tables that are gone on with after a kill."""

import logging
import os

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.resumable import resumable_writer
from sertk.kaldi.tables import read_table, table_writer, verify_table

KEYS = [f"utt{number}" for number in range(9)]


def matrix(key):
    return np.random.default_rng(int(key[3:])).normal(size=(3, 5)).astype(np.float32)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing but what was checkpointed may be counted on."""


def write(folder, until=9, checkpoints=(2, 5), forms="ark,scp", compress="cm2", **identity):
    """Write entries up to number `until`, then be killed."""
    names = f"{folder}/x.ark,{folder}/x.scp" if "scp" in forms else f"{folder}/x.ark"
    with resumable_writer(f"{forms}:{names}", KEYS, compress=compress, settings={"a": 1}, identity=identity) as table:
        for number in range(table.done, until):
            table.write(KEYS[number], matrix(KEYS[number]))
            if number + 1 in checkpoints:
                table.checkpoint()
        if until < len(KEYS):
            raise Killed


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def straight(tmp_path):
    folder = tmp_path / "straight"
    folder.mkdir()
    with table_writer(f"ark,scp:{folder}/x.ark,{folder}/x.scp", compress="cm2", settings={"a": 1}) as plain:
        for key in KEYS:
            plain(key, matrix(key))
    return {name: data.replace(b"straight", b"resumed") for name, data in contents(folder).items()}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "resumed").mkdir()
    return tmp_path / "resumed"


def same(found, wanted):
    """The same files; the manifest's checksum of the script differs with the folder that the script names."""
    assert found.keys() == wanted.keys()
    assert all(found[name] == wanted[name] for name in ("x.ark", "x.scp"))


@pytest.mark.parametrize("until", [2, 4, 5, 8])
def test_what_was_checkpointed_is_not_written_again(folder, straight, until):
    with pytest.raises(Killed):
        write(folder, until)
    assert set(contents(folder)) == {"x.ark.partial", "x.scp.partial", "x.ark.progress"}
    names = f"ark,scp:{folder}/x.ark,{folder}/x.scp"
    with resumable_writer(names, KEYS, compress="cm2", settings={"a": 1}) as table:
        assert table.done == (5 if until >= 5 else 2)
        for key in KEYS[table.done :]:
            table.write(key, matrix(key))
    same(contents(folder), straight)
    verify_table(f"scp:{folder}/x.scp")


def test_bytes_behind_the_checkpoint_are_not_believed(folder, straight):
    with pytest.raises(Killed):
        write(folder, 5)
    for name in ("x.ark.partial", "x.scp.partial"):
        with open(folder / name, "ab") as file:
            file.write(b"utt5 half an entry")
    write(folder)
    same(contents(folder), straight)


@pytest.mark.parametrize("forms", ["ark", "ark,t"])
def test_an_archive_alone_is_gone_on_with_too(folder, forms):
    with pytest.raises(Killed):
        write(folder, 6, forms=forms, compress="none")
    write(folder, forms=forms, compress="none")
    assert set(contents(folder)) == {"x.ark", "x.manifest"}
    found = dict(read_table(f"ark:{folder}/x.ark"))
    assert list(found) == KEYS and all((found[key] == matrix(key)).all() for key in KEYS)


def damage(folder):
    data = bytearray((folder / "x.ark.partial").read_bytes())
    data[20] ^= 1
    (folder / "x.ark.partial").write_bytes(data)


@pytest.mark.parametrize(
    ("change", "identity", "reason"),
    [
        (lambda folder: None, {"seed": 1}, "was begun with seed=None, now it is 1"),
        (lambda folder: None, {"compress": "none"}, "was begun with compress=cm2, now it is none"),
        (damage, {}, "is damaged"),
        (lambda folder: (folder / "x.scp.partial").write_bytes(b""), {}, "is damaged"),
        (lambda folder: (folder / "x.ark.partial").unlink(), {}, "is missing"),
        (lambda folder: (folder / "x.scp.partial").unlink(), {}, "is missing"),
        (lambda folder: (folder / "x.ark.progress").write_text('{"identity": 3}'), {}, "is damaged"),
        (lambda folder: (folder / "x.ark.progress").write_text("{"), {}, "is damaged"),
    ],
)
def test_unfit_checkpoint_starts_again_with_a_warning(folder, caplog, change, identity, reason):
    with pytest.raises(Killed):
        write(folder, 6)
    change(folder)
    with caplog.at_level(logging.WARNING, logger="sertk"):
        write(folder, **identity)
    assert [record.getMessage() for record in caplog.records] == [f"{folder}/x.ark.partial: {reason}: starting again"]
    assert len(list(read_table(f"scp:{folder}/x.scp"))) == len(KEYS)
    assert not any(name.endswith(("partial", "progress")) for name in contents(folder))


def test_the_old_table_stays_until_the_new_one_is_whole(folder):
    write(folder, seed=1)
    before = contents(folder)
    with pytest.raises(Killed):
        write(folder, 6, seed=2)
    assert {name: contents(folder)[name] for name in before} == before


def test_nothing_is_left_of_a_table_without_a_checkpoint(folder):
    with pytest.raises(Killed):
        write(folder, 1)
    assert contents(folder) == {}


@pytest.mark.parametrize("identity", [{}, {"seed": 3}])
def test_two_processes_do_not_write_one_table(folder, identity):
    with resumable_writer(f"ark:{folder}/x.ark", KEYS) as table:
        table.write(KEYS[0], matrix(KEYS[0]))
        table.checkpoint()
        progress = (folder / "x.ark.progress").read_bytes()
        child = os.fork()
        if not child:
            try:
                with resumable_writer(f"ark:{folder}/x.ark", KEYS, identity=identity):
                    pass
            except SertkError as error:
                os._exit(0 if "another process is writing it" in str(error) else 1)
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert (folder / "x.ark.progress").read_bytes() == progress
        for key in KEYS[1:]:
            table.write(key, matrix(key))
    assert len(list(read_table(f"ark:{folder}/x.ark"))) == len(KEYS)
