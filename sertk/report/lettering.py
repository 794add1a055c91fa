"""Fonts and short forms for names of any script and length in figures.

matplotlib draws a character with the first family of a list that has it. Its own DejaVu Sans has Latin, Greek, Cyrillic, Arabic
and Hebrew; for other scripts the fonts of the machine are searched, well-known text fonts first.
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
# Searched before others, which may be ornamental.
_PREFERRED = ("Noto Sans", "Source Han Sans", "WenQuanYi", "PingFang", "Hiragino", "Microsoft YaHei", "Malgun", "IPA",
              "Takao", "Lohit", "FreeSans", "Arial", "Noto Serif", "Unifont")  # fmt: skip
# Placeholder boxes for all characters, and colour bitmaps, which matplotlib cannot draw.
_USELESS = ("Last Resort", "Color Emoji", "Apple Color")
# Start of a character's Unicode name -> Debian package of a font that has it.
_PACKAGES = (
    (("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC"), "fonts-noto-cjk"),
    (("EMOJI",), "fonts-symbola"),
    (("",), "fonts-noto-core"),
)
# Names are cut to this many cells.
LONGEST = 22
_warned: set[str] = set()


@cache
def _letters(path: str) -> frozenset[int]:
    """Code points of a font file's glyphs; none if matplotlib cannot read it."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """(family, file) of the machine's fonts in order of preference, also those newer than matplotlib's cached list."""
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

    def order(entry: font_manager.FontEntry) -> tuple[int, int, str, str]:
        first = next((rank[name] for name in rank if entry.name.startswith(name)), len(rank))
        return first, abs(_weight(entry.weight) - 400), entry.name, entry.fname

    return tuple((entry.name, entry.fname) for entry in sorted(plain, key=order))


def _weight(weight: int | str) -> int:
    """A font weight as a number; 400 is regular."""
    return weight if isinstance(weight, int) else font_manager.weight_dict.get(weight, 400)


@cache
def _family_of(letter: str) -> str | None:
    """Family that has a character, None if no font of this machine has it."""
    base = font_manager.findfont(font_manager.FontProperties(family=BASE))
    if ord(letter) in _letters(base):
        return BASE
    return next((family for family, path in _fonts() if ord(letter) in _letters(path)), None)


def _plain(text: str) -> str:
    """`text` in composed form (NFC), without invisible characters: joiners, variation selectors, control characters."""
    text = unicodedata.normalize("NFC", text)
    return "".join(c for c in text if not (unicodedata.category(c) in ("Cf", "Cc", "Cs") or 0xFE00 <= ord(c) <= 0xFE0F))


def families(texts: Iterable[str]) -> list[str]:
    """Families needed to draw `texts`, DejaVu Sans first."""
    fonts = (_family_of(letter) for letter in dict.fromkeys("".join(map(_plain, texts))))
    return list(dict.fromkeys([BASE, *(family for family in fonts if family)]))


def missing(text: str) -> list[str]:
    """Characters of `text` that no font of this machine has."""
    return [letter for letter in dict.fromkeys(_plain(text)) if not letter.isspace() and not _family_of(letter)]


def _package(letter: str) -> str:
    """Debian package of a font that has a character."""
    name = "EMOJI" if unicodedata.category(letter) == "So" else unicodedata.name(letter, "")
    return next(package for starts, package in _PACKAGES if name.startswith(starts))


def _stripped(text: str) -> str:
    """`text` without the characters that no font has."""
    lost = missing(text)
    return "".join(letter for letter in _plain(text) if letter not in lost).strip(" /_-.,|()[]")


def readable(text: str) -> str:
    """`text` without characters that no font has; warns once for each text."""
    if not missing(text):
        return _plain(text)
    shown = _stripped(text) or "?"
    warn_of({text: shown})
    return shown


def warn_of(shown: Mapping[str, str]) -> None:
    """Warn in one line of texts that lose characters, with the Debian packages of fonts that have them."""
    new = {text: short for text, short in shown.items() if text not in _warned}
    if not new:
        return
    _warned.update(new)
    packages = ", ".join(dict.fromkeys(_package(letter) for text in new for letter in missing(text)))
    changes = ", ".join(f"'{text}' is shown as '{short}'" for text, short in new.items())
    log.warning("missing fonts: in figures %s (Debian packages: %s)", changes, packages)


def cut(text: str, width: int) -> str:
    """Cut `text` to at most `width` cells.

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
    """Wrap `text` into at most two lines of `width` cells, and cut the rest."""
    if cells(text) <= width:
        return text
    first = shorten(text, width, placeholder="") if cells(text) == len(text) else ""
    first = first or cut(text, width).rstrip("…")
    return f"{first}\n{cut(text[len(first) :].strip(), width)}"


@dataclass(frozen=True)
class Names:
    """Names as displayed in a figure.

    Args:
        shown: distinct short forms.
        key: a sentence that lists the short forms, "" if all names are unchanged.
    """

    shown: list[str]
    key: str

    @property
    def width(self) -> int:
        """Width of the longest one in cells."""
        return max(map(cells, self.shown))


def names_in_figure(names: Sequence[str], width: int = LONGEST) -> Names:
    """Distinct short forms of names.

    Names without drawable characters, and names that are equal after cutting, are numbered by position from 1.

    Args:
        names: the names.
        width: cells for each.
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
    changes = [f"{short} is {name}" for short, name in zip(shown, names) if short != _plain(name)]
    return Names(shown, f"In the figure, {', '.join(changes)}." if changes else "")
