import numpy as np
import pytest

from sertk.data.store import load_store
from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import open_table, table_writer


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


def with_an_empty_entry(table, place):
    """The table with an empty matrix, in its own archive, as the entry of this number."""
    (table / "e.ark").write_bytes(b"empty \0BFM \4\0\0\0\0\4\0\0\0\0")
    lines = (table / "x.scp").read_text().splitlines()
    lines.insert(place, f"empty {table}/e.ark:6")
    (table / "x.scp").write_text("\n".join(lines) + "\n")
    return parse_rspecifier(f"scp:{table}/x.scp")


@pytest.mark.parametrize("resident_bytes", [0, 1 << 30])
@pytest.mark.parametrize("place", [0, 2, 5])
def test_an_empty_matrix_is_left_out_and_told(table, resident_bytes, place):
    script, told = with_an_empty_entry(table, place), []
    store = load_store(script, resident_bytes, skip=lambda *what: told.append(what))
    assert told == [("empty", "is empty")]
    assert list(store.keys) == [f"utt{i}" for i in range(5)] and store.bins == 4
    assert store.num_frames.tolist() == [10, 11, 12, 13, 14]
    whole = np.random.default_rng(4).normal(size=(14, 4)).astype(np.float32)
    np.testing.assert_allclose(store[4].rows(0, 14), whole, atol=1e-3)


def test_a_table_of_empty_matrices_is_an_error(tmp_path):
    (tmp_path / "e.ark").write_bytes(b"a \0BFM \4\0\0\0\0\4\0\0\0\0")
    with pytest.raises(SertkError, match=r"e\.ark: all its matrices are empty"):
        load_store(parse_rspecifier(f"ark:{tmp_path}/e.ark"))


@pytest.mark.parametrize("form", ["command", "text"])
def test_a_script_of_commands_or_text_is_read_once_into_memory(table, form):
    lines = (table / "x.scp").read_text().splitlines()
    key, place = lines[1].split()
    if form == "command":
        path, offset = place.split(":")
        lines[1] = f"{key} tail -c +{int(offset) + 1} {path} |"
    else:
        with open_table(f"scp:{table}/x.scp") as known, table_writer(f"ark,t,scp:{table}/t.ark,{table}/t.scp") as write:
            write(key, known[key])
        lines[1] = (table / "t.scp").read_text().strip()
    (table / "y.scp").write_text("\n".join(lines) + "\n")
    script = parse_rspecifier(f"scp:{table}/y.scp")
    store, known = load_store(script, resident_bytes=0), load_store(parse_rspecifier(f"scp:{table}/x.scp"))
    assert list(store.keys) == list(known.keys) and not store.on_disk
    for a, b in ((store[i], known[i]) for i in range(5)):
        assert (a.rows(0, a.num_frames) == b.rows(0, b.num_frames)).all()
    with pytest.raises(SertkError, match=rf"y.scp:2: key utt1|key utt1: .*is text.*copy-feats scp:{table}/y.scp"):
        load_store(script, most_piped_bytes=100)
