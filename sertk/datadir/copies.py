"""Names of perturbed copies: the recording, and the person, that an id like `sp0.9-UTT` or `UTT-noise` is a copy of.

The affixes are those of Kaldi's scripts (perturb_data_dir_speed.sh: `sp0.9-UTT`, or `UTT-sp0.9`; reverberate_data_dir.py:
`rvb1-UTT`, formerly `rvb1_UTT`; augment_data_dir.py: `UTT-noise`, `-music`, `-babble`, `-reverb`, `-aug`;
perturb_speed_to_allowed_lengths.py: `pv1-UTT`), of Lhotse's (`UTT_sp0.9`, `UTT_vp1.2`, `UTT_rvb`), and of sertk. Any
other field (`x-UTT`) counts as an affix if the rest is a known name.
"""

import re
from collections.abc import Collection

# A factor with decimals, or the number of a copy: no corpus numbers its speakers like this.
_FACTOR = r"(?:sp|tp|vp|vol|speed|tempo|volume|pitch)-?\d+\.\d+"
_NUMBERED = r"(?:rvb|rev|reverb|noise|music|babble|speech|aug|codec|pv)\d+"
# Kaldi appends these words; in front of a name they need a number (MUSAN has names like `noise-free…`).
_WORD = r"(?:noise|music|babble|reverb|rvb|aug|codec)\d*"
# What perturb-data appends too; with a number behind them they are the names of corpora (`clip2`).
_PLAIN = "level|clip"
_PREFIX = re.compile(rf"(?:{_FACTOR}|{_NUMBERED})[-_](?=.)")
_SUFFIX = re.compile(rf"(?<=.)[-_+](?:{_FACTOR}|{_NUMBERED}|{_WORD}|{_PLAIN})$")
# Names that many corpora have.
_NUMBER = re.compile(r"(?:(?:s|sp|spk|speaker|subject|actor|f|m|female|male|p|u|utt|seg|file)[-_]?)?\d+[fm]?", re.I)
_CELEBRITY = re.compile(r"id\d{5}")
_FIELD_BEFORE, _FIELD_AFTER = re.compile(r"[^-_+]+[-_+](?=.)"), re.compile(r"(?<=.)[-_+][^-_+]+$")


def original(name: str) -> str:
    """The name without the affixes of perturbations.

    Example:
        >>> original("sp0.9-rvb1_spk-utt"), original("spk-utt-noise"), original("spk-utt")
        ('spk-utt', 'spk-utt', 'spk-utt')
    """
    while True:
        shorter = _SUFFIX.sub("", _PREFIX.sub("", name, count=1))
        if shorter == name:
            return name
        name = shorter


def telling(name: str) -> bool:
    """True if a name identifies a person across corpora; bare numbers and numbered speakers (`03`, `spk1`) do not.

    Example:
        >>> [telling(name) for name in ("id10270", "Ses01F", "03-01-05", "0103", "spk1", "F03", "jo")]
        [True, True, True, False, False, False, False]
    """
    return len(name) > 2 and not _NUMBER.fullmatch(name)


def is_celebrity(name: str) -> bool:
    """True for the names of VoxCeleb's speakers, which no other corpus uses."""
    return _CELEBRITY.fullmatch(name) is not None


def renamed(name: str, known: Collection[str]) -> str | None:
    """The name in `known` that `name` extends by one field in front or at the end, None if there is none.

    Example:
        >>> renamed("x-Ses01F-ang0", {"Ses01F-ang0"}), renamed("103-0001", {"0001"})
        ('Ses01F-ang0', None)
    """
    for field in (_FIELD_BEFORE, _FIELD_AFTER):
        shorter = field.sub("", name, count=1)
        if shorter != name and shorter in known and telling(shorter):
            return shorter
    return None
