"""Random access: the right rows, from every process and thread, and never by a stale index."""

import multiprocessing
import os
import pickle
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi import index as index_module
from sertk.kaldi import openfiles
from sertk.kaldi.tables import open_table, read_table, table_writer


@pytest.fixture(params=["none", "cm", "cm2", "cm3"])
def table(here, feats, request):
    with table_writer("ark,scp:x.ark,x.scp", compress=request.param) as write:
        for key, value in feats.items():
            write(key, value)
    return dict(read_table("scp:x.scp"))


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


def test_a_header_that_is_known_is_not_read_again_unless_the_archive_is_another(table, here, monkeypatch):
    with open_table("scp:x.scp") as found:
        key = "spk0-utt00"
        assert found.num_frames[0] == len(table[key])
        monkeypatch.setattr("sertk.kaldi.randomtable.parse_header", None)
        assert np.array_equal(found[key], table[key])
        monkeypatch.undo()
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


@pytest.fixture
def archives(here):
    """A script of nine keys in an archive each, whose only number is the key's."""
    (here / "x.scp").write_text("".join(f"k{i} {i}.ark:2\n" for i in range(9)))
    for i in range(9):
        (here / f"{i}.ark").write_bytes(b"k \0BFM \4\1\0\0\0\4\1\0\0\0" + np.float32(i).tobytes())


def num_open():
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def room_for(files):
    """No more than so many files can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    # The limit is of the largest number, which may be one between those that are taken.
    top = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + files, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for fd in held[len(held) - files :]:
            os.close(fd)
        yield
    finally:
        for fd in held[: len(held) - files]:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_archives_than_may_stay_open_are_read(archives, monkeypatch):
    monkeypatch.setattr(openfiles, "MOST", 3)
    before = num_open()
    with open_table("scp:x.scp") as found:
        assert [float(found[i][0, 0]) for i in range(9)] == list(range(9))
        assert num_open() == before + 3
    assert num_open() == before


def test_a_low_limit_of_open_files_leaves_files_for_others(archives):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        assert openfiles.OpenFiles().most == 16
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("room", [1, 3])
def test_where_no_more_files_can_be_opened_others_are_closed(archives, room):
    """Files that were opened before the others came, and by several threads at once."""
    before = num_open()
    with open_table("scp:x.scp") as found:
        assert found.num_frames.sum() == 9
        found.close()
        with room_for(room), ThreadPoolExecutor(3) as pool:
            values = list(pool.map(lambda i: float(found[i % 9][0, 0]), range(200)))
        assert values == [i % 9 for i in range(200)]
        assert num_open() <= before + room
    assert num_open() == before


def test_no_room_at_all_says_how_to_make_it(archives, monkeypatch):
    monkeypatch.setattr(openfiles, "PATIENCE", 0.02)
    with (
        open_table("scp:x.scp") as found,
        room_for(0),
        pytest.raises(SertkError, match=r"key k0: 0\.ark at byte 2: Too many open files \(ulimit -n is \d+: raise it"),
    ):
        found[0]


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


@pytest.fixture
def indexed(table, here, monkeypatch):
    """A table old enough, and called large enough, to have a sidecar."""
    monkeypatch.setattr(index_module, "_LEAST_LINES", 3)
    monkeypatch.setattr(index_module, "_YOUNG_NS", 20_000_000)
    time.sleep(0.05)
    return table


def opened(source="scp:x.scp"):
    found = open_table(source)
    return found._index.mapped, list(found.keys), found.num_frames.tolist()


def test_the_second_opening_is_by_the_sidecar_and_says_the_same(indexed, here):
    first, second, third = opened(), opened(), opened()
    assert (first[0], second[0], third[0]) == (False, True, True)
    assert first[1:] == second[1:] == third[1:]
    assert [path.name for path in here.iterdir() if "index" in path.name] == ["x.scp.index.npy"]
    with open_table("scp:x.scp") as found:
        assert len(found._index.frames)
        reads(found, indexed, 1)
        assert np.array_equal(pickle.loads(pickle.dumps(found))["spk1-utt05"], indexed["spk1-utt05"])


def test_a_script_that_changed_is_never_read_by_its_old_sidecar(indexed, here):
    opened()
    text = (here / "x.scp").read_text()
    times = os.stat("x.scp")
    other = text.replace("spk0-utt00", "spk0-utt0x")
    changes = {
        "in place, same size and time": lambda: (here / "x.scp").write_text(other),
        "renamed over, same size and time": lambda: (here / "y").write_text(other) and os.replace("y", "x.scp"),
        "cut": lambda: (here / "x.scp").write_text("".join(other.splitlines(True)[:5])),
    }
    for change in changes.values():
        (here / "x.scp").write_text(text)
        time.sleep(0.05)
        opened()
        assert opened()[0]
        change()
        os.utime("x.scp", ns=(times.st_atime_ns, times.st_mtime_ns))
        mapped, keys, _ = opened()
        assert not mapped and keys[0] == "spk0-utt0x"


def test_a_script_as_young_as_its_reading_gets_no_sidecar(indexed, here):
    (here / "y.scp").write_text((here / "x.scp").read_text())
    opened("scp:y.scp")
    assert not (here / "y.scp.index.npy").exists()


def test_an_archive_that_changed_is_asked_for_its_frames_again(indexed, here):
    before = opened()[2]
    assert opened()[0]
    with table_writer("ark:x.ark") as write:  # the same keys and offsets, a row moved into columns
        for key, value in indexed.items():
            write(key, np.zeros((1, 1), np.float32) if key == "spk2-utt11" else value)
    (here / "x.scp").touch()
    try:
        after = opened()[2]
    except SertkError:
        return  # the compressed archive was smaller: its offsets mean nothing now
    assert after != before


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "pickle", "header"])
def test_a_damaged_sidecar_is_not_believed(indexed, here, damage):
    expected = opened()[1:]
    path = here / "x.scp.index.npy"
    data = path.read_bytes()
    if damage == "pickle":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        path.write_bytes(
            {"empty": b"", "cut": data[:-7], "text": b"hello", "header": data[:100] + b"x" * 60 + data[160:]}[damage]
        )
    assert opened()[1:] == expected


def test_any_byte_of_a_sidecar_that_changes_makes_it_unbelieved(indexed, here):
    expected = opened()[1:]
    path = here / "x.scp.index.npy"
    data = path.read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.integers(len(data), size=60):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.integers(8)]) + data[place + 1 :])
        if 10 < place < 118 and opened()[0]:
            continue  # white space of numpy's own header
        assert opened()[1:] == expected
        path.write_bytes(data)
    assert opened() == (True, *expected)


def test_a_folder_that_cannot_be_written_is_no_error(indexed, here, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index_module.tempfile, "mkstemp", refuse)
    assert [opened()[0] for _ in range(2)] == [False, False]


@pytest.mark.slow
def test_a_million_lines_open_a_second_time_within_a_twentieth_of_a_second(here):
    with table_writer("ark:x.ark") as write:
        write("k", np.ones((300, 8), np.float32))
    with open("x.scp", "w") as file:
        file.writelines(f"id{i % 7205:05}-{i:011x}-00001 x.ark:2\n" for i in range(1_200_000))
    time.sleep(2.5)
    open_table("scp:x.scp").close()
    times = []
    for _ in range(5):
        start = time.process_time()
        with open_table("scp:x.scp") as found:
            assert found._index.mapped
            found.rows(777_777, 0, 200)
        times.append(time.process_time() - start)
    assert sorted(times)[2] <= 0.05, times
