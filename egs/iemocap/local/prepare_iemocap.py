#!/usr/bin/env python3
"""prepare-iemocap: a data folder out of IEMOCAP's own folders, checked against the counts that must come out."""

import hashlib
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from sertk.cli.options import BOOL, FOLDER, command
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
    """One turn of a label file: `votes` are `E1=neu` or `E2=fru,oth` or `F1=`, in the file's order."""

    name: str
    dialog: str
    session: str
    speaker: str
    label: str
    votes: tuple[str, ...] = ()

    @property
    def utterance(self) -> str:
        """The utterance id: the turn with its speaker before it, as Kaldi's sorting wants it."""
        return f"{self.speaker}-{self.name}"

    @property
    def wav(self) -> str:
        """The recording's path inside the corpus."""
        return f"Session{self.session[-1]}/sentences/wav/{self.dialog}/{self.name}.wav"


@command
@click.argument("corpus", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--labels", default=",".join(CLASSES), show_default=True, metavar="CODE,CODE,…",
              help="Keep the turns whose majority label is one of these.")  # fmt: skip
@click.option("--allow-partial", type=BOOL, default=False, show_default=True,
              help="Go on with a corpus that is not whole, and say so in DATA-DIR/PARTIAL.")  # fmt: skip
@click.option("--simulated", type=BOOL, default=False, show_default=True,
              help="The corpus is simulated: no counts to check; DATA-DIR/SIMULATED says so.")  # fmt: skip
def main(corpus, data_dir, labels, allow_partial, simulated):
    """Write the data folder of CORPUS, the folder that holds Session1 to Session5.

    The label of a turn is the majority's code in SessionN/dialog/EmoEvaluation/*.txt, its speaker the session and the
    letter before the turn's number. Every label file is held against the known counts by session, speaker and class;
    a difference names what differs and stops.

    Writes wav.scp, utt2spk, spk2utt, spk2gender, utt2label, utt2session, utt2dialog, utt2votes (what each
    rater chose, in the same codes), and text where there is a transcription for every turn.

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
    """The folders of the five sessions, whether they are there or not."""
    return [corpus / f"Session{number}" for number in range(1, 6)]


def read_corpus(corpus: Path) -> tuple[list[Turn], list[str]]:
    """All turns of the label files under `corpus`, in their order, and what is wrong there, a line each."""
    turns, problems, seen = [], [], {}
    sessions = [session for session in sessions_of(corpus) if session.is_dir()]
    if not sessions:
        raise SertkError(f"{corpus}: no Session1 to Session5 in it (wanted: the folder that holds them)")
    for session in sessions:
        folder = session / "dialog" / "EmoEvaluation"
        # This folder alone: those below it hold each rater's own files. Archives made on a Mac carry ._ files.
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
                    problems.append(f"{where}: turn {turn.name} stands at {seen[turn.name]} too")
                    continue
                seen[turn.name] = where
                turns.append(turn)
    return turns, problems


def read_label_file(path: Path, problems: list[str]) -> Iterator[tuple[str, Turn]]:
    """The turns of one label file with where each stands (file:line); broken lines are added to `problems`.

    A turn's line is followed by its raters' lines up to a blank line. A line there that is none of a rater's is free
    text gone astray: the label does not hang on it, so it is told and passed over.
    """
    turn, where, votes = None, "", []
    # The raters' free text is in whatever encoding their editor had; names and codes are ASCII.
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
            # A rater without a turn belongs to a turn line that was found broken, and named, already.
            problems.append(f"{path}:{number}: neither a turn nor a rater's line: {line[:60]}")


def parse_turn(line: str, dialog: str, where: str, problems: list[str]) -> dict | None:
    """The fields of a turn's line, or None and a line more in `problems`."""
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
    # The dialog's first letter says who wore the motion markers; who speaks is the letter before the number.
    return {"name": name, "dialog": dialog, "session": parts[2], "speaker": parts[2] + parts[3], "label": label}


def parse_vote(text: str) -> list[str]:
    """The codes of a rater's line: "<TAB>Frustration; Other;<TAB>(not sure)" gives fru and oth.

    The majority's codes are the first three letters of the raters' words; a word that is none of them stays whole.
    """
    words = ["_".join(word.split()) for word in text.partition("(")[0].split(";") if word.strip()]
    return [word[:3].lower() if word[:3].lower() in CODES else word for word in words]


def compare_with_golden(turns: list[Turn]) -> list[str]:
    """What differs from the full release: a line for each number that is not what it must be."""
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
                                f"wanted {wanted[label]} (found in {found})")  # fmt: skip
    if len(found := {turn.dialog for turn in turns}) != golden["dialogs"]:
        problems.append(f"{len(found)} dialogs, wanted {golden['dialogs']}")
    totals = Counter(turn.label for turn in turns)
    for label in CODES:
        if label not in CLASSES and totals[label] != golden["turns"][label]:
            problems.append(f"{label}: {totals[label]} turns, wanted {golden['turns'][label]}")
    if not problems and (digest := sha256_of_labels(turns)) != golden["sha256"]:
        problems.append(f"all counts agree, but turns and labels do not: sha256 {digest}, wanted {golden['sha256']}")
    return problems


def sha256_of_labels(turns: Iterable[Turn]) -> str:
    """The digest of the lines "turn label" of the five classes, as golden.json says."""
    lines = sorted(f"{turn.name} {turn.label}\n" for turn in turns if turn.label in CLASSES)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def data_maps(corpus: Path, turns: list[Turn]) -> dict[str, dict[str, str]]:
    """The files of the data folder of `turns`: name to {utterance: value}."""
    root = corpus.absolute()
    transcriptions = read_transcriptions(corpus, {turn.dialog for turn in turns})
    text = {turn.utterance: transcriptions[turn.name] for turn in turns if transcriptions.get(turn.name)}
    if text and len(text) < len(turns):
        log.warning("no text is written: %d of %d turns have no transcription", len(turns) - len(text), len(turns))
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
    """Turn to words, from SessionN/dialog/transcriptions: `Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`"""
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
