"""Data folders with one thing wrong or unusual each, and whether Kaldi's validate_data_dir.sh accepts them.

The answers were given by the script of Kaldi commit f4007661 (egs/wsj/s5/utils/validate_data_dir.sh), called with the
options that fit what the folder lacks, where there is a locale C.UTF-8; with KALDI_S5 set, test_beside_kaldi.py asks it
anew.
"""

from pathlib import Path

from datafolder import UTTERANCES, make

SPEAKERS = sorted({utterance.split("-")[0] for utterance in UTTERANCES})
NBSP = chr(0xA0)


def lines(name, change):
    """Change the lines of a list, given and taken as a list of str without their ends."""

    def damage(folder: Path):
        found = (folder / name).read_text().splitlines() if (folder / name).exists() else []
        (folder / name).write_text("".join(f"{line}\n" for line in change(found)))

    return damage


def text(name, content):
    def damage(folder: Path):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def each(name, value, keys=UTTERANCES):
    return text(name, "".join(f"{key} {value}\n" for key in keys))


def without(*names):
    def damage(folder: Path):
        for name in names:
            (folder / name).unlink()

    return damage


def both(*damages):
    def damage(folder: Path):
        for one in damages:
            one(folder)

    return damage


def first(line):
    """Put a line in the place of the first one; a {} in it is what stood there."""
    return lambda found: [line.replace("{}", found[0]), *found[1:]]


def segmented(line="{0} r{0} 0.5 1.5", wav=None, **more):
    """Every utterance a part of a recording of its own; `line` is that of the first utterance."""

    def damage(folder: Path):
        good = [f"{key} r{key} 0.5 1.5" for key in UTTERANCES]
        (folder / "segments").write_text("\n".join([line.format(UTTERANCES[0]), *good[1:]]) + "\n")
        (folder / "wav.scp").write_text(wav or "".join(f"r{key} {key}.wav\n" for key in UTTERANCES))
        for name, content in more.items():
            (folder / name).write_text(content)

    return damage


def one_speaker(folder: Path):
    (folder / "utt2spk").write_text("".join(f"{key} global\n" for key in UTTERANCES))
    (folder / "spk2utt").write_text(f"global {' '.join(UTTERANCES)}\n")
    (folder / "spk2gender").unlink()


def windows(folder: Path):
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def second(form: str, space: str = " "):
    """The second line in another form, its spaces replaced."""
    return lambda found: [found[0], form.format(found[1].replace(" ", space)), *found[2:]]


# name: (what is done to a good folder, whether Kaldi accepts it)
DAMAGES = {
    "nothing": (lambda folder: None, True),
    "no newline at the end of utt2spk": (lambda f: text("utt2spk", (f / "utt2spk").read_bytes()[:-1])(f), False),
    "no newline at the end of wav.scp": (lambda f: text("wav.scp", (f / "wav.scp").read_bytes()[:-1])(f), False),
    "no newline at the end of utt2dur": (lambda f: text("utt2dur", (f / "utt2dur").read_bytes()[:-1])(f), False),
    "no newline at the end of text": (lambda f: text("text", (f / "text").read_bytes()[:-1])(f), False),
    "utt2spk out of order": (lines("utt2spk", lambda found: found[::-1]), False),
    "utt2spk with a key twice": (lines("utt2spk", lambda found: [found[0], *found]), False),
    "utt2spk with a third column": (lines("utt2spk", first("{} x")), True),
    "utt2spk with an empty line": (lines("utt2spk", lambda found: ["", *found]), True),
    "utt2spk with a speaker in another order": (lines("utt2spk", first("spk0-utt0 zoe")), False),
    "utt2spk empty": (text("utt2spk", ""), False),
    "utt2spk with tabs": (lines("utt2spk", lambda found: [line.replace(" ", "\t") for line in found]), True),
    "utt2spk with a space before a line": (lines("utt2spk", second(" {}")), False),
    "utt2spk with two spaces in a line": (lines("utt2spk", second("{}", "  ")), False),
    "utt2spk with a tab in a line": (lines("utt2spk", lambda found: [found[0].replace(" ", "\t"), *found[1:]]), True),
    "utt2spk with a tab in the second line": (lines("utt2spk", second("{}", "\t")), False),
    "utt2spk with spaces at the ends of lines": (lines("utt2spk", lambda found: [f"{line}  " for line in found]), True),
    "wav.scp with a space before a line": (lines("wav.scp", second(" {}")), True),
    "no utt2spk": (without("utt2spk"), False),
    "no spk2utt": (without("spk2utt"), False),
    "spk2utt out of order": (lines("spk2utt", lambda found: found[::-1]), False),
    "spk2utt lacks an utterance": (lines("spk2utt", lambda found: [found[0].rsplit(" ", 1)[0], *found[1:]]), False),
    "spk2utt in another order within": (lines("spk2utt", first("spk0 spk0-utt1 spk0-utt0 spk0-utt2")), False),
    "spk2utt lacks a speaker": (lines("spk2utt", lambda found: found[1:]), False),
    "one speaker for all": (one_speaker, True),
    "speakers of one utterance each": (both(lines("utt2spk", lambda found: [f"{key} {key}" for key in UTTERANCES]),
                                            lines("spk2utt", lambda found: [f"{key} {key}" for key in UTTERANCES]),
                                            without("spk2gender")), True),
    "no text": (without("text"), True),
    "text with an empty transcript": (lines("text", first("spk0-utt0")), True),
    "text empty": (text("text", ""), False),
    "text lacks an utterance": (lines("text", lambda found: found[1:]), False),
    "text has a stranger": (lines("text", lambda found: [*found, "spk9-utt9 x"]), False),
    "text with <s>": (lines("text", first("{} <s>")), False),
    "text with </s>": (lines("text", first("{} </s> x")), False),
    "text with #0": (lines("text", first("{} #0")), False),
    "text with #0 within a word": (lines("text", first("{} a#0")), True),
    "text with a no-break space": (lines("text", first("{} a" + NBSP + "b")), False),
    "text with an ideographic space": (lines("text", first("{} a" + chr(0x3000) + "b")), False),
    "text with a control character": (lines("text", first("{} a\x01b")), False),
    "text in Greek and Chinese": (lines("text", first("{} καλημέρα 你好")), True),
    "text in two lines of CR LF": (lambda f: text("text", (f / "text").read_bytes().replace(b"\n", b"\r\n"))(f), False),
    "text that is no UTF-8": (lambda f: text("text", (f / "text").read_bytes().replace(b"hello", b"h\xe9", 1))(f), True),
    "no wav.scp": (without("wav.scp"), True),
    "wav.scp lacks an utterance": (lines("wav.scp", lambda found: found[1:]), False),
    "wav.scp has a stranger": (lines("wav.scp", lambda found: [*found, "spk9-utt9 x"]), False),
    "wav.scp with ~": (lines("wav.scp", first("spk0-utt0 ~/x.wav")), False),
    "wav.scp with ~ in a command": (lines("wav.scp", first("spk0-utt0 cat ~/x.wav |")), True),
    "wav.scp with a key alone": (lines("wav.scp", first("spk0-utt0")), True),
    "all in CR LF": (windows, False),
    "segments": (segmented(), True),
    "segments that end before they start": (segmented("{0} r{0} 1.5 0.5"), False),
    "segments of no length": (segmented("{0} r{0} 1.5 1.5"), False),
    "segments that end at -1": (segmented("{0} r{0} 0.5 -1"), False),
    "segments that start below 0": (segmented("{0} r{0} -0.5 1"), True),
    "segments with a channel": (segmented("{0} r{0} 0.5 1.5 1"), False),
    "segments with a channel that is none": (segmented("{0} r{0} 0.5 1.5 C"), False),
    "segments with six columns": (segmented("{0} r{0} 0.5 1.5 1 1"), False),
    "segments with a word for a time": (segmented("{0} r{0} 0.5 x"), True),
    "segments of a recording that is not there": (segmented("{0} gone 0.5 1.5"), False),
    "segments and a recording too many": (segmented(wav="q q.wav\n" + "".join(f"r{k} x\n" for k in UTTERANCES)), False),
    "segments lack an utterance": (both(segmented(), lines("segments", lambda found: found[1:])), False),
    "segments without wav.scp": (both(segmented(), without("wav.scp")), False),
    "reco2dur of the recordings": (segmented(reco2dur="".join(f"r{key} 2\n" for key in UTTERANCES)), True),
    "reco2dur of the utterances": (segmented(reco2dur="".join(f"{key} 2\n" for key in UTTERANCES)), False),
    "reco2dur lacks one": (each("reco2dur", 2, UTTERANCES[1:]), False),
    "reco2file_and_channel A": (lines("reco2file_and_channel", lambda _: [f"{key} {key} A" for key in UTTERANCES]), True),
    "reco2file_and_channel 1": (lines("reco2file_and_channel", lambda _: [f"{key} {key} 1" for key in UTTERANCES]), True),
    "reco2file_and_channel C": (lines("reco2file_and_channel", lambda _: [f"{key} {key} C" for key in UTTERANCES]), False),
    "reco2file_and_channel of two columns": (each("reco2file_and_channel", "A"), False),
    "reco2file_and_channel lacks one": (each("reco2file_and_channel", "x A", UTTERANCES[1:]), False),
    "feats.scp": (each("feats.scp", "f.ark:1"), True),
    "feats.scp lacks one": (each("feats.scp", "f.ark:1", UTTERANCES[1:]), False),
    "vad.scp lacks one": (each("vad.scp", "f.ark:1", UTTERANCES[1:]), False),
    "cmvn.scp": (each("cmvn.scp", "f.ark:1", SPEAKERS), True),
    "cmvn.scp lacks one": (each("cmvn.scp", "f.ark:1", SPEAKERS[1:]), False),
    "cmvn.scp of utterances": (each("cmvn.scp", "f.ark:1"), False),
    "spk2gender x": (each("spk2gender", "x", SPEAKERS), False),
    "spk2gender lacks one": (each("spk2gender", "m", SPEAKERS[1:]), False),
    "spk2warp 1.1": (each("spk2warp", "1.1", SPEAKERS), True),
    "spk2warp 0.5": (each("spk2warp", "0.5", SPEAKERS), False),
    "utt2warp 1.7": (each("utt2warp", "1.7"), False),
    "utt2warp lacks one": (each("utt2warp", "1.1", UTTERANCES[1:]), False),
    "utt2lang": (each("utt2lang", "de"), True),
    "utt2lang lacks one": (each("utt2lang", "de", UTTERANCES[1:]), False),
    "utt2lang of two words": (each("utt2lang", "de at"), True),
    "utt2uniq lacks one": (each("utt2uniq", "x", UTTERANCES[1:]), False),
    "utt2uniq twice": (lines("utt2uniq", lambda _: [f"{key} x" for key in (UTTERANCES[0], *UTTERANCES)]), False),
    "utt2dur 0": (each("utt2dur", "0"), False),
    "utt2dur -1": (each("utt2dur", "-1"), False),
    "utt2dur nan": (each("utt2dur", "nan"), True),
    "utt2dur of two words": (each("utt2dur", "1 2"), False),
    "utt2dur lacks one": (each("utt2dur", "1", UTTERANCES[1:]), False),
    "utt2num_frames 1.5": (each("utt2num_frames", "1.5"), False),
    "utt2num_frames 7.0": (each("utt2num_frames", "7.0"), True),
    "utt2num_frames lacks one": (each("utt2num_frames", "7", UTTERANCES[1:]), False),
    "utt2snr of a part": (each("utt2snr", "12", UTTERANCES[:3]), True),
    "noise.scp": (text("noise.scp", "noise1 /n/1.wav\n"), True),
    "a list of our own lacks one": (each("utt2label", "neu", UTTERANCES[1:]), True),
    "a list of our own out of order": (lines("utt2label", lambda found: found[::-1]), True),
    "ctm, stm and glm": (both(text("ctm", "x"), text("stm", ";; x\n"), text("glm", "")), True),
}  # fmt: skip

# Where we refuse what Kaldi accepts, the reason that is given.
STRICTER = {
    "text that is no UTF-8": "not UTF-8",
    "utt2spk with a third column": "3 columns, expected 2",
    "utt2spk with an empty line": "0 columns, expected 2",
    "wav.scp with a key alone": "1 columns, expected at least 2",
    "segments that start below 0": "are not times in order",
    "segments with a word for a time": "are not times in order",
    "utt2lang of two words": "3 columns, expected 2",
    "utt2dur nan": "'nan' is not a positive number",
    "utt2num_frames 7.0": "'7.0' is not a positive whole number",
    "no wav.scp": "has neither wav.scp nor feats.scp",
    "a list of our own lacks one": "utt2label: utterance spk0-utt0 is missing",
    "a list of our own out of order": "not in LC_ALL=C order",
}

# Where we accept what Kaldi refuses, and what validate-data says of it: extract-segments has read a channel since 2009, and so
# does make-fbank, while validate_data_dir.sh wants four columns.
LOOSER = {
    "segments with a channel": "1 of 12 lines have a channel column: make-fbank reads it, Kaldi's validate_data_dir.sh"
}


def build(name: str, folder="data") -> Path:
    """A good folder with the damage of that name."""
    folder = make(folder)
    DAMAGES[name][0](folder)
    return folder
