"""join-vectors as a user runs it."""

import numpy as np
import pytest

from sertk.kaldi.tables import read_manifest, read_table, table_writer


@pytest.fixture
def tables(here):
    """a.scp of 20 vectors, b.scp of 19 of them."""
    for name, keys in (("a", 20), ("b", 19)):
        with table_writer(f"ark,scp:{name}.ark,{name}.scp", kind="vector", settings={"tool": name}) as write:
            for i in range(keys):
                write(f"u{i:02d}", np.array([i, ord(name)], np.float32))
    return here


def test_tables_are_pasted_and_missing_keys_counted(tables, call):
    err = call("join-vectors", "scp:a.scp", "scp:b.scp", "ark,scp:c.ark,c.scp").err
    assert "WARNING: skipped u19: not in scp:b.scp" in err and "Done 19, skipped 1" in err
    assert dict(read_table("scp:c.scp", kind="vector"))["u07"].tolist() == [7, 97, 7, 98]
    assert read_manifest("c.scp").settings["pasted"] == {"1": {"tool": "a"}, "2": {"tool": "b"}}


def test_too_many_missing_keys_leave_no_table(tables, call):
    err = call("join-vectors", "--max-skip", 0.01, "scp:a.scp", "scp:b.scp", "ark:c.ark", code=1).err
    assert "1 of 20 skipped, more than --max-skip" in err and not (tables / "c.ark").exists()
