"""Names of any script and length in a figure: fonts that have their letters, short forms where there is no room.

matplotlib draws a letter by the first family of a list that has it. DejaVu Sans, which comes with it, has Latin, Greek,
Cyrillic, Arabic and Hebrew; for others the machine's own fonts are looked through, those that are known to be good first.
"""

import logging
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from textwrap import shorten

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from sertk.scoring.columns import cells

log = logging.getLogger("sertk")

BASE = "DejaVu Sans"
# Looked at before others, which may be ornamental.
_PREFERRED = ("Noto Sans", "Source Han Sans", "WenQuanYi", "PingFang", "Hiragino", "Microsoft YaHei", "Malgun", "IPA",
              "Takao", "Lohit", "FreeSans", "Arial", "Noto Serif", "Unifont")  # fmt: skip
# Boxes for every letter, and pictures in colours, which matplotlib does not draw.
_USELESS = ("Last Resort", "Color Emoji", "Apple Color")
# What of Debian's packages has the letters whose Unicode name begins so.
_PACKAGES = (
    (("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC"), "fonts-noto-cjk"),
    (("EMOJI",), "fonts-symbola"),
    (("",), "fonts-noto-core"),
)
# A name is shortened to so many cells, and turned where it would touch its neighbour.
LONGEST = 22
_warned: set[str] = set()


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font file has glyphs for; none where matplotlib cannot read it."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """(family, file) of the machine's fonts, the better ones first; those too that came after matplotlib's own list."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            try:
                font_manager.fontManager.addfont(path)
            except (OSError, RuntimeError, ValueError):
                log.debug("%s: matplotlib cannot read this font", path)
    plain = [entry for entry in font_manager.fontManager.ttflist if entry.style == "normal"]
    plain = [entry for entry in plain if not any(word in entry.name for word in _USELESS)]
    rank = {name: number for number, name in enumerate(_PREFERRED)}

    def order(entry):
        first = next((rank[name] for name in rank if entry.name.startswith(name)), len(rank))
        return first, abs(_weight(entry.weight) - 400), entry.name, entry.fname

    return tuple((entry.name, entry.fname) for entry in sorted(plain, key=order))


def _weight(weight) -> int:
    return weight if isinstance(weight, int) else font_manager.weight_dict.get(weight, 400)


@cache
def _family_of(letter: str) -> str | None:
    """The family that has a letter, None where no font of this machine has it."""
    base = font_manager.findfont(font_manager.FontProperties(family=BASE))
    if ord(letter) in _letters(base):
        return BASE
    return next((family for family, path in _fonts() if ord(letter) in _letters(path)), None)


def _plain(text: str) -> str:
    """`text` composed, without what is not drawn at all (joiners, variation selectors, control characters)."""
    text = unicodedata.normalize("NFC", text)
    return "".join(c for c in text if not (unicodedata.category(c) in ("Cf", "Cc", "Cs") or 0xFE00 <= ord(c) <= 0xFE0F))


def families(texts: Iterable[str]) -> list[str]:
    """The families that draw `texts`, DejaVu Sans first."""
    found = (_family_of(letter) for letter in dict.fromkeys("".join(map(_plain, texts))))
    return list(dict.fromkeys([BASE, *(family for family in found if family)]))


def missing(text: str) -> list[str]:
    """The letters of `text` that no font of this machine has."""
    return [letter for letter in dict.fromkeys(_plain(text)) if not letter.isspace() and not _family_of(letter)]


def _package(letter: str) -> str:
    name = "EMOJI" if unicodedata.category(letter) == "So" else unicodedata.name(letter, "")
    return next(package for starts, package in _PACKAGES if name.startswith(starts))


def _stripped(text: str) -> str:
    """`text` without the letters that no font has."""
    lost = missing(text)
    return "".join(letter for letter in _plain(text) if letter not in lost).strip(" /_-.,|()[]")


def readable(text: str) -> str:
    """`text` as it can be drawn: without letters that no font has, of which is warned once."""
    if not missing(text):
        return _plain(text)
    shown = _stripped(text) or "?"
    warn_of({text: shown})
    return shown


def warn_of(shown: Mapping[str, str]) -> None:
    """Warn in one line of texts that are written otherwise, and of the Debian packages of fonts that have their letters."""
    new = {text: short for text, short in shown.items() if text not in _warned}
    if not new:
        return
    _warned.update(new)
    packages = ", ".join(dict.fromkeys(_package(letter) for text in new for letter in missing(text)))
    told = ", ".join(f"'{text}' is written '{short}'" for text, short in new.items())
    log.warning("no font here has all letters: in figures %s (Debian: %s)", told, packages)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells.

    >>> cut("disappointment", 8), cut("生气生气", 6), cut("neutral", 8)
    ('disappo…', '生气…', 'neutral')
    """
    if cells(text) <= width:
        return text
    kept = ""
    for letter in text:
        if cells(kept + letter) > width - 1:
            break
        kept += letter
    return kept + "…"


def wrapped(text: str, width: int) -> str:
    """`text` in two lines of at most `width` cells, cut where these are too few."""
    if cells(text) <= width:
        return text
    first = shorten(text, width, placeholder="") if cells(text) == len(text) else ""
    first = first or cut(text, width).rstrip("…")
    return f"{first}\n{cut(text[len(first) :].strip(), width)}"


@dataclass(frozen=True)
class Names:
    """How names are written in a figure, each in a form of its own, and the key to those that are written otherwise."""

    shown: list[str]
    key: str

    @property
    def width(self) -> int:
        """Cells of the longest."""
        return max(map(cells, self.shown))


def names_in_figure(names: Sequence[str], width: int = LONGEST) -> Names:
    """The names as they can be drawn in `width` cells.

    Those that lose letters or are alike after they were cut are numbered, by their place from 1.
    """
    shown, lost = [], {}
    for number, name in enumerate(names, 1):
        short = _plain(name)
        if missing(name):
            short = _stripped(name)
            if not any(letter.isalnum() for letter in short):
                short = f"class {number}"
            lost[name] = short
        shown.append(cut(short, width))
    warn_of(lost)
    alike = {name for name in shown if shown.count(name) > 1}
    shown = [cut(f"{n} {name}", width) if name in alike else name for n, name in enumerate(shown, 1)]
    told = [f"{short} is {name}" for short, name in zip(shown, names) if short != _plain(name)]
    return Names(shown, f"In the figure, {', '.join(told)}." if told else "")
