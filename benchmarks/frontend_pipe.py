"""Recordings to normalised features on disk, whole processes with start-up: 40 minutes of 4 s wav files.

`make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark,scp:f.ark,f.scp`, and `make-fbank --cmvn=true`, against typical
scripts with torchaudio or kaldi-native-fbank and kaldiio. Usage: benchmarks/frontend_pipe.py [rounds]
"""

import os
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from statistics import median

import numpy as np
from paired import machine

ROOT = Path(__file__).resolve().parents[1]
FILES, SECONDS, RATE = 600, 4, 16000

READ = """
import kaldiio, soundfile
with kaldiio.WriteHelper("ark,scp:peer.ark,peer.scp") as write:
    for line in open("wav.scp"):
        key, path = line.split()
        samples, rate = soundfile.read(path, dtype="int16")
        feats = compute(samples)
        write(key, (feats - feats.mean(0)) / feats.std(0))
"""
TORCHAUDIO = """
import torch
from torchaudio.compliance.kaldi import fbank
def compute(samples):
    wave = torch.from_numpy(samples).float()[None]
    return fbank(wave, num_mel_bins=128, low_freq=40, high_freq=8000, dither=0.0).numpy()
"""
KNF = """
import kaldi_native_fbank as knf, numpy as np
options = knf.FbankOptions()
options.frame_opts.dither = 0
options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 128, 40, 8000
def compute(samples):
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16000, samples.astype(np.float32).tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])
"""
BIN = ROOT / "bin"
PIPE = [[BIN / "make-fbank", "scp:wav.scp", "ark:-"], [BIN / "cmvn-segment", "ark:-", "ark,scp:pipe.ark,pipe.scp"]]
ONE = [[BIN / "make-fbank", "--cmvn=true", "scp:wav.scp", "ark,scp:one.ark,one.scp"]]
# One thread each: with several, torch busy-waits on a shared machine.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
RUNS = {
    "make-fbank \\| cmvn-segment": PIPE,
    "make-fbank --cmvn=true": ONE,
    "torchaudio + kaldiio": [[sys.executable, "-c", TORCHAUDIO + READ]],
    "kaldi-native-fbank + kaldiio": [[sys.executable, "-c", KNF + READ]],
}


def run(commands, folder) -> tuple[float, float, float]:
    """Run a pipe of commands; return wall seconds, CPU seconds of all, MiB of the largest."""
    env = os.environ | (ONE_THREAD if commands[0][0] == sys.executable else {})
    start, processes, source = time.perf_counter(), [], None
    for command in commands:
        more = {"stderr": subprocess.DEVNULL} | ({} if command is commands[-1] else {"stdout": subprocess.PIPE})
        processes.append(subprocess.Popen(list(map(str, command)), stdin=source, cwd=folder, env=env, **more))
        if source:
            source.close()
        source = processes[-1].stdout
    usage = []
    for process in processes:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert status == 0, commands
        usage.append(used)
    cpu = sum(used.ru_utime + used.ru_stime for used in usage)
    return time.perf_counter() - start, cpu, max(used.ru_maxrss for used in usage) / 1024


def write_waves(folder: Path, files: int = FILES, seconds: float = SECONDS):
    lines = []
    for i in range(files):
        samples = np.random.default_rng(i).normal(0, 1000, int(seconds * RATE)).astype("<i2")
        with wave.open(str(folder / f"{i:04d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        lines.append(f"utt{i:04d} {folder}/{i:04d}.wav\n")
    (folder / "wav.scp").write_text("".join(lines))


def measure(runs: dict, rounds: int, folder) -> dict[str, list[tuple[float, float, float]]]:
    """The results of `run` for each of some pipes, interleaved."""
    found = {name: [] for name in runs}
    for i in range(rounds + 1):  # the first round warms the page cache
        for name, commands in runs.items():
            result = run(commands, folder)
            if i:
                found[name].append(result)
    return found


def print_table(found: dict[str, list[tuple[float, float, float]]], ratio: str, figure: int):
    """Medians; `ratio` is the heading of a figure (0: wall time, 1: CPU time) of the first pipe over that of each."""
    print(f"| | wall s | CPU s | largest process, MiB | {ratio} |")
    print("|---|---|---|---|---|")
    first = next(iter(found.values()))
    for name, results in found.items():
        wall, cpu, memory = (median(column) for column in zip(*results))
        times = median(a[figure] / b[figure] for a, b in zip(first, results))
        print(f"| {name} | {wall:.2f} | {cpu:.3f} | {memory:.0f} | {times:.2f} |")
    print()


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        write_waves(Path(folder))
        found = measure(RUNS, rounds, folder)
    print(f"40 minutes of speech to normalised features; medians of {rounds} interleaved runs; {machine()}\n")
    print_table(found, "the pipe's wall / this", 0)
