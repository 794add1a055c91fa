"""A small scored experiment on disk, for the tests of what reads one."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sertk.kaldi.tables import table_writer
from sertk.scoring.foldfiles import write_folds
from sertk.scoring.folds import Folds, divide

LABELS = ("ang", "neu", "sad")


@dataclass
class Experiment:
    """Sessions Ses01 to Ses03 of two speakers and two dialogs, six segments of each class a session.

    `posteriors` and `settings` (by fold) may be changed before `write`.
    """

    root: Path
    scheme: str = "loso"
    seed: int = 0
    skill: float = 1.5
    utt2label: dict = field(default_factory=dict)
    utt2spk: dict = field(default_factory=dict)
    utt2dialog: dict = field(default_factory=dict)
    posteriors: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    folds: Folds = None

    def __post_init__(self):
        utt2session = {}
        for session in ("Ses01", "Ses02", "Ses03"):
            for label in LABELS:
                for n in range(6):
                    utt = f"{session}{'FM'[n % 2]}-{label}{n}"
                    self.utt2label[utt], self.utt2spk[utt] = label, utt.split("-")[0]
                    utt2session[utt], self.utt2dialog[utt] = session, f"{session}_{'impro' if n < 3 else 'script'}"
        maps = {"session": utt2session, "speaker": self.utt2spk}
        self.folds = divide(self.scheme, self.utt2label, LABELS, maps, None if self.scheme == "loso" else 3, self.seed)
        rng = np.random.default_rng(self.seed)
        for utt, label in self.utt2label.items():
            logits = rng.normal(0, 1, len(LABELS))
            logits[LABELS.index(label)] += self.skill
            self.posteriors[utt] = (np.exp(logits) / np.exp(logits).sum()).astype(np.float32)
        for fold in (1, 2, 3):
            training = [utt for utt, n in self.folds.utt2fold.items() if n != fold]
            self.settings[fold] = {
                "labels": list(LABELS),
                "trained_on": {
                    "fold": fold,
                    "keys": training,
                    "speakers": sorted({self.utt2spk[utt] for utt in training}),
                    "sessions": sorted({utt2session[utt] for utt in training}),
                    "select": "last",
                },
            }
        write_folds(self.root / "folds", self.folds, maps, {"part": "all", "stamps": []})
        for name in ("utt2spk", "utt2dialog"):
            (self.root / name).write_text("".join(f"{utt} {value}\n" for utt, value in getattr(self, name).items()))

    def write(self, name: str = "exp") -> Path:
        """exp/{1,2,3}/scores.{ark,scp}, as predict-emotion leaves them."""
        for fold in (1, 2, 3):
            folder = self.root / name / str(fold)
            folder.mkdir(parents=True)
            target = f"ark,scp:{folder}/scores.ark,{folder}/scores.scp"
            with table_writer(target, kind="vector", settings=self.settings[fold]) as write:
                for utt, vector in self.posteriors.items():
                    if self.folds.utt2fold.get(utt, fold) == fold:
                        write(utt, vector)
        return self.root / name

    @property
    def arguments(self) -> list[str]:
        return [str(self.root / "folds" / "utt2label"), str(self.root / "folds" / "utt2fold")]


def score(call, made, *options, source=None, code=0):
    """Call score-loso on an experiment."""
    return call("score-loso", *options, *made.arguments, source or made.root / "exp", code=code)
