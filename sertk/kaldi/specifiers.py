"""Kaldi's table specifiers: `scp,p:feats.scp`, `ark:-`, `ark,scp:x.ark,x.scp`, `"ark:zcat x.gz |"`.

Source: Kaldi, src/util/kaldi-table.cc, ClassifyRspecifier and ClassifyWspecifier. Also accepted, as by kaldiio, is a
writer's `scp,ark:x.scp,x.ark`.
"""

from dataclasses import dataclass
from functools import cached_property

from sertk.errors import SertkError
from sertk.kaldi.filenames import Rxfilename, parse_rxfilename

# The fields that a reader's options set. b, t, f, nf (how a table is written) and bg (buffering) have no effect here.
_READ = {
    "o": ("once", True),
    "no": ("once", False),
    "s": ("sorted", True),
    "ns": ("sorted", False),
    "cs": ("called_sorted", True),
    "ncs": ("called_sorted", False),
    "p": ("permissive", True),
    "np": ("permissive", False),
}
_READ_IGNORED = {"b", "t", "f", "nf", "bg"}
_WRITE = {
    "b": ("binary", True),
    "t": ("binary", False),
    "f": ("flush", True),
    "nf": ("flush", False),
    "p": ("permissive", True),
    "np": ("permissive", False),
}


@dataclass(frozen=True)
class Rspecifier:
    """A table to read.

    Args:
        text: the specifier as it was written.
        script: True for `scp:`, False for `ark:`.
        filename: Kaldi's rxfilename of the script or archive: a file, `-`, `command |`.
        once: promise of the caller (`o`), not needed here.
        sorted: keys are in LC_ALL=C order (`s`), which is checked while reading.
        called_sorted: promise of the caller (`cs`), not needed here.
        permissive: skip bad entries of a script, and end an archive where it is damaged (`p`).
    """

    text: str
    script: bool
    filename: str
    once: bool = False
    sorted: bool = False
    called_sorted: bool = False
    permissive: bool = False

    @cached_property
    def rxfilename(self) -> Rxfilename:
        """The parsed `filename`.

        Raises:
            SertkError: it is not an rxfilename.
        """
        return parse_rxfilename(self.filename)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Wspecifier:
    """A table to write: an archive, an archive with its script, or (script alone) the files that a script names.

    Args:
        text: the specifier as it was written.
        archive: Kaldi's wxfilename of the archive, None if there is none.
        script: Kaldi's wxfilename of the script, None if there is none.
        binary: False for text (`t`).
        flush: flush after each entry (`f`).
        permissive: with a script alone, leave out keys that it does not name (`p`).
    """

    text: str
    archive: str | None
    script: str | None
    binary: bool = True
    flush: bool = False
    permissive: bool = False

    def __str__(self) -> str:
        return self.text


def parse_rspecifier(text: str) -> Rspecifier:
    """Parse an rspecifier.

    Raises:
        SertkError: Kaldi refuses it too.

    Example:
        >>> parse_rspecifier("scp,p,s:feats.scp").filename
        'feats.scp'
    """
    words, filename = _split(text, "rspecifier")
    forms, values = [], {}
    for word in words:
        if word in ("ark", "scp"):
            forms.append(word)
        elif word in _READ:
            name, value = _READ[word]
            values[name] = value
        elif word not in _READ_IGNORED:
            raise SertkError(f"bad rspecifier '{text}': unknown option '{word}'")
    if len(forms) != 1:
        raise SertkError(f"bad rspecifier '{text}': expected ark or scp before the colon")
    return Rspecifier(text, forms[0] == "scp", filename, **values)


def parse_wspecifier(text: str) -> Wspecifier:
    """Parse a wspecifier.

    Raises:
        SertkError: Kaldi refuses it too.

    Example:
        >>> parse_wspecifier("ark,scp:x.ark,x.scp").script, parse_wspecifier("ark,t:-").binary
        ('x.scp', False)
    """
    words, filename = _split(text, "wspecifier")
    forms, values = [], {}
    for word in words:
        if word in ("ark", "scp"):
            forms.append(word)
        elif word in _WRITE:
            name, value = _WRITE[word]
            values[name] = value
        else:
            raise SertkError(f"bad wspecifier '{text}': unknown option '{word}'")
    if not forms or len(forms) != len(set(forms)):
        raise SertkError(f"bad wspecifier '{text}': expected ark, scp or ark,scp before the colon")
    files = [filename]
    if len(forms) == 2:
        # As Kaldi: the first comma ends the first name.
        first, comma, second = filename.partition(",")
        if not comma or not first.strip() or not second.strip():
            raise SertkError(f"bad wspecifier '{text}': expected two file names with a comma between")
        files = [first, second]
    names = dict(zip(forms, files))
    return Wspecifier(text, names.get("ark"), names.get("scp"), **values)


def as_rspecifier(source: "Rspecifier | str") -> Rspecifier:
    """`source`, parsed if it is text."""
    return parse_rspecifier(source) if isinstance(source, str) else source


def as_wspecifier(target: "Wspecifier | str") -> Wspecifier:
    """`target`, parsed if it is text."""
    return parse_wspecifier(target) if isinstance(target, str) else target


def _split(text: str, form: str) -> tuple[list[str], str]:
    """The options before the colon and the file name; `form` is for messages."""
    options, colon, filename = text.partition(":")
    if not colon:
        raise SertkError(f"bad {form} '{text}': it begins with ark: or scp: (a plain file is scp:FILE or ark:FILE)")
    if text != text.rstrip() or "\n" in text or "\0" in text:
        raise SertkError(f"bad {form} '{text}': it ends in white space or holds a line break")
    return [word.strip() for word in options.split(",")], filename
