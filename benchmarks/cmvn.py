"""Mean and variance normalisation of segments, compared with numpy's mean and std. Usage: benchmarks/cmvn.py [rounds]"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import sys

import numpy as np
from paired import compare

from sertk.frontend.cmvn import normalise


def numpy(feats):
    return (feats - feats.mean(axis=0)) / np.maximum(feats.std(axis=0), 1e-10)


def numpy_double(feats):
    """Normalise as Kaldi does, with statistics in double precision."""
    mean, std = feats.mean(axis=0, dtype=np.float64), feats.std(axis=0, dtype=np.float64)
    return ((feats - mean) / np.maximum(std, 1e-10)).astype(np.float32)


def each(function, segments):
    for feats in segments:
        function(feats)


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    for frames in (200, 400, 1500):
        segments = [np.random.default_rng(i).normal(10, 3, (frames, 128)).astype(np.float32) for i in range(50)]
        functions = {"sertk": normalise, "numpy": numpy, "numpy, float64 statistics": numpy_double}
        runs = {name: (lambda f=function, s=segments: each(f, s)) for name, function in functions.items()}
        compare(f"normalising 50 segments of {frames} × 128", runs, rounds)
