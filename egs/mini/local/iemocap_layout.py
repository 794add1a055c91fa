"""Simulated dialogs in IEMOCAP's folders and file formats."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recording import draw_channel, generator, write_recording
from synthesiser import synthesise
from voices import MANNERS, Manner, draw_voice, mixed, perform

# Dialogs of each session: improvised and scripted, with either speaker wearing the motion markers.
DIALOGS = ("F_impro01", "F_script01_1", "M_impro05a", "M_script02_2b")
# Mean number of turns per session and majority label; xxx: no majority.
TURNS = {
    "ang": 18,
    "hap": 12,
    "exc": 15,
    "neu": 21,
    "sad": 17,
    "fru": 6,
    "xxx": 6,
    "sur": 1,
    "fea": 1,
    "oth": 1,
    "dis": 1,
}
VOTES = {
    "ang": "Anger", "hap": "Happiness", "exc": "Excited", "neu": "Neutral", "sad": "Sadness", "fru": "Frustration",
    "sur": "Surprise", "fea": "Fear", "oth": "Other", "dis": "Disgust",
}  # fmt: skip
# Valence, activation, dominance on scales of 1 to 5.
ATTRIBUTES = {
    "ang": (1.9, 3.7, 4.0), "hap": (3.9, 3.2, 3.1), "exc": (4.0, 3.7, 3.4), "neu": (3.0, 2.7, 2.8), "sad": (2.2, 2.3, 2.6),
    "fru": (2.3, 3.0, 3.3), "sur": (3.1, 3.5, 3.0), "fea": (2.0, 3.2, 2.4), "oth": (2.7, 2.9, 3.0), "dis": (2.0, 2.8, 3.2),
}  # fmt: skip
REMARKS = ("", "", "", "", "", "", "simulated", "could be louder; or not", "a mix of both [V: 2]")


@dataclass
class Turn:
    """A planned turn; `heard` are its emotions, two if the raters find no majority."""

    name: str
    speaker: str
    label: str
    heard: tuple[str, ...]
    start: float
    seconds: float


def write_iemocap(root: Path, seed: int) -> int:
    """Write Session1 to Session5 under `root`; return the number of turns."""
    written = 0
    for number in range(1, 6):
        session = root / f"Session{number}"
        voices = {sex: draw_voice(generator(seed, session.name, sex), sex) for sex in "FM"}
        for dialog, turns in deal_turns(number, generator(seed, session.name)).items():
            rng = generator(seed, dialog)
            channel = draw_channel(rng, noise=(-62, -50))
            words = {}
            for turn in turns:
                rng_turn = generator(seed, turn.name)
                manner = heard_manner(turn)
                speech, words[turn.name] = synthesise(
                    rng_turn, perform(rng_turn, voices[turn.speaker], manner), turn.seconds
                )
                path = session / "sentences" / "wav" / dialog / f"{turn.name}.wav"
                write_recording(path, rng_turn, speech, channel)
            write_labels(session / "dialog" / "EmoEvaluation", dialog, turns, rng)
            write_transcription(session / "dialog" / "transcriptions" / f"{dialog}.txt", turns, words)
            written += len(turns)
    write_apple_double(root / "Session1" / "dialog" / "EmoEvaluation" / "._Ses01F_impro01.txt")
    return written


def deal_turns(number: int, rng: np.random.Generator) -> dict[str, list[Turn]]:
    """Draw the turns of session `number`: dialog → turns."""
    labels = []
    for label, count in TURNS.items():
        labels += [label] * (count + int(rng.integers(-2, 3)) if count > 10 else count)
    dialogs, clocks, counts = defaultdict(list), defaultdict(lambda: 1.0), defaultdict(int)
    for index, label in enumerate(rng.permutation(labels)):
        dialog = f"Ses{number:02}{DIALOGS[index % len(DIALOGS)]}"
        speaker = "FM"[rng.integers(2)]
        heard = tuple(rng.choice(list(VOTES)[:6], 2, replace=False)) if label == "xxx" else (str(label),)
        seconds = round(float(np.clip(rng.lognormal(0.75, 0.4), 0.6, 6.0)), 2)
        name = f"{dialog}_{speaker}{counts[dialog, speaker]:03}"
        dialogs[dialog].append(Turn(name, speaker, str(label), heard, clocks[dialog], seconds))
        counts[dialog, speaker] += 1
        clocks[dialog] += seconds + rng.uniform(0.1, 1.0)
    return dict(sorted(dialogs.items()))


def heard_manner(turn: Turn) -> Manner:
    manner = MANNERS[turn.heard[0]]
    return mixed(manner, MANNERS[turn.heard[1]], 0.5) if len(turn.heard) == 2 else manner


def write_labels(folder: Path, dialog: str, turns: list[Turn], rng: np.random.Generator):
    """Write the label file of a dialog and one rater's own file in a subfolder, as in the real corpus."""
    (folder / "Categorical").mkdir(parents=True, exist_ok=True)
    raters = [f"E{n}" for n in sorted(rng.choice(range(1, 5), 3, replace=False))]
    lines, own = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], []
    for turn in turns:
        votes = draw_votes(turn, rng)
        scores = np.clip(np.rint(rng.normal(attributes(turn), 0.6, (2, 3))), 1, 5).astype(int)
        mean = ", ".join(f"{value:.4f}" for value in scores.mean(axis=0))
        lines.append(f"[{turn.start:.4f} - {turn.start + turn.seconds:.4f}]\t{turn.name}\t{turn.label}\t[{mean}]")
        lines += [f"C-{rater}:\t{vote}\t({rng.choice(REMARKS)})" for rater, vote in zip(raters, votes)]
        # The actors also judged themselves; their votes do not count.
        lines.append(f"C-{turn.speaker}1:\t{VOTES[turn.heard[0]]};\t()")
        for rater, (valence, activation, dominance) in zip(raters, scores):
            lines.append(f"A-{rater}:\tval {valence}; act {activation}; dom  {dominance};\t({rng.choice(REMARKS)})")
        lines.append("")
        own.append(f"{turn.name} :{votes[0]} ({rng.choice(REMARKS)})")
    (folder / f"{dialog}.txt").write_text("\n".join(lines) + "\n")
    (folder / "Categorical" / f"{dialog}_{raters[0].lower()}_cat.txt").write_text("\n".join(own) + "\n")


def draw_votes(turn: Turn, rng: np.random.Generator) -> list[str]:
    """Draw the entries of three raters ("Anger;", "Frustration; Other;" or ""): two agree unless the label is xxx."""
    names = list(VOTES.values())
    if turn.label == "xxx":
        votes = [f"{VOTES[turn.heard[0]]};", f"{VOTES[turn.heard[1]]};", ""]
    else:
        said = VOTES[turn.label]
        other = rng.choice([name for name in names if name != said])
        third = [f"{said};", f"{other};", f"{other}; {said};", ""][rng.choice(4, p=[0.5, 0.25, 0.15, 0.1])]
        votes = [f"{said};", f"{said};", third]
    return [votes[index] for index in rng.permutation(3)]


def attributes(turn: Turn) -> np.ndarray:
    return np.mean([ATTRIBUTES[emotion] for emotion in turn.heard], axis=0)


def write_transcription(path: Path, turns: list[Turn], words: dict[str, list[str]]):
    """Write lines `Ses01F_impro01_F000 [006.2901-008.2357]: sa ti mu.`"""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{turn.name} [{turn.start:08.4f}-{turn.start + turn.seconds:08.4f}]: {' '.join(words[turn.name]).rstrip(',')}.\n"
        for turn in turns
    ]
    path.write_text("".join(lines))


def write_apple_double(path: Path):
    """Write an AppleDouble file, as archivers on a Mac do: a header, two entries, no text (RFC 1740)."""
    header = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \x00\x02"
    entries = b"\x00\x00\x00\x09\x00\x00\x00\x32\x00\x00\x00\x00" + b"\x00\x00\x00\x02\x00\x00\x00\x52\x00\x00\x00\x00"
    path.write_bytes(header + entries + bytes(40) + b"This resource fork intentionally left blank   ")
