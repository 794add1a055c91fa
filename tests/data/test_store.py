import numpy as np
import pytest

from sertk.data.store import load_store
from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer


@pytest.fixture
def table(tmp_path):
    with table_writer(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp", compress="cm2") as write:
        for i in range(5):
            write(f"utt{i}", np.random.default_rng(i).normal(size=(10 + i, 4)).astype(np.float32))
    return tmp_path


def test_segments_on_disk_are_those_in_memory(table):
    script = parse_rspecifier(f"scp:{table}/x.scp")
    resident, on_disk = load_store(script), load_store(script, resident_bytes=0)
    assert list(on_disk.keys) == list(resident.keys) and len(on_disk) == 5
    assert on_disk.num_frames.tolist() == [10, 11, 12, 13, 14] and on_disk.bins == resident.bins == 4
    for a, b in ((resident[i], on_disk[i]) for i in range(5)):
        assert (a.rows(0, a.num_frames) == b.rows(0, b.num_frames)).all()
        assert (a.rows(3, 7) == b.rows(3, 7)).all()


@pytest.mark.parametrize("resident_bytes", [0, 1 << 30])
def test_a_part_of_a_store_keeps_order_and_rows(table, resident_bytes):
    whole = load_store(parse_rspecifier(f"scp:{table}/x.scp"), resident_bytes)
    part = whole.only({"utt1", "utt4"}.__contains__)
    assert list(part.keys) == ["utt1", "utt4"] and part.num_frames.tolist() == [11, 14]
    assert (part[1].rows(2, 5) == whole[4].rows(2, 5)).all()


def test_an_archive_from_a_pipe_is_read_whole(table):
    assert len(load_store(parse_rspecifier(f"ark:cat {table}/x.ark |"), resident_bytes=0)) == 5


def test_matrices_of_other_dimensions_are_refused_by_name(tmp_path):
    with table_writer(f"ark:{tmp_path}/x.ark") as write:
        write("a", np.zeros((3, 4), np.float32))
        write("b", np.zeros((3, 5), np.float32))
    with pytest.raises(SertkError, match="b: 5 bins, a has 4"):
        load_store(parse_rspecifier(f"ark:{tmp_path}/x.ark"))
