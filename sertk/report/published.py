"""Published results on the same corpora, with their sources.

Padi: Padi, Sadjadi, Sriram, Manocha, "Improved Speech Emotion Recognition using Transfer Learning and Spectrogram
Augmentation", ICMI 2021. Numbers in brackets are that paper's references.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A published system: UA and WA in per cent, None if not reported."""

    system: str
    ua: float | None
    wa: float | None
    source: str


@dataclass(frozen=True)
class Published:
    """An experiment with published results.

    Args:
        name: name.
        classes: the classes in words.
        label_map: label of the corpus -> class.
        counts: segments of each class in the whole corpus.
        rows: published systems.
        scheme: cross-validation scheme of all rows.
    """

    name: str
    classes: str
    label_map: Mapping[str, str]
    counts: Mapping[str, int]
    rows: tuple[Row, ...]
    scheme: str = "loso"


TABLE_3 = "Padi 2021, Table 3"
# Both of Ma et al. 2024: "emotion2vec: Self-supervised pre-training …", and "EmoBox: Multilingual multi-corpus …".
EMOTION2VEC = "emotion2vec 2024"
EMOBOX = "EmoBox 2024"
OWN_BASELINE = "the same five folds"


def _table_3(*rows: tuple[str, float | None, float | None]) -> tuple[Row, ...]:
    """Rows (system, UA, WA) of the paper's Table 3."""
    return tuple(Row(system, ua, wa, TABLE_3) for system, ua, wa in rows)


IEMOCAP = (
    Published(
        "Exp 1", "angry, happy, neutral, sad",
        {"ang": "ang", "hap": "hap", "neu": "neu", "sad": "sad"},
        {"ang": 1103, "hap": 595, "neu": 1708, "sad": 1084},
        _table_3(
            ("BLSTM + attention [18]", 49.96, 59.33),
            ("Transformer + self-attention [40]", 58.01, 59.43),
            ("BLSTM + local attention [24]", 58.8, 63.5),
            ("BLSTM + attention [31]", 59.6, 62.5),
            ("Padi et al. 2021: the system rebuilt here", 61.61, 66.02),
        ),
    ),
    Published(
        "Exp 2", "angry, excited, neutral, sad",
        {"ang": "ang", "exc": "exc", "neu": "neu", "sad": "sad"},
        {"ang": 1103, "exc": 1041, "neu": 1708, "sad": 1084},
        _table_3(
            ("CTC-BLSTM [5]", 54, None),
            ("BLSTM + attention [42]", 55.65, None),
            ("Transformer + self-attention [40]", 64.79, 64.33),
            ("Padi et al. 2021: the system rebuilt here", 65.56, 65.62),
        ),
    ),
    Published(
        "Exp 3", "angry, happy + excited, neutral, sad",
        {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"},
        {"ang": 1103, "hap": 1636, "neu": 1708, "sad": 1084},
        _table_3(
            ("BLSTM + transfer learning [13]", 51.86, 50.47),
            ("VGG19 + GAN augmentation [4]", 54.6, None),
            ("CNN + attention + multi-task learning [26]", None, 56.10),
            ("BLSTM + self-attention [10]", 57.0, 55.7),
            ("CNN + attention + multi-task/transfer learning [27]", 59.54, None),
            ("ResTDNN + self-attention [44]", 61.32, 60.64),
            ("Padi et al. 2021: the system rebuilt here", 64.14, 63.61),
        ) + (
            Row("wav2vec2-base", None, 63.43, EMOTION2VEC),
            Row("HuBERT-base", None, 64.92, EMOTION2VEC),
            Row("WavLM-base", None, 65.94, EMOTION2VEC),
            Row("WavLM-large", None, 70.03, EMOTION2VEC),
            Row("emotion2vec", None, 71.79, EMOTION2VEC),
            Row("Whisper-large-v3", 73.54, 72.86, EMOBOX),
        ),
    ),
)  # fmt: skip

EMODB = Published(
    "EmoDB", "anger, happiness, neutral, sadness",
    {"ang": "ang", "hap": "hap", "neu": "neu", "sad": "sad"},
    {"ang": 127, "hap": 71, "neu": 79, "sad": 62},
    (
        Row("always anger", 25.0, 37.5, OWN_BASELINE),
        Row("floor: logistic regression on mean and deviation of log-mels", 74.3, 74.6, OWN_BASELINE),
        Row("openSMILE eGeMAPS functionals, linear SVM", 78.2, 79.0, OWN_BASELINE),
        Row("openSMILE ComParE 2016 functionals, linear SVM", 84.2, 85.6, OWN_BASELINE),
    ),
)  # fmt: skip

# Segment names identify the corpus: both have the same four labels.
_IEMOCAP_TURN = re.compile(r"Ses0[1-5][FM]-Ses0[1-5][FM]_(impro\d\d[ab]?|script\d\d_\d[ab]?)_[FM]\d{3}")
_EMODB_RECORDING = re.compile(r"\d\d[ab]\d\d[A-Z][a-z]")


def published(keys: Iterable[str], label_map: Mapping[str, str] | None) -> Published | None:
    """The published experiment with these segment names and this label map; None for other data.

    >>> published(["Ses01M-Ses01F_impro01_M000"], {"exc": "exc", "ang": "ang", "neu": "neu", "sad": "sad"}).name
    'Exp 2'
    >>> published(["03a01Wa"], EMODB.label_map).name, published(["mine"], EMODB.label_map)
    ('EmoDB', None)
    """
    keys = list(keys)
    for pattern, experiments in ((_IEMOCAP_TURN, IEMOCAP), (_EMODB_RECORDING, (EMODB,))):
        if keys and all(pattern.fullmatch(key) for key in keys):
            return next((experiment for experiment in experiments if experiment.label_map == label_map), None)
    return None
