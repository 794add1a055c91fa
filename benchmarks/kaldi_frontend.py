"""A small job, compared with Kaldi's programs: 339 recordings of 2.8 s (EmoDB's size) to normalised features on disk.

`make-fbank --cmvn=true scp:wav.scp ark,scp:f.ark,f.scp` against `compute-fbank-feats … | apply-cmvn …` with statistics
computed beforehand; CPU time of whole processes with start-up, one thread each, alternating. Usage:
KALDI_BIN=/path/to/kaldi/programs benchmarks/kaldi_frontend.py [rounds [wav.scp]]
"""

import os
import sys
import tempfile
from pathlib import Path

from frontend_pipe import BIN, measure, print_table, run, write_waves
from paired import machine

FBANK = ["--dither=0", "--num-mel-bins=128", "--low-freq=40", "--high-freq=8000"]

if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    kaldi = os.environ.get("KALDI_BIN")
    if not kaldi:
        sys.exit(print("skipped: KALDI_BIN does not say where Kaldi's compute-fbank-feats and apply-cmvn are\n"))
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    fbank = [Path(kaldi, "compute-fbank-feats"), *FBANK]
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 2:
            Path(folder, "wav.scp").write_text(Path(sys.argv[2]).read_text())
        else:
            write_waves(Path(folder), files=339, seconds=2.8)
        run([[*fbank, "scp:wav.scp", "ark:raw.ark"]], folder)
        run([[Path(kaldi, "compute-cmvn-stats"), "ark:raw.ark", "ark:stats.ark"]], folder)
        ours = [BIN / "make-fbank", "--cmvn=true", "--num-threads=1"]
        apply = [Path(kaldi, "apply-cmvn"), "--norm-vars=true", "ark:stats.ark"]
        runs = {
            "Kaldi: `compute-fbank-feats \\| apply-cmvn`":
                [[*fbank, "scp:wav.scp", "ark:-"], [*apply, "ark:-", "ark,scp:kaldi.ark,kaldi.scp"]],
            "`make-fbank --cmvn=true`": [[*ours, "scp:wav.scp", "ark,scp:ours.ark,ours.scp"]],
            "the same for one recording": [[*ours, "scp:head -n 1 wav.scp |", "ark,scp:one.ark,one.scp"]],
        }  # fmt: skip
        found = measure(runs, rounds, folder)
        count = len(Path(folder, "ours.scp").read_text().splitlines())
    print(f"{count} recordings to normalised features; medians of {rounds} interleaved runs; {machine()}\n")
    print_table(found, "Kaldi's CPU / this", 1)
