"""Log-mel features in memory, compared with other libraries: one thread, 4 s utterances.

Usage: benchmarks/fbank.py [rounds]; libraries that are not installed are skipped (pip install lhotse librosa).
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import sys
import warnings

import numpy as np
from paired import compare

from sertk.frontend.fbank import Fbank

SECONDS, RATE = 4, 16000
WAVES = [np.random.default_rng(i).normal(0, 1000, SECONDS * RATE).astype(np.float32) for i in range(25)]


def sertk():
    fbank = Fbank()
    return lambda x: fbank(x)


def torchaudio():
    import torch
    from torchaudio.compliance.kaldi import fbank

    torch.set_num_threads(1)
    return lambda x: fbank(torch.from_numpy(x)[None], num_mel_bins=128, low_freq=40, high_freq=8000, dither=0.0)


def kaldi_native_fbank():
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges = 0, True
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 128, 40, 8000

    def compute(x):
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(RATE, x.tolist())
        fbank.input_finished()
        return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return compute


def lhotse():
    from lhotse.features.kaldi.extractors import Fbank as LhotseFbank
    from lhotse.features.kaldi.extractors import FbankConfig

    fbank = LhotseFbank(FbankConfig(num_filters=128, low_freq=40, high_freq=8000, dither=0.0, snip_edges=True))
    return lambda x: fbank.extract(x / 32768, RATE)


def librosa():
    from librosa.feature import melspectrogram

    return lambda x: np.log(
        melspectrogram(y=x, sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=128, fmin=40, center=False)
        + 1e-7
    )


def run(compute):
    def each():
        for x in WAVES:
            compute(x)

    return each


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    found = {}
    for make in (sertk, torchaudio, kaldi_native_fbank, lhotse, librosa):
        try:
            found[make.__name__] = run(make())
        except ImportError as error:
            print(f"{make.__name__}: not installed ({error.name})", file=sys.stderr)
    compare("fbank kernel, one thread, 100 s of speech", found, rounds, seconds_of_speech=len(WAVES) * SECONDS)
