#!/usr/bin/env python3
"""prepare-iemocap: data folder of IEMOCAP, checked against the known counts."""

import hashlib
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import BOOL, FOLDER
from sertk.datadir.prepare import report_problems, write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

CLASSES = ("ang", "hap", "exc", "neu", "sad")
CODES = (*CLASSES, "fru", "sur", "fea", "oth", "dis", "xxx")
GOLDEN = Path(__file__).with_name("golden.json")

# [6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]
TURN_LINE = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\s+(\S+)\s+(\w+)\s+\[[^\]]*\]\s*")
TURN_NAME = re.compile(r"((Ses0[1-5])[FM]_(?:impro\d\d[ab]?|script\d\d_\d[ab]?))_([FM])\d{3}")
# C-E1:<TAB>Frustration; Other;<TAB>(free text)     C: a category, A: attributes; E: an evaluator, F and M: the actors
RATER_LINE = re.compile(r"([CA])-([EFM]\d):(.*)")


@dataclass(frozen=True)
class Turn:
    """One turn of a label file; `votes` are `E1=neu`, `E2=fru,oth` or `F1=`, in the file's order."""

    name: str
    dialog: str
    session: str
    speaker: str
    label: str
    votes: tuple[str, ...] = ()

    @property
    def utterance(self) -> str:
        """Utterance id: speaker and turn, since Kaldi expects speakers as prefixes."""
        return f"{self.speaker}-{self.name}"

    @property
    def wav(self) -> str:
        """Path of the recording in the corpus."""
        return f"Session{self.session[-1]}/sentences/wav/{self.dialog}/{self.name}.wav"


@command
@click.argument("corpus", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--labels", default=",".join(CLASSES), show_default=True, metavar="CODE,CODE,…",
              help="Keep the turns whose majority label is one of these.")  # fmt: skip
@allow_partial_option
@click.option("--simulated", type=BOOL, default=False, show_default=True,
              help="The corpus is simulated: check no counts, write DATA-DIR/SIMULATED.")  # fmt: skip
def main(corpus, data_dir, labels, allow_partial, simulated):
    """Write the data folder DATA-DIR of CORPUS, the folder that holds Session1 to Session5.

    The label of a turn is the majority label in SessionN/dialog/EmoEvaluation/*.txt; its speaker is the session and
    the letter before the turn's number. Stops, and lists the differences, if the counts by session, speaker and class
    are not those of the full release.

    Writes wav.scp, utt2spk, spk2utt, spk2gender, utt2label, utt2session, utt2dialog, utt2votes (each rater's choice, in
    the same codes), and text if every turn has a transcription.

    \b
    e.g.: local/prepare_iemocap.py /corpora/IEMOCAP_full_release data/all
    See also: validate-data, make-folds
    """
    labels = tuple(labels.split(","))
    if unknown := [label for label in labels if label not in CODES]:
        raise SertkError(f"--labels: no such code: {', '.join(unknown)} (there are {', '.join(CODES)})")
    turns, problems = read_corpus(corpus)
    if not simulated:
        problems += [f"{session}: no such folder" for session in sessions_of(corpus) if not session.is_dir()]
        problems += compare_with_golden(turns)
    kept = [turn for turn in turns if turn.label in labels]
    missing = [turn for turn in kept if not (corpus / turn.wav).is_file()]
    problems += [f"{corpus / turn.wav}: no such recording" for turn in missing]
    report_problems(corpus, "IEMOCAP", problems, allow_partial)
    kept = sorted(set(kept) - set(missing), key=lambda turn: turn.utterance)
    if not kept:
        raise SertkError(f"{corpus}: no turn with a label of {', '.join(labels)} has a recording")
    maps = data_maps(corpus, kept)
    write_data_dir(data_dir, maps, PARTIAL=problems, SIMULATED=["simulated speech"] if simulated else [])
    counts = Counter(turn.label for turn in kept)
    log.info("%s: %d segments (%s)", data_dir, len(kept), ", ".join(f"{label} {counts[label]}" for label in labels))


def sessions_of(corpus: Path) -> list[Path]:
    """Return the folders of the five sessions; they may be missing."""
    return [corpus / f"Session{number}" for number in range(1, 6)]


def read_corpus(corpus: Path) -> tuple[list[Turn], list[str]]:
    """Return all turns of the label files under `corpus`, in order, and a list of problems."""
    turns, problems, seen = [], [], {}
    sessions = [session for session in sessions_of(corpus) if session.is_dir()]
    if not sessions:
        raise SertkError(f"{corpus}: no Session1 to Session5 in it (expected: the folder that holds them)")
    for session in sessions:
        folder = session / "dialog" / "EmoEvaluation"
        # Not its subfolders, which hold each rater's own files. Archives made on a Mac contain ._ files.
        files = [path for path in sorted(folder.glob("*.txt")) if not path.name.startswith(".")]
        if not files:
            problems.append(f"{folder}: no label files")
        labelled = {path.stem for path in files}
        for dialog in sorted(session.glob("sentences/wav/Ses*")):
            if dialog.name not in labelled:
                problems.append(f"{folder / dialog.name}.txt: no such label file, though {dialog} has recordings")
        for path in files:
            for where, turn in read_label_file(path, problems):
                if turn.name in seen:
                    problems.append(f"{where}: turn {turn.name} is also at {seen[turn.name]}")
                    continue
                seen[turn.name] = where
                turns.append(turn)
    return turns, problems


def read_label_file(path: Path, problems: list[str]) -> Iterator[tuple[str, Turn]]:
    """Yield (file:line, turn) for each turn of a label file; malformed lines are added to `problems`.

    A turn's line is followed by its raters' lines, up to a blank line. Any other line there is stray free text: it
    does not affect the label, and is skipped with a warning.
    """
    turn, where, votes = None, "", []
    # The raters' free text has any encoding; names and codes are ASCII.
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines() + [""], 1):
        line = line.strip()
        if not line:
            if turn:
                yield where, Turn(**turn, votes=tuple(votes))
            turn = None
        elif line.startswith("["):
            if turn:
                yield where, Turn(**turn, votes=tuple(votes))
            where, votes = f"{path}:{number}", []
            turn = parse_turn(line, path.stem, where, problems)
        elif line.startswith("%"):
            continue
        elif turn and (rater := RATER_LINE.fullmatch(line)):
            if rater[1] == "C":
                votes.append(f"{rater[2]}={','.join(parse_vote(rater[3]))}")
        elif turn:
            log.warning("%s:%d: not a rater's line: %s", path, number, line[:60])
        elif not RATER_LINE.fullmatch(line):
            # A rater's line without a turn belongs to a malformed turn line, which is in `problems` already.
            problems.append(f"{path}:{number}: neither a turn nor a rater's line: {line[:60]}")


def parse_turn(line: str, dialog: str, where: str, problems: list[str]) -> dict | None:
    """Return the fields of a turn's line; if malformed, None, with a line added to `problems`."""
    match = TURN_LINE.fullmatch(line)
    if not match:
        problems.append(f"{where}: not a turn's line ([START - END] TURN CODE [V, A, D]): {line[:60]}")
        return None
    name, label = match.groups()
    parts = TURN_NAME.fullmatch(name)
    if not parts or parts[1] != dialog:
        problems.append(f"{where}: turn {name} is not one of dialog {dialog}")
        return None
    if label not in CODES:
        problems.append(f"{where}: turn {name} has the unknown label {label}")
        return None
    # The dialog's letter says who wore the motion markers; the letter before the number says who speaks.
    return {"name": name, "dialog": dialog, "session": parts[2], "speaker": parts[2] + parts[3], "label": label}


def parse_vote(text: str) -> list[str]:
    """Return the codes of a rater's line: fru and oth for "<TAB>Frustration; Other;<TAB>(not sure)".

    Codes are the first three letters of the raters' words; a word without a code is kept whole.
    """
    words = ["_".join(word.split()) for word in text.partition("(")[0].split(";") if word.strip()]
    return [word[:3].lower() if word[:3].lower() in CODES else word for word in words]


def compare_with_golden(turns: list[Turn]) -> list[str]:
    """Return the differences from the full release, a line for each count that differs."""
    golden = json.loads(GOLDEN.read_text())
    problems = []
    cells = defaultdict(Counter)
    for turn in turns:
        cells[turn.speaker, turn.label][turn.dialog] += 1
    for speaker, wanted in golden["speakers"].items():
        for label in CLASSES:
            dialogs = cells[speaker, label]
            if dialogs.total() != wanted[label]:
                found = ", ".join(f"{dialog} {n}" for dialog, n in sorted(dialogs.items())) or "no dialog"
                problems.append(f"session {speaker[3:5]}, speaker {speaker}, {label}: {dialogs.total()} turns, "
                                f"expected {wanted[label]} (found in {found})")  # fmt: skip
    if len(found := {turn.dialog for turn in turns}) != golden["dialogs"]:
        problems.append(f"{len(found)} dialogs, expected {golden['dialogs']}")
    totals = Counter(turn.label for turn in turns)
    for label in CODES:
        if label not in CLASSES and totals[label] != golden["turns"][label]:
            problems.append(f"{label}: {totals[label]} turns, expected {golden['turns'][label]}")
    if not problems and (digest := sha256_of_labels(turns)) != golden["sha256"]:
        problems.append(f"all counts agree, but turns and labels do not: sha256 {digest}, expected {golden['sha256']}")
    return problems


def sha256_of_labels(turns: Iterable[Turn]) -> str:
    """Return the digest of the lines "turn label" of the five classes, as in golden.json."""
    lines = sorted(f"{turn.name} {turn.label}\n" for turn in turns if turn.label in CLASSES)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def data_maps(corpus: Path, turns: list[Turn]) -> dict[str, dict[str, str]]:
    """Return the maps of the data folder: file name → {utterance: value}."""
    root = corpus.absolute()
    transcriptions = read_transcriptions(corpus, {turn.dialog for turn in turns})
    text = {turn.utterance: transcriptions[turn.name] for turn in turns if transcriptions.get(turn.name)}
    if text and len(text) < len(turns):
        log.warning("text is not written: %d of %d turns have no transcription", len(turns) - len(text), len(turns))
        text = {}
    return {
        "wav.scp": {turn.utterance: str(root / turn.wav) for turn in turns},
        "utt2spk": {turn.utterance: turn.speaker for turn in turns},
        "spk2gender": {turn.speaker: turn.speaker[-1].lower() for turn in turns},
        "utt2label": {turn.utterance: turn.label for turn in turns},
        "utt2session": {turn.utterance: turn.session for turn in turns},
        "utt2dialog": {turn.utterance: turn.dialog for turn in turns},
        "utt2votes": {turn.utterance: " ".join(turn.votes) for turn in turns if turn.votes},
        "text": text,
    }


def read_transcriptions(corpus: Path, dialogs: Iterable[str]) -> dict[str, str]:
    """Return turn → words, from lines `Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`"""
    words = {}
    for dialog in dialogs:
        path = corpus / f"Session{dialog[4]}" / "dialog" / "transcriptions" / f"{dialog}.txt"
        if path.is_file():
            for line in path.read_bytes().decode("utf-8", "replace").splitlines():
                name, _, said = line.partition(" [")
                words[name] = " ".join(said.partition("]:")[2].split())
    return words


if __name__ == "__main__":
    main()
