"""Perturbed speech: samples in memory against torchaudio and scipy, and recordings to features against sox pipes.

100 s of speech in pieces of 4 s; 300 wav files of 4 s, whole processes. Usage: benchmarks/perturb.py [rounds]
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from frontend_pipe import RATE, run, write_waves
from paired import compare, machine

from sertk.frontend.perturb import perturbed
from sertk.frontend.perturb_noise import coloured_noise
from sertk.frontend.perturb_room import synthetic_response

ROOT = Path(__file__).resolve().parents[1]
PIECES, SECONDS, FILES = 25, 4, 300
MUSIC = 8 * 60  # seconds of a sound file


def write_sounds(folder: Path):
    """A long recording of noise and a room response, as 16-bit wav files."""
    import soundfile

    soundfile.write(folder / "noise.wav", coloured_noise(RATE * MUSIC, RATE, "pink", 1) / 10, RATE)
    soundfile.write(folder / "room.wav", synthetic_response(RATE, 0.5, 3, 1), RATE)


def in_memory(folder: Path, rounds: int):
    """Speed, noise and reverberation of samples."""
    import scipy.signal
    import soundfile
    import torch
    import torchaudio.functional as F

    torch.set_num_threads(1)
    pieces = [np.random.default_rng(i).normal(0, 1000, RATE * SECONDS).astype(np.float32) for i in range(PIECES)]
    noise, response = (soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in ("noise", "room"))
    tensors, lengths = [torch.from_numpy(piece)[None] for piece in pieces], torch.tensor([RATE * SECONDS])
    noise_part, room = torch.from_numpy(noise[None, : RATE * SECONDS]), torch.from_numpy(response)[None]

    def ours(text):
        return lambda: [perturbed(piece, RATE, text) for piece in pieces]

    def torchaudios(function):
        def call():
            with torch.inference_mode():
                return [function(tensor) for tensor in tensors]

        return call

    def reverberated(tensor):
        return F.fftconvolve(tensor, room)[:, : tensor.shape[1]]

    telephone = scipy.signal.butter(6, (300, 3400), "bandpass", fs=RATE, output="sos")
    named = {
        "speed 0.9": {
            "sertk `speed=0.9`": ours("speed=0.9"),
            "torchaudio `speed`": torchaudios(lambda tensor: F.speed(tensor, RATE, 0.9, lengths)[0]),
            "scipy `resample_poly`": lambda: [scipy.signal.resample_poly(piece, 10, 9) for piece in pieces],
        },
        "noise of a file of 8 minutes": {
            "sertk `noise=FILE from=99 snr=10`": ours(f"noise={folder}/noise.wav from=99 snr=10"),
            "torchaudio `add_noise`, the noise in memory": torchaudios(
                lambda tensor: F.add_noise(tensor, noise_part, torch.tensor([10.0]))
            ),
        },
        "reverberation, 0.5 s": {
            "sertk `rir=FILE`": ours(f"rir={folder}/room.wav"),
            "torchaudio `fftconvolve`, the response in memory": torchaudios(reverberated),
            "scipy `fftconvolve`": lambda: [scipy.signal.fftconvolve(piece, response) for piece in pieces],
        },
        "telephone": {
            "sertk `band=300-3400 codec=mulaw`": ours("band=300-3400 codec=mulaw"),
            "scipy `sosfilt` and `resample_poly`, no G.711": lambda: [
                scipy.signal.resample_poly(scipy.signal.resample_poly(scipy.signal.sosfilt(telephone, p), 1, 2), 2, 1)
                for p in pieces
            ],
        },
        "rooms and codecs": {
            f"sertk `{text}`": ours(text)
            for text in (
                "rir=synthetic rt60=0.4 drr=3 seed=1",
                "rir=image rt60=0.4 distance=1 seed=1",
                "codec=gsm",
                "codec=mp3 kbps=32",
                "codec=opus kbps=16",
            )
        },
    }
    for title, runs in named.items():
        compare(title.capitalize(), runs, rounds, PIECES * SECONDS)


def whole_processes(folder: Path, rounds: int):
    """Recordings to normalised features on disk: clean, perturbed here, and by a sox process for each file."""
    keys = [f"utt{i:04d}" for i in range(FILES)]
    lines = {
        "speed": "speed=0.9",
        "noise": f"noise={folder}/noise.wav from=99 snr=10",
        "room": f"rir={folder}/room.wav",
    }
    for name, text in lines.items():
        (folder / f"utt2perturb.{name}").write_text("".join(f"{key} {text}\n" for key in keys))
    sox = (f"{key} sox {folder}/{key[3:]}.wav -t wav - speed 0.9 |\n" for key in keys)
    (folder / "sox.scp").write_text("".join(sox))

    def make_fbank(*words, scp="wav.scp"):
        out = f"ark,scp:{folder}/f.ark,{folder}/f.scp"
        return [[ROOT / "bin/make-fbank", "--num-threads=1", "--cmvn=true", *words, f"scp:{folder}/{scp}", out]]

    runs = {"clean": make_fbank()}
    runs |= {text: make_fbank(f"--utt2perturb={folder}/utt2perturb.{name}") for name, text in lines.items()}
    if shutil.which("sox"):
        runs["`sox … speed 0.9 \\|` in wav.scp"] = make_fbank(scp="sox.scp")
    cpu = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, commands in runs.items():
            taken = run(commands, folder)[1]
            if i:
                cpu[name].append(taken)
    seconds = FILES * SECONDS
    print(f"{seconds} s of speech to features, one thread; CPU time, medians of {rounds} runs; {machine()}\n")
    print("| | CPU s | × real time | of which the perturbation, × real time |\n|---|---|---|---|")
    clean = np.median(cpu["clean"])
    for name, taken in cpu.items():
        taken = np.median(taken)
        alone = "" if name == "clean" else f"{seconds / max(taken - clean, 1e-3):.0f}"
        print(f"| {name.replace(str(folder), '')} | {taken:.2f} | {seconds / taken:.0f} | {alone} |")
    print()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # numpy is imported already: again, with one thread
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}).returncode)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        write_waves(Path(name), FILES, SECONDS)
        write_sounds(Path(name))
        in_memory(Path(name), rounds)
        whole_processes(Path(name), rounds)
