"""Kaldi's table specifiers: `scp,p:feats.scp`, `ark:-`, `ark,scp:x.ark,x.scp`, `"ark:zcat x.gz |"`.

Source: Kaldi, src/util/kaldi-table.cc, ClassifyRspecifier and ClassifyWspecifier. Taken beyond Kaldi: a writer's
`scp,ark:x.scp,x.ark`, since kaldiio's users know it.

    >>> parse_rspecifier("scp,p,s:feats.scp").filename
    'feats.scp'
    >>> parse_wspecifier("ark,t:-").binary
    False
"""

from dataclasses import dataclass

from sertk.errors import SertkError

# What a reader's letters set; b, t, f and nf say how a table is written, bg how it is buffered: no reader needs them.
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

    script: True for `scp:`, False for `ark:`
    filename: Kaldi's rxfilename of the script or archive: a file, `-`, `command |`
    once, called_sorted: promises of the caller (`o`, `cs`); a sequential reader has no use for them
    sorted: the keys are promised to be in LC_ALL=C order (`s`): checked while reading
    permissive: bad entries of a script are skipped, a broken archive ends at the break (`p`)
    """

    text: str
    script: bool
    filename: str
    once: bool = False
    sorted: bool = False
    called_sorted: bool = False
    permissive: bool = False

    def __str__(self):
        return self.text


@dataclass(frozen=True)
class Wspecifier:
    """A table to write: an archive, an archive with its script, or (script alone) the files that a script names.

    archive, script: Kaldi's wxfilenames, None where there is none
    binary: False for text (`t`)
    flush: hand over every entry as soon as it is written (`f`)
    permissive: with a script alone: keys that it does not name are left out (`p`)
    """

    text: str
    archive: str | None
    script: str | None
    binary: bool = True
    flush: bool = False
    permissive: bool = False

    def __str__(self):
        return self.text


def parse_rspecifier(text: str) -> Rspecifier:
    """`scp,p:feats.scp` as a Rspecifier; SertkError for what Kaldi refuses."""
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
        raise SertkError(f"bad rspecifier '{text}': one of ark and scp is wanted before the colon")
    return Rspecifier(text, forms[0] == "scp", filename, **values)


def parse_wspecifier(text: str) -> Wspecifier:
    """`ark,scp:x.ark,x.scp` as a Wspecifier; SertkError for what Kaldi refuses."""
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
        raise SertkError(f"bad wspecifier '{text}': ark, scp or ark,scp is wanted before the colon")
    files = [filename]
    if len(forms) == 2:
        # As Kaldi: the first comma ends the first name.
        first, comma, second = filename.partition(",")
        if not comma or not first.strip() or not second.strip():
            raise SertkError(f"bad wspecifier '{text}': two file names with a comma between are wanted")
        files = [first, second]
    named = dict(zip(forms, files))
    return Wspecifier(text, named.get("ark"), named.get("scp"), **values)


def as_rspecifier(source: "Rspecifier | str") -> Rspecifier:
    return parse_rspecifier(source) if isinstance(source, str) else source


def as_wspecifier(target: "Wspecifier | str") -> Wspecifier:
    return parse_wspecifier(target) if isinstance(target, str) else target


def _split(text: str, what: str) -> tuple[list[str], str]:
    options, colon, filename = text.partition(":")
    if not colon:
        raise SertkError(f"bad {what} '{text}': it begins with ark: or scp: (a plain file is scp:FILE or ark:FILE)")
    if text != text.rstrip() or "\n" in text or "\0" in text:
        raise SertkError(f"bad {what} '{text}': it ends in white space or holds a line break")
    return [word.strip() for word in options.split(",")], filename
