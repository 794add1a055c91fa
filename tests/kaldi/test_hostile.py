"""Reading runs no code: what a file holds is numbers or an error."""

import io
import os
import pickle

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.script import script_entries
from sertk.kaldi.tables import open_table, read_manifest, read_raw_table, read_table, verify_table


class Bomb:
    """Pickled, it makes a file `pwned` where it is loaded."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def npy(value):
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


PICKLE = pickle.dumps(Bomb())
OBJECTS = npy(np.array([Bomb()], object))
HEADER = b"\x93NUMPY\1\0v\0" + b"{'descr': __import__('os').system('touch pwned'), }".ljust(117) + b"\n"
PAYLOADS = {
    "kaldiio's pickle": b"k PKL" + PICKLE,
    "kaldiio's pickle in binary": b"k \0BPKL " + PICKLE,
    "kaldiio's numpy of objects": b"k NPY" + OBJECTS,
    "kaldiio's numpy, binary": b"k \0BNPY " + OBJECTS,
    "a numpy file": b"k " + OBJECTS,
    "a numpy header that is code": b"k NPY" + HEADER,
    "a bare pickle": b"k " + PICKLE,
    "a pickle of old": b"k cos\nsystem\n(S'touch pwned'\ntR.",
    "a pickle as text matrix": b"k [ cos\nsystem\n(S'touch pwned'\ntR. ]\n",
    "an expression as number": b"k [ __import__('os').system('touch\xc2\xa0pwned') ]\n",
    "a zip of pickles": b"k PK\3\4" + PICKLE,
    "audio": b"k AUDIO" + PICKLE,
    "a pipe as archive's value": b"k touch pwned |\n",
    "a key that is a command": b"$(touch${IFS}pwned) [ 1 ]x\n",
    "a whole-file pickle": PICKLE,
    "a whole-file numpy": OBJECTS,
}
SCRIPTS = {
    "a command in quotes": "k `touch pwned`\n",
    "a command after a semicolon": "k x.ark:2; touch pwned\n",
    "an output pipe": "k | touch pwned\n",
    "a pipe in the range": "k x.ark:2[touch pwned |]\n",
    "a pipe that ends elsewhere": "k touch pwned | x\n",
    "a variable": "k $(touch pwned):2\n",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_an_archive_runs_nothing(here, name):
    (here / "x.ark").write_bytes(PAYLOADS[name])
    (here / "x.scp").write_text("k x.ark:2\n")
    (here / "x.manifest").write_bytes(PICKLE)
    (here / "x.scp.index.npy").write_bytes(OBJECTS)
    for kind in ("matrix", "vector", "ints"):
        for source in ("ark:x.ark", "ark,t:x.ark", "scp:x.scp"):
            with pytest.raises(SertkError):
                list(read_table(source, kind))
    for attempt in (
        lambda: open_table("ark:x.ark"),
        lambda: open_table("scp:x.scp")["k"],
        lambda: read_manifest("ark:x.ark"),
        lambda: verify_table("scp:x.scp"),
    ):
        with pytest.raises(SertkError):
            attempt()
    try:
        for _, stream in read_raw_table("ark:x.ark"):
            stream.read()
    except SertkError:
        pass
    assert not (here / "pwned").exists()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_nothing_but_its_pipes(here, name):
    (here / "x.scp").write_text(SCRIPTS[name])
    for attempt in (
        lambda: list(read_table("scp:x.scp")),
        lambda: open_table("scp:x.scp")["k"],
        lambda: verify_table("scp:x.scp"),
    ):
        with pytest.raises(SertkError):
            attempt()
    try:
        list(script_entries("scp:x.scp"))
    except SertkError:
        pass
    assert not (here / "pwned").exists()
