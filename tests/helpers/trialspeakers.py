"""Embeddings of a few speakers and lists of their trials, for the tests of what scores them."""

import numpy as np

from sertk.kaldi.tables import table_writer


class Speakers:
    """Four speakers of five utterances, every pair a trial; 20 dimensions, moved away from the origin."""

    def __init__(self, root):
        self.root, rng = root, np.random.default_rng(0)
        voices = rng.normal(0, 1, (4, 20))
        self.vectors = {
            f"id{s}-vid-{n}": (voices[s] + rng.normal(0, 1.2, 20) + 2).astype(np.float32)
            for s in range(4)
            for n in range(5)
        }
        names = list(self.vectors)
        self.pairs = [(a, b, a[:3] == b[:3]) for i, a in enumerate(names) for b in names[i + 1 :]]
        self.settings = {"trained_on": {"keys": ["libri-1"], "speakers": ["libri"]}}
        self.list = root / "trials"
        self.list.write_text("".join(f"{a} {b} {'target' if t else 'nontarget'}\n" for a, b, t in self.pairs))
        listed = [*((name, name[:3]) for name in names), ("libri-1", "libri")]
        (root / "utt2spk").write_text("".join(f"{name} {speaker}\n" for name, speaker in listed))

    def write(self):
        with table_writer(
            f"ark,scp:{self.root}/e.ark,{self.root}/e.scp", kind="vector", settings=self.settings
        ) as write:
            for name, vector in self.vectors.items():
                write(name, vector)
        return f"scp:{self.root}/e.scp"

    def scores(self, mean=0.0):
        rows = {name: vector.astype(float) - mean for name, vector in self.vectors.items()}
        rows = {name: row / np.linalg.norm(row) for name, row in rows.items()}
        scored = [(rows[a] @ rows[b], t) for a, b, t in self.pairs]
        return [s for s, t in scored if t], [s for s, t in scored if not t]


def write_others(root, name, speakers, seed=1, model=None, dim=20):
    """Ten utterances of each of some speakers, with a list of all their pairs."""
    rng = np.random.default_rng(seed)
    vectors = {}
    for speaker in speakers:
        voice = rng.normal(0, 1, dim)
        vectors |= {f"{speaker}-{n}": (voice + rng.normal(0, 1.2, dim) + 2).astype(np.float32) for n in range(10)}
    (root / name).mkdir()
    settings = {"model": model} if model else {}
    with table_writer(f"ark,scp:{root}/{name}/e.ark,{root}/{name}/e.scp", kind="vector", settings=settings) as write:
        for key, vector in vectors.items():
            write(key, vector)
    keys = list(vectors)
    pairs = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :]]
    spk = {key: key.rpartition("-")[0] for key in keys}
    lines = (f"{a} {b} {'target' if spk[a] == spk[b] else 'nontarget'}\n" for a, b in pairs)
    (root / name / "trials").write_text("".join(lines))
    (root / name / "utt2spk").write_text("".join(f"{key} {speaker}\n" for key, speaker in spk.items()))
    return vectors, f"scp:{root}/{name}/e.scp"
