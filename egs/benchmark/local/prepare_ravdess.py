#!/usr/bin/env python3
"""prepare-ravdess: data folder of the speech of RAVDESS, the Ryerson Audio-Visual Database."""

import logging
import re
from collections import Counter

import click

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import FOLDER
from sertk.datadir.prepare import find_audio, report_problems, write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

LABELS = {
    "01": "neu", "02": "cal", "03": "hap", "04": "sad", "05": "ang", "06": "fea", "07": "dis", "08": "sur",
}  # fmt: skip
INTENSITIES = {"01": "normal", "02": "strong"}
SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
ACTORS = [f"{actor:02d}" for actor in range(1, 25)]
# Of each actor: two sentences, two takes, two intensities; neutral has no strong one.
COUNTS = {label: 24 * (4 if label == "neu" else 8) for label in LABELS.values()}
NUM_SPLITS = 6
# Modality (03: audio alone), channel (01: speech), emotion, intensity, sentence, take, actor: 03-01-05-02-01-01-12
NAME = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")


@command
@click.argument("ravdess", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@allow_partial_option
def main(ravdess, data_dir, allow_partial):
    """Write the data folder DATA-DIR of RAVDESS, the folder that holds Actor_01/ to Actor_24/.

    The recordings may have been compressed (03-01-05-02-01-01-12.flac, .ogg, .mp3). All 1440 must be present; songs and
    videos are left out.

    Writes wav.scp, utt2spk, spk2utt, spk2gender, utt2label, utt2intensity, utt2split, text and utt2script (the sentence).
    utt2split divides the actors into six groups of four, actor n in group 1 + (n - 1) mod 6, for make-folds --scheme given.

    \b
    e.g.: local/prepare_ravdess.py /corpora/RAVDESS data/ravdess
    See also: validate-data, make-folds
    """
    parts, paths, problems = {}, {}, []
    for path in find_audio(ravdess, "Actor_*"):
        name = NAME.fullmatch(path.stem)
        if name and name[5] in ACTORS and not (name[1] == "01" and name[2] == "02"):
            utterance = f"Actor{name[5]}-{path.stem}"
            if utterance in paths:
                problems.append(f"{path}: comes twice (also {paths[utterance]})")
            parts[utterance], paths[utterance] = name, path
        elif not re.match(r"0[12]-|03-02-", path.name):  # neither a video nor a song
            problems.append(f"{path}: not a name of RAVDESS's speech (03-01-05-02-01-01-12.wav)")
    if not parts:
        raise SertkError(
            f"{ravdess}: no recordings of RAVDESS (expected in it: Actor_01/03-01-01-01-01-01-01.wav and so on)"
        )
    labels = {utterance: LABELS[name[1]] for utterance, name in parts.items()}
    speakers = {utterance: f"Actor{name[5]}" for utterance, name in parts.items()}
    counts, of_actor = Counter(labels.values()), Counter(name[5] for name in parts.values())
    problems += [
        f"{label}: {counts[label]} recordings, expected {wanted}"
        for label, wanted in COUNTS.items()
        if counts[label] != wanted
    ]
    problems += [
        f"actor {actor}: {of_actor[actor]} recordings, expected 60" for actor in ACTORS if of_actor[actor] != 60
    ]
    report_problems(ravdess, "RAVDESS", problems, allow_partial)
    maps = {
        "wav.scp": {utterance: str(path.absolute()) for utterance, path in paths.items()},
        "utt2spk": speakers,
        "spk2gender": {f"Actor{name[5]}": "m" if int(name[5]) % 2 else "f" for name in parts.values()},
        "utt2label": labels,
        "utt2intensity": {utterance: INTENSITIES[name[2]] for utterance, name in parts.items()},
        "utt2split": {utterance: str((int(name[5]) - 1) % NUM_SPLITS + 1) for utterance, name in parts.items()},
        "utt2script": {utterance: name[3] for utterance, name in parts.items()},
        "text": {utterance: SENTENCES[name[3]] for utterance, name in parts.items()},
    }
    write_data_dir(data_dir, maps, PARTIAL=problems)
    log.info("%s: %d recordings (%s)", data_dir, len(parts),
             ", ".join(f"{label} {counts[label]}" for label in sorted(counts)))  # fmt: skip


if __name__ == "__main__":
    main()
