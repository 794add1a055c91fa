#!/usr/bin/env python3
"""prepare-cremad: data folder of CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset."""

import logging
import re
from collections import Counter

import click
import soundfile

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import FOLDER
from sertk.datadir.prepare import find_audio, report_problems, write_data_dir
from sertk.datadir.records import read_records
from sertk.errors import SertkError

log = logging.getLogger("sertk")

LABELS = {"ANG": "ang", "DIS": "dis", "FEA": "fea", "HAP": "hap", "NEU": "neu", "SAD": "sad"}
COUNTS = {"ang": 1271, "dis": 1271, "fea": 1271, "hap": 1271, "neu": 1087, "sad": 1271}
VOTES = {"A": "ang", "D": "dis", "F": "fea", "H": "hap", "N": "neu", "S": "sad"}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
NUM_SPLITS = 5
RATE = 16000
# In every copy of the corpus: left out, and not missing.
SILENT = {"1076_MTI_SAD_XX"}
SHORTENED = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
# Actor, sentence, emotion, level: 1001_DFA_ANG_XX
NAME = re.compile(r"(10\d\d)_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")


@command
@click.argument("cremad", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@allow_partial_option
def main(cremad, data_dir, allow_partial):
    """Write the data folder DATA-DIR of CREMAD, the folder that holds AudioWAV/ (or AudioMP3/) and VideoDemographics.csv.

    The recordings may have been compressed (AudioWAV/1001_DFA_ANG_XX.flac, .ogg). All 7442 must be present at 16 kHz,
    except 1076_MTI_SAD_XX, which is silent in every copy and is left out; 1040_ITH_SAD_X is 1040_ITH_SAD_XX.

    Writes wav.scp, utt2spk, spk2utt, utt2label, utt2level, utt2split, text and utt2script (the code of the sentence); from
    VideoDemographics.csv spk2gender, spk2age, spk2race and spk2ethnicity; from processedResults/tabulatedVotes.csv
    utt2votes, one vote of each rater who heard the sound alone. utt2split divides the actors into five groups, actor n in
    group 1 + n mod 5, for make-folds --scheme given.

    \b
    e.g.: local/prepare_cremad.py /corpora/CREMA-D data/cremad
    See also: validate-data, make-folds
    """
    paths, problems = {}, []
    folder = next((name for name in ("AudioWAV", "AudioMP3") if (cremad / name).is_dir()), "AudioWAV")
    for path in find_audio(cremad, folder):
        utterance = SHORTENED.get(path.stem, path.stem)
        name = NAME.fullmatch(utterance)
        if utterance in paths:
            problems.append(f"{path}: comes twice (also {paths[utterance]})")
        elif not name or name[2] not in SENTENCES or name[3] not in LABELS:
            problems.append(f"{path}: not a name of CREMA-D's (1001_DFA_ANG_XX.wav)")
        elif utterance not in SILENT:
            paths[utterance] = path
    if not paths:
        raise SertkError(f"{cremad / folder}: no recordings of CREMA-D (expected in it: 1001_DFA_ANG_XX.wav and so on)")
    parts = {utterance: NAME.fullmatch(utterance) for utterance in sorted(paths)}
    labels = {utterance: LABELS[name[3]] for utterance, name in parts.items()}
    counts = Counter(labels.values())
    silent = Counter(LABELS[NAME.fullmatch(utterance)[3]] for utterance in SILENT)
    problems += [
        f"{label}: {counts[label]} recordings, expected {COUNTS[label] - silent[label]}"
        for label in COUNTS
        if counts[label] != COUNTS[label] - silent[label]
    ]
    problems += rate_problems(paths)
    report_problems(cremad, "CREMA-D", problems, allow_partial)
    speakers = {utterance: name[1] for utterance, name in parts.items()}
    votes = read_votes(cremad / "processedResults/tabulatedVotes.csv")
    maps = {
        "wav.scp": {utterance: str(paths[utterance].absolute()) for utterance in parts},
        "utt2spk": speakers,
        "utt2label": labels,
        "utt2level": {utterance: LEVELS[name[4]] for utterance, name in parts.items()},
        "utt2split": {utterance: str(int(speaker) % NUM_SPLITS + 1) for utterance, speaker in speakers.items()},
        "utt2script": {utterance: name[2] for utterance, name in parts.items()},
        "text": {utterance: SENTENCES[name[2]] for utterance, name in parts.items()},
        "utt2votes": {utterance: votes[utterance] for utterance in parts if utterance in votes},
        **read_demographics(cremad / "VideoDemographics.csv", set(speakers.values())),
    }
    write_data_dir(data_dir, maps, PARTIAL=problems)
    log.info("%s: %d recordings (%s)", data_dir, len(parts),
             ", ".join(f"{label} {counts[label]}" for label in sorted(counts)))  # fmt: skip


def rate_problems(paths):
    """The sample rate of the first readable recording, if it is lower than the corpus's: a copy without high frequencies."""
    for path in paths.values():
        try:
            rate = soundfile.info(str(path)).samplerate
        except RuntimeError:  # soundfile's errors; make-fbank names and skips the file
            continue
        return [f"{path}: {rate} Hz, expected {RATE}: nothing above {rate // 2} Hz"] if rate < RATE else []
    return []


def read_votes(path):
    """utt2votes of the raters who heard the sound alone, named E1, E2, … in the order of the labels: the file has counts.

    Example: {"1001_IEO_NEU_XX": "E1=hap E2=neu E3=neu"}
    """
    votes = {}
    # Rows 1….: sound alone; 2….: face alone; 3….: both.
    for where, row in read_table(path, ["", "fileName", *VOTES]):
        if wrong := next((row[letter] for letter in VOTES if not row[letter].isdecimal()), None):
            raise SertkError(f"{where}: '{wrong}' is not a number of votes")
        chosen = [label for letter, label in VOTES.items() for _ in range(int(row[letter]))]
        if row[""].startswith("1") and chosen:
            votes[row["fileName"]] = " ".join(f"E{number}={label}" for number, label in enumerate(chosen, 1))
    return votes


def read_demographics(path, speakers):
    """spk2gender, spk2age, spk2race and spk2ethnicity of the speakers; {} without the file."""
    rows = {row["ActorID"]: row for _, row in read_table(path, ["ActorID", "Age", "Sex", "Race", "Ethnicity"])}
    if not rows:
        return {}
    if missing := sorted(speakers - rows.keys()):
        raise SertkError(f"{path}: actor {missing[0]} is missing")
    of_speakers = {speaker: rows[speaker] for speaker in sorted(speakers)}
    maps = {
        f"spk2{name.lower()}": {speaker: row[name].replace(" ", "_") for speaker, row in of_speakers.items()}
        for name in ("Age", "Race", "Ethnicity")
    }
    return maps | {"spk2gender": {speaker: row["Sex"][0].lower() for speaker, row in of_speakers.items()}}


def read_table(path, columns):
    """Places and rows of a CSV file of the corpus, none with a warning if it is missing. All rows have values in all columns."""
    if not path.exists():
        log.warning("%s: is missing, continuing without it", path)
        return []
    rows = []
    for record in read_records(path):
        empty = [f"column '{name}' is missing or empty" for name in columns if not record.values.get(name)]
        if problem := record.problem or next(iter(empty), ""):
            raise SertkError(f"{record.where}: {problem}: not the corpus's table (git lfs pull, or remove it)")
        rows.append((record.where, record.values))
    if not rows:
        raise SertkError(f"{path}: has no rows: not the corpus's table (git lfs pull, or remove it)")
    return rows


if __name__ == "__main__":
    main()
