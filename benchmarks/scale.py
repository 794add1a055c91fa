"""VoxCeleb's size on one machine: a script of 1.2 million lines, 7205 speakers, and the loader and head at that size.

Usage: benchmarks/scale.py [segments] [speakers] [stored] [FOLDER]; results are in docs/scale.md.

The table is small where size does not matter: `stored` matrices of VoxCeleb's lengths, CM2, in 128 archives, which the
script's lines reference repeatedly (each with its own key). It cannot show a cold disk. Seconds are CPU time of one
thread, since the machine may be shared.
"""

import gc
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ARCHIVES = 128
BINS = 128
BATCH = 256
POLICIES = ("none", "conservative", "aggressive")


def main(segments: int = 1_200_000, speakers: int = 7205, stored: int = 2048, folder: str = ""):
    root = Path(tempfile.mkdtemp(dir=folder or None))
    print(f"{segments} segments of {speakers} speakers, {stored} matrices stored\n\n| | |\n|---|---|", flush=True)
    try:
        scp, labels = write_table(root, segments, speakers, stored)
        in_a_child(open_scp, scp, "opened for the first time")
        in_a_child(open_scp, scp, "opened again")
        in_a_child(count_labels, labels)
        in_a_child(load_batches, scp, segments)
        in_a_child(train_steps, speakers)
    finally:
        shutil.rmtree(root)


def say(what: str, figure: str):
    print(f"| {what} | {figure} |", flush=True)


def in_a_child(work, *arguments):
    """Call in a separate process, so that memory is that of this step alone."""
    child = os.fork()
    if not child:
        try:
            work(*arguments)
            sys.stdout.flush()
        except BaseException as error:
            print(f"{work.__name__}: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def rss() -> float:
    """Peak resident MiB of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_table(root: Path, segments: int, speakers: int, stored: int) -> tuple[Path, Path]:
    """Write the script and speakers of all segments, over archives with `stored` matrices."""
    from sertk.datadir.lists import write_list
    from sertk.kaldi.tables import table_writer

    rng = np.random.default_rng(0)
    places = []
    began = time.process_time()
    for number in range(ARCHIVES):
        scp = root / f"feats.{number}.scp"
        with table_writer(f"ark,scp:{root}/feats.{number}.ark,{scp}", compress="cm2") as write:
            for i in range(stored // ARCHIVES):
                # VoxCeleb: 4 s at least, 8.1 s on average.
                frames = 400 + int(rng.exponential(410))
                write(f"{i:06d}", rng.standard_normal((frames, BINS), np.float32))
        places += [line.split(" ", 1)[1] for line in scp.read_text().splitlines()]
    size = sum(path.stat().st_size for path in root.glob("*.ark"))
    say(
        "random numbers made, packed as CM2 and written, MB/s",
        f"{size / 1e6 / (time.process_time() - began):.0f}",
    )
    per_speaker = segments / speakers
    keys = [f"id{int(i / per_speaker):05d}-{i:011x}-00001" for i in range(segments)]
    script, labels = root / "feats.scp", root / "utt2spk"
    with open(script, "w") as out:
        out.writelines(f"{key} {places[i % len(places)]}\n" for i, key in enumerate(keys))
    write_list(labels, {key: key[:7] for key in keys})
    say("the script, MB", f"{script.stat().st_size / 1e6:.0f}")
    return script, labels


def open_scp(scp: Path, what: str):
    from sertk.kaldi.tables import open_table

    before, began = rss(), time.process_time()
    with open_table(f"scp:{scp}") as table:
        opened = time.process_time() - began
        table.num_frames.sum()
        known = time.process_time() - began
        gc.collect()
        say(f"the script {what}, s (with all lengths, s; MiB)", f"{opened:.2f} ({known:.2f}; {rss() - before:.0f})")


def count_labels(labels: Path):
    from sertk.datadir.lists import read_list

    before, began = rss(), time.process_time()
    names = sorted(set(read_list(labels).values()))
    say(f"utt2spk read, {len(names)} speakers, s (MiB)", f"{time.process_time() - began:.1f} ({rss() - before:.0f})")


def load_batches(scp: Path, segments: int, batches: int = 40):
    from sertk.data.chunks import ChunkRule
    from sertk.data.loader import chunks_of, prefetch
    from sertk.data.masks import parse_policy
    from sertk.data.sampler import Sampler
    from sertk.data.store import load_store
    from sertk.kaldi.specifiers import parse_rspecifier

    store = load_store(parse_rspecifier(f"scp:{scp}"))
    rule = ChunkRule(0, tuple(map(parse_policy, POLICIES)), "repeat", "chunk")
    sampler = Sampler(0, len(store), len(POLICIES), 1, BATCH, (150, 200, 250, 300))
    began = time.process_time()
    order = sampler.batches(1)
    next(order)
    say("an epoch's order drawn, s", f"{time.process_time() - began:.2f}")
    began = time.process_time()
    chunks = 0
    for number, batch in enumerate(prefetch(lambda batch: chunks_of(store, rule, batch, 1), order), 1):
        chunks += len(batch)
        if number == batches:
            break
    say(f"loader, batches of {BATCH}, chunks a second", f"{chunks / (time.process_time() - began):.0f}")
    say("index, order, loader and torch, MiB", f"{rss():.0f}")


def train_steps(speakers: int, batch: int = 8, frames: int = 200):
    import torch

    from sertk.models.resnet import NetworkSpec, ResNet

    torch.set_num_threads(1)
    for labels in (4, speakers):
        network = ResNet(NetworkSpec(labels)).to(memory_format=torch.channels_last).train()
        optimiser = torch.optim.SGD(network.parameters(), 1e-3, 0.9)
        taken = []
        for _ in range(4):
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(torch.randn(batch, BINS, frames))
            loss = torch.nn.functional.cross_entropy(logits.float(), torch.randint(0, labels, (batch,)))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            taken.append(time.process_time() - began)
        million = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        say(f"a step of {batch} × {frames} frames, {labels} outputs, {million:.2f} M weights, ms a chunk",
            f"{1000 * sorted(taken[1:])[1] / batch:.0f}")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:5])
