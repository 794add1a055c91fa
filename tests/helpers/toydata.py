"""A task that a toy network learns in seconds: each label has its own bright bins."""

from pathlib import Path

import numpy as np

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import table_writer

LABELS = ["ang", "hap", "neu", "sad"]
SETTINGS = {"fbank": {"num-mel-bins": 16}, "cmvn": "segment"}
NETWORK = ("--channels", 2, "--blocks", "1,1,1,1", "--embedding-dim", 8, "--chunk-frames", "24,32", "--num-threads", 1)


def write_toy_data(folder: Path, num_segments: int = 40, bins: int = 16, speaker: str = "spk") -> Path:
    """feats.scp, utt2label, utt2fold (two folds) of `num_segments` segments in `folder`, with `speaker` before each name."""
    rng = np.random.default_rng(0)
    keys = [f"{speaker}{i % 5}-utt{i:03d}" for i in range(num_segments)]
    with table_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp", settings=SETTINGS) as write:
        for i, key in enumerate(sorted(keys)):
            feats = rng.normal(size=(20 + i % 30, bins)).astype(np.float32)
            number = int(key[-3:])
            feats[:, 4 * (number % 4) : 4 * (number % 4) + 3] += 1.5
            write(key, feats)
    write_list(folder / "utt2label", {key: LABELS[int(key[-3:]) % 4] for key in keys})
    write_list(folder / "utt2fold", {key: str(1 + int(key[-3:]) // 4 % 2) for key in keys})
    return folder
