"""SIGKILL at random moments of real runs: nothing half-published, no key lost, and the rerun gives the same bytes."""

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from sandbox import write_voice
from support import ROOT

from sertk.kaldi.tables import read_table, verify_table

OUT = "ark,scp:x.ark,x.scp"
# Each in two versions, so that what was there before can be told from what replaces it.
COMMANDS = {
    "make-fbank": [("--num-threads=1", f"--num-mel-bins={bins}", "scp:wav.scp", OUT) for bins in (30, 40)],
    "cmvn-segment": [(f"--norm-vars={norm}", "scp:fbank.scp", OUT) for norm in ("true", "false")],
    "embed-segments": [("--num-threads=1", f"--at={at}", "exp/resnet34/final.pt", "scp:data/test/feats.scp", OUT)
                       for at in ("pool", "embedding")],
}  # fmt: skip


def start(binary: str, args) -> subprocess.Popen:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([ROOT / "bin" / binary, *args], start_new_session=True, **quiet)


def finish(binary: str, args):
    child = start(binary, args)
    said = child.communicate()[1]
    assert child.returncode == 0, said.decode()


def output() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.name.startswith("x.")}


def content(kind: str) -> dict[str, bytes]:
    return {key: value.tobytes() for key, value in read_table("scp:x.scp", kind)}


def timing(binary: str, args) -> tuple[float, float]:
    """Seconds until the temporary file is there, and from then on until the end."""
    begun = time.perf_counter()
    child = start(binary, args)
    while not Path("x.ark.tmp").exists():
        assert child.poll() is None
        time.sleep(0.0005)
    seen = time.perf_counter()
    assert child.wait() == 0, child.stderr.read().decode()
    child.stderr.close()
    return seen - begun, time.perf_counter() - seen


def kill(binary: str, args, draw: random.Random, before: float, after: float) -> str | None:
    """Kill a run at a random moment; what lay there then, or None where the run had ended before."""
    from_start = draw.random() < 0.5
    child = start(binary, args)
    if from_start:
        time.sleep(draw.random() * (before + after))
    else:
        while not Path("x.ark.tmp").exists() and child.poll() is None:
            time.sleep(0.0005)
        time.sleep(draw.random() * after)
    child.send_signal(signal.SIGKILL)
    child.stderr.close()
    if child.wait() != -signal.SIGKILL:
        return None
    names = {path.name for path in Path().iterdir()}
    if any(name.startswith("x.") and name.endswith(".sertk-old") for name in names):
        return "in mid-publication"
    return "while writing" if "x.ark.tmp" in names else "before or after writing"


def kill_again_and_again(binary: str, count: int) -> Counter:
    """`count` kills; every second run writes the other version over what the last rerun left."""
    kind = "vector" if binary == "embed-segments" else "matrix"
    versions = []
    for args in COMMANDS[binary]:
        finish(binary, args)
        versions.append((args, output(), content(kind)))
    assert versions[0][2].keys() == versions[1][2].keys() and versions[0][2] != versions[1][2]
    before, after = timing(binary, versions[1][0])
    draw, states = random.Random(count), Counter()
    while states.total() < count:
        args, expected, _ = versions[states.total() % 2]
        state = kill(binary, args, draw, before, after)
        if state is None:
            continue
        states[state] += 1
        if Path("x.scp").exists():
            assert content(kind) in [values for _, _, values in versions]
        finish(binary, args)
        assert output() == expected
        verify_table("scp:x.scp")
    return states


@pytest.fixture
def speech(request, tmp_path, monkeypatch):
    """100 utterances of 10 recordings, and their features; 300 in the slow tests, so that writing them takes a while."""
    monkeypatch.chdir(tmp_path)
    number = 300 if request.node.get_closest_marker("slow") else 100
    for i in range(10):
        write_voice(Path("wav", f"{i}.wav"), i)
    Path("wav.scp").write_text("".join(f"utt{i:03} wav/{i % 10}.wav\n" for i in range(number)))
    finish("make-fbank", ("scp:wav.scp", "ark,scp:fbank.ark,fbank.scp"))


@pytest.mark.parametrize("binary", ["make-fbank", "cmvn-segment"])
def test_a_kill_at_any_moment_loses_nothing(speech, binary):
    assert kill_again_and_again(binary, 2).total() == 2


@pytest.mark.slow
@pytest.mark.parametrize("binary", ["make-fbank", "cmvn-segment"])
def test_a_hundred_kills_lose_nothing(speech, binary):
    states = kill_again_and_again(binary, 100)
    print(binary, dict(states))
    assert states["while writing"] > 10


@pytest.mark.slow
def test_kills_of_embed_segments_lose_nothing(box):
    print("embed-segments", dict(kill_again_and_again("embed-segments", 12)))


def test_a_pipe_whose_left_side_is_killed_fails(speech, shell):
    line = "set -o pipefail; {} | cmvn-segment ark:- ark,scp:x.ark,x.scp"
    shell(line.format("make-fbank scp:wav.scp ark:-"))
    expected = output()
    # Between two entries the end of a stream looks like the end of the table: only the status tells.
    cut = int(Path("fbank.scp").read_text().splitlines()[9].rpartition(":")[2]) - len("utt009 ")
    Path("half.ark").write_bytes(Path("fbank.ark").read_bytes()[:cut])
    shell(line.format("{ cat half.ark; kill -KILL $BASHPID; }"), code=137)
    shell(line.format("make-fbank scp:wav.scp ark:-"))
    assert output() == expected
