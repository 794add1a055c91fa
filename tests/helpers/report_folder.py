"""A small experiments' folder in the shape that egs/iemocap leaves, with its data folder."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sertk.kaldi.tables import table_writer
from sertk.scoring.evaluation import score_folder
from sertk.scoring.foldfiles import write_folds
from sertk.scoring.folds import divide, map_labels

MAPS = {
    "exp1": {"ang": "ang", "hap": "hap", "neu": "neu", "sad": "sad"},
    "exp3": {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"},
}
LABELS = ("ang", "hap", "exc", "neu", "sad")
RATE, BINS = 16000, 24


@dataclass
class Corpus:
    """Five sessions of two speakers; of every speaker, dialog and label one segment."""

    root: Path
    stamps: tuple[str, ...] = ()

    def __post_init__(self):
        self.maps = {
            name: {} for name in ("utt2label", "utt2spk", "utt2session", "utt2dialog", "utt2num_frames", "text")
        }
        self.maps |= {"utt2votes": {}, "wav.scp": {}}
        for session in range(1, 6):
            for sex in "FM":
                for dialog in ("impro01", "script01_1"):
                    for n, label in enumerate(LABELS):
                        self._add(f"Ses0{session}", sex, f"Ses0{session}F_{dialog}", n, label)
        self.rng = np.random.default_rng(0)

    def _add(self, session, sex, dialog, n, label):
        speaker = session + sex
        key = f"{speaker}-{dialog}_{sex}{n:03d}"
        values = (label, speaker, session, dialog, f"{100 + len(self.maps['text'])}", f"well <b>|{n}|</b>")
        for name, value in zip(self.maps, values):
            self.maps[name][key] = value
        self.maps["utt2votes"][key] = "E1=ang E2=ang" if n % 2 else "E1=ang E2=sad"
        self.maps["wav.scp"][key] = str(self.root / "data" / "tone.wav")

    def write_data(self) -> Path:
        """The data folder: maps, one recording for all, features."""
        folder = self.root / "data"
        folder.mkdir(parents=True)
        for name, values in self.maps.items():
            (folder / name).write_text("".join(f"{key} {values[key]}\n" for key in sorted(values)))
        speakers = sorted(set(self.maps["utt2spk"].values()))
        (folder / "spk2gender").write_text("".join(f"{name} {name[-1].lower()}\n" for name in speakers))
        soundfile.write(folder / "tone.wav", np.sin(np.arange(RATE // 4) / 9) * 0.3, RATE)
        with table_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp", settings={"cmvn": "segment"}) as write:
            for key in sorted(self.maps["utt2label"]):
                write(key, self.rng.normal(size=(120, BINS)).astype(np.float32))
        return folder

    def write_system(self, name: str, skill: float, kind: str = "trunk", epochs: int = 3, select="last") -> Path:
        """exp/NAME with scores, training records and results; exp/<experiment>/folds where it is not there yet.

        kind: how the record calls what the network began from ("" nothing); select: the rule that chose the epoch.
        """
        experiment = name.split("_")[0]
        folder, folds_dir = self.root / "exp" / name, self.root / "exp" / experiment / "folds"
        utt2label, labels = map_labels(self.maps["utt2label"], MAPS[experiment])
        maps = {"session": self.maps["utt2session"], "speaker": self.maps["utt2spk"]}
        folds = divide("loso", utt2label, labels, maps)
        if not folds_dir.exists():
            settings = {"label_map": MAPS[experiment], "part": "all", "seed": 0, "stamps": list(self.stamps)}
            write_folds(folds_dir, folds, maps, settings)
        for fold in range(1, 6):
            self._write_fold(folder / str(fold), folds, fold, labels, skill, kind, epochs, select)
        clusters = [self.root / "clusters"]
        clusters[0].write_text("".join(f"{key} {self.maps['utt2dialog'][key]}\n" for key in utt2label))
        found = score_folder(folds_dir / "utt2label", folds_dir / "utt2fold", str(folder), clusters=clusters)
        (folder / "results.json").write_text(json.dumps(found, allow_nan=False))
        return folder

    def _write_fold(self, folder, folds, fold, labels, skill, kind, epochs, select):
        folder.mkdir(parents=True)
        training = sorted(utt for utt, n in folds.utt2fold.items() if n != fold)
        record = {"fold": str(fold), "keys": training, "segments": len(training), "select": select,
                  "chosen_epoch": epochs - fold % 2 * (select != "last")}  # fmt: skip
        record |= {kind: {"speakers": ["id10001"]}} if kind else {}
        settings = {"labels": list(labels), "model": "f00d" * 16, "at": "posterior", "trained_on": record,
                    "frontend": {"cmvn": "segment"}}  # fmt: skip
        with table_writer(f"ark:{folder}/scores.ark", kind="vector", settings=settings) as write:
            for utt, label in folds.utt2label.items():
                if folds.utt2fold[utt] == fold:
                    logits = self.rng.normal(0, 1, len(labels))
                    logits[labels.index(label)] += skill
                    write(utt, (np.exp(logits) / np.exp(logits).sum()).astype(np.float32))
        lines = [
            {"epoch": n, "loss": 1.4 / n, "accuracy": 1 - 0.7 / n, "learning_rate": 0.01}
            | ({} if kind == "trunk" else {"chunks_per_second": 90.0 + n})
            for n in range(1, epochs + 1)
        ]
        (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "train.conf").write_text("--epochs=3\n--learning-rate=0.01\n")


def make(root: Path, stamps=()) -> Corpus:
    """A data folder, exp1 with and without transfer, exp3."""
    corpus = Corpus(root, stamps)
    corpus.write_data()
    corpus.write_system("exp1", 2.0)
    corpus.write_system("exp1_scratch", 0.8, kind="")
    corpus.write_system("exp3", 2.5)
    return corpus
