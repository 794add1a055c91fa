"""Random access: the right rows, from every process and thread, and never by a stale index."""

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.tables import open_table, table_writer


@pytest.mark.parametrize("source", ["scp:x.scp", "ark:x.ark"])
def test_rows_are_those_of_the_whole_matrix(table, source):
    with open_table(source) as found:
        assert list(found.keys) == list(table) and len(found) == len(table) and found.dim == 20
        assert found.num_frames.dtype == np.int64
        assert found.num_frames.tolist() == [len(value) for value in table.values()]
        for number, (key, value) in enumerate(table.items()):
            assert key in found and found.keys[number] == key and found.keys.index(key) == number
            assert np.array_equal(found[key], value)
            for start, stop in [(0, 1), (len(value) // 3, len(value)), (0, 0), (len(value), len(value))]:
                rows = found.rows(number, start, stop)
                assert rows.dtype == np.float32 and rows.shape == (stop - start, 20)
                assert np.array_equal(rows, value[start:stop])


@pytest.mark.parametrize("bounds", [(-1, 1), (2, 1), (0, 9999)])
def test_rows_beyond_the_entry_are_an_error_that_names_it(table, bounds):
    with (
        open_table("scp:x.scp") as found,
        pytest.raises(SertkError, match=r"x\.scp: key spk0-utt00: x\.ark at byte 11: rows"),
    ):
        found.rows("spk0-utt00", *bounds)


@pytest.mark.parametrize("source", ["scp:x.scp", "scp:cut.scp"])
def test_rows_fill_the_array_that_they_are_given(table, here, source):
    (here / "cut.scp").write_text((here / "x.scp").read_text().replace("\n", "[:,1:4]\n"))
    with open_table(source) as found:
        for _ in range(2):  # with headers read each time, and with headers known
            expected = found["spk1-utt05"]
            batch = np.full((2, *expected.shape), 7, np.float32)
            chunk = batch[1]
            assert found.rows("spk1-utt05", 0, None, chunk) is chunk
            assert np.array_equal(chunk, expected) and (batch[0] == 7).all()
            assert found.num_frames.sum()


def test_known_headers_are_read_again_only_of_new_archives(table, here, monkeypatch):
    with open_table("scp:x.scp") as found:
        key = "spk0-utt00"
        assert found.num_frames[0] == len(table[key])
        with monkeypatch.context() as patched:
            patched.setattr("sertk.kaldi.randomtable.parse_header", None)
            assert np.array_equal(found[key], table[key])
        found.close()
        (here / "x.ark").rename(here / "old.ark")
        with table_writer("ark:x.ark") as write:
            write(key, np.full((2, 3), 5, np.float32))
        assert found[key].tolist() == [[5, 5, 5], [5, 5, 5]]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_an_archive_cut_under_an_open_table_is_an_error(table, here, kept):
    with open_table("scp:x.scp") as found:
        assert found.num_frames.sum()
        found["spk0-utt00"]
        os.truncate("x.ark", int(os.path.getsize("x.ark") * kept))
        with pytest.raises(SertkError, match=r"key spk2-utt11: x\.ark at byte \d+: the data end after"):
            found["spk2-utt11"]


def test_a_key_or_number_that_is_not_there_is_an_error(table):
    with open_table("scp:x.scp") as found:
        assert "x" not in found
        for key in ("x", "", 12, -1):
            with pytest.raises(SertkError, match="has no"):
                found[key]


def test_vectors_are_read_too(here):
    with table_writer("ark,scp:v.ark,v.scp", kind="vector") as write:
        write("a", np.arange(4, dtype=np.float32))
    with open_table("scp:v.scp", "vector") as found:
        assert found["a"].tolist() == [0, 1, 2, 3] and found.dim == 1


def test_ranges_of_a_script_hold(table, here):
    lines = (here / "x.scp").read_text().splitlines()
    key = max(table, key=lambda key: len(table[key]))
    line = next(line for line in lines if line.startswith(key))
    (here / "r.scp").write_text(f"{line}[3:7,1:4]\nwhole{line[len(key) :]}\n")
    with open_table("scp:r.scp") as found:
        assert np.array_equal(found[key], table[key][3:8, 1:5])
        assert np.array_equal(found.rows(key, 1, 3), table[key][4:6, 1:5])
        assert np.array_equal(found["whole"], table[key])
        with pytest.raises(SertkError, match=r"has .* columns where the entries before have"):
            found.num_frames.sum()


@pytest.mark.parametrize(
    "text, message",
    [("", "has no entries"), ("a cat x |\n", "cannot be read at random"), ("a gone:1\n", "key a: gone at byte 1: No such file"),
     ("a x.ark:3\n", "no value here"), ("a x.ark:99999\n", "the file ends before the value"),
     ("a x.ark:2\na x.ark:2\n", "comes twice")],
)  # fmt: skip
def test_a_bad_script_is_an_error_of_one_line(table, here, text, message):
    (here / "y.scp").write_text(text)
    with pytest.raises(SertkError, match=message) as error, open_table("scp:y.scp") as found:
        found["a"]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["scp:gone.scp", "ark:-", "ark:cat x.ark |"])
def test_what_is_no_file_cannot_be_read_at_random(table, source):
    with pytest.raises(SertkError):
        open_table(source)


def reads(found, table, seed, count=300):
    draw = np.random.default_rng(seed)
    keys = list(table)
    for _ in range(count):
        key = keys[draw.integers(len(keys))]
        start = int(draw.integers(len(table[key])))
        assert np.array_equal(found.rows(key, start, len(table[key])), table[key][start:])
    return count


def test_threads_get_what_they_asked_for(table):
    with open_table("scp:x.scp") as found, ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda seed: reads(found, table, seed), range(8))) == 2400


def test_forked_processes_get_what_they_asked_for(table):
    with open_table("scp:x.scp") as found:
        reads(found, table, 0, 5)
        children = []
        for seed in range(6):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if reads(found, table, seed) == 300 else 1
                finally:
                    os._exit(code)
            children.append(child)
        reads(found, table, 7)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6


def test_a_spawned_process_opens_the_table_anew(table):
    with open_table("scp:x.scp") as found, multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(found.rows, ("spk1-utt05", 1)), table["spk1-utt05"][1:])


def test_a_pickled_table_refuses_a_script_that_has_changed(table, here):
    data = pickle.dumps(open_table("scp:x.scp"))
    assert pickle.loads(data).keys == open_table("scp:x.scp").keys
    text = (here / "x.scp").read_text()
    (here / "x.scp").unlink()
    (here / "x.scp").write_text(text.replace("spk0", "spk9"))
    with pytest.raises(SertkError, match="has changed since it was opened"):
        pickle.loads(data)


def test_two_threads_that_open_a_file_at_once_leak_none(table):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with open_table("scp:x.scp") as found:
            threads = [threading.Thread(target=found.rows, args=(0,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_table_is_closed_while_it_is_read(table):
    """What a thread reads from stays open until it has read."""
    with open_table("scp:x.scp") as found:
        expected, stop = found[0].copy(), threading.Event()

        def close():
            while not stop.is_set():
                found.close()

        closer = threading.Thread(target=close)
        closer.start()
        for _ in range(300):
            assert np.array_equal(found[0], expected)
        stop.set()
        closer.join()
