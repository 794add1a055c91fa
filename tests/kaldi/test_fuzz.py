"""Mutated files: a SertkError or finite numbers, nothing else, soon (in processor time: the machine may be busy), in
little memory."""

import os
import random
import resource
import tempfile
import time

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.encode import encode, encode_text
from sertk.kaldi.tables import open_table, read_table

# A warning would be a second line on the user's stderr.
pytestmark = pytest.mark.filterwarnings("error")
FORMS = ["FM", "DM", "CM", "CM2", "CM3", "FV", "DV", "ints", "text matrix", "text vector", "text ints", "scp"]
EDGES = [0, 1, 127, 128, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0x40000000]
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


def encoded(*arguments) -> bytes:
    return b"".join(map(bytes, encode(*arguments)))


def original(form: str) -> tuple[bytes, str]:
    """A table of three entries, and its kind."""
    draw = np.random.default_rng(3)
    entries, kind = [], "vector" if "V" in form or "vector" in form else "ints" if "ints" in form else "matrix"
    for i in range(3):
        matrix = draw.normal(size=(5 + i, 3)).astype(np.float32)
        ints = np.arange(4 + i, dtype=np.int32)
        value = {
            "FM": lambda m=matrix: encoded(m, "matrix"),
            "DM": lambda m=matrix: encoded(m, "matrix")[:15].replace(b"FM", b"DM") + m.astype("<f8").tobytes(),
            "CM": lambda m=matrix: encoded(m, "matrix", "cm"),
            "CM2": lambda m=matrix: encoded(m, "matrix", "cm2"),
            "CM3": lambda m=matrix: encoded(m, "matrix", "cm3"),
            "FV": lambda m=matrix: encoded(m[:, 0].copy(), "vector"),
            "DV": lambda m=matrix: (
                encoded(m[:, 0].copy(), "vector")[:10].replace(b"FV", b"DV") + m[:, 0].astype("<f8").tobytes()
            ),
            "ints": lambda n=ints: encoded(n, "ints"),
            "text matrix": lambda m=matrix: encode_text(m, "matrix"),
            "text vector": lambda m=matrix: encode_text(m[:, 0], "vector"),
            "text ints": lambda n=ints: encode_text(n, "ints"),
        }[form]()
        entries.append(f"key{i} ".encode() + value)
    return b"".join(entries), kind


def mutated(data: bytes, draw: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        place = draw.randrange(len(result)) if result else 0
        how = draw.randrange(7)
        if how == 0 and result:
            result[place] ^= 1 << draw.randrange(8)
        elif how == 1 and result:
            result[place] = draw.randrange(256)
        elif how == 2:
            result[place : place + 4] = draw.choice(EDGES).to_bytes(4, "little")
        elif how == 3:
            del result[place : place + draw.randrange(1, 9)]
        elif how == 4:
            result[place:place] = draw.randbytes(draw.randrange(1, 9))
        elif how == 5:
            del result[place:]
        else:
            start = draw.randrange(len(result) or 1)
            result[place:place] = result[start : start + draw.randrange(1, 40)]
    return bytes(result)


def fuzz(form: str, count: int):
    """Read `count` mutations; returns how many were errors."""
    draw = random.Random(form)
    errors, slowest = 0, 0.0
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = os.path.join(folder, "x")
        ark = os.path.join(folder, "x.ark")
        if form == "scp":
            data, kind = original("CM2")
            with open(ark, "wb") as file:
                file.write(data)
            places = [data.index(f"key{i} ".encode()) + 5 for i in range(3)]
            data = "".join(f"key{i} {ark}:{place}{'[0:3]' if i else ''}\n" for i, place in enumerate(places)).encode()
            os.environ["SERTK_NO_PIPES"] = "1"
        else:
            data, kind = original(form)
        source = f"{'scp' if form == 'scp' else 'ark'}:{path}"
        assert len(list(read_table(write(path, data) and source, kind))) == 3
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for turn in range(count):
            write(path, mutated(data, draw))
            start = time.process_time()
            try:
                for _, value in read_table(source, kind):
                    assert value.dtype == (np.int32 if kind == "ints" else np.float32)
                    assert np.isfinite(value).all()
            except SertkError as error:
                errors += 1
                assert "\n" not in str(error) and path in str(error)
            if turn % 4 == 0 and kind != "ints":
                try:
                    with open_table(source, kind) as table:
                        for key in table.keys:
                            assert np.isfinite(table[key]).all()
                        assert table.num_frames.min() >= 0
                except SertkError as error:
                    assert "\n" not in str(error)
            slowest = max(slowest, time.process_time() - start)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    os.environ.pop("SERTK_NO_PIPES", None)
    assert slowest < 1.0, slowest
    assert grown < 100_000, f"{grown} kB"
    return errors


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return True


@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_mutations_are_an_error_or_numbers(form):
    assert fuzz(form, 1000) > 0


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_hundred_thousand_mutations_are_an_error_or_numbers(form):
    errors = fuzz(form, 100_000)
    print(f"{form}: 100000 mutations, {errors} errors, {100_000 - errors} read as numbers")
