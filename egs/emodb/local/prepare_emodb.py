#!/usr/bin/env python3
"""prepare-emodb: data folder of the Berlin database of emotional speech (EmoDB), all of it or four classes."""

import logging
import re
from collections import Counter

import click

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import BOOL, FOLDER
from sertk.datadir.prepare import report_problems, write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

# Initials of the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
LABELS = {"W": "ang", "L": "bor", "E": "dis", "A": "fea", "F": "hap", "T": "sad", "N": "neu"}
COUNTS = {"ang": 127, "hap": 71, "neu": 79, "sad": 62}
WHOLE = COUNTS | {"bor": 81, "dis": 46, "fea": 69}
GENDERS = {"03": "m", "08": "f", "09": "f", "10": "m", "11": "m", "12": "m", "13": "f", "14": "f", "15": "m", "16": "f"}
# Five sessions of one man and one woman, as in IEMOCAP, so that each of five folds holds out two speakers.
SESSIONS = {"Ses01": "03 08", "Ses02": "10 09", "Ses03": "11 13", "Ses04": "12 14", "Ses05": "15 16"}
SESSION_OF = {speaker: session for session, speakers in SESSIONS.items() for speaker in speakers.split()}
# The ten sentences that all actors say, by the code in the file name.
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
# Speaker, text, emotion, take: 03a01Wa.wav
RECORDING = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])\.wav")


@command
@click.argument("emodb", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--whole", type=BOOL, default=False, show_default=True,
              help="Require the 535 recordings of all seven emotions.")  # fmt: skip
@allow_partial_option
def main(emodb, data_dir, whole, allow_partial):
    """Write the data folder DATA-DIR of EMODB, the folder that holds wav/.

    Recordings of all emotions are kept; make-folds --label-map selects the labels of an experiment. All 339 recordings
    of the four classes of IEMOCAP's Exp 1 must be present; with --whole true all 535.

    Writes wav.scp, utt2spk, spk2utt, spk2gender, utt2label, utt2session, text and utt2script (the code of the sentence).

    \b
    e.g.: local/prepare_emodb.py /corpora/emodb data/emodb
    See also: validate-data, make-folds
    """
    recordings, problems = {}, []
    for path in sorted((emodb / "wav").glob("*.wav")):
        if path.name.startswith("."):
            continue
        parts = RECORDING.fullmatch(path.name)
        if not parts or parts[1] not in SESSION_OF or parts[2] not in SENTENCES or parts[3] not in LABELS:
            problems.append(f"{path}: not a name of EmoDB's (speaker, text, emotion, take: 03a01Wa.wav)")
        else:
            recordings[path.stem] = (path, parts[1], parts[2], LABELS[parts[3]])
    if not recordings:
        raise SertkError(f"{emodb / 'wav'}: no recordings of EmoDB (expected in it: 03a01Wa.wav and so on)")
    counts = Counter(label for *_, label in recordings.values())
    problems += [
        f"{label}: {counts[label]} recordings, expected {wanted}"
        for label, wanted in (WHOLE if whole else COUNTS).items()
        if counts[label] != wanted
    ]
    report_problems(emodb, "EmoDB", problems, allow_partial)
    maps = {
        "wav.scp": {utterance: str(path.absolute()) for utterance, (path, *_) in recordings.items()},
        "utt2spk": {utterance: speaker for utterance, (_, speaker, *_) in recordings.items()},
        "spk2gender": {speaker: GENDERS[speaker] for _, speaker, *_ in recordings.values()},
        "utt2label": {utterance: label for utterance, (*_, label) in recordings.items()},
        "utt2session": {utterance: SESSION_OF[speaker] for utterance, (_, speaker, *_) in recordings.items()},
        "utt2script": {utterance: text for utterance, (_, _, text, _) in recordings.items()},
        "text": {utterance: SENTENCES[text] for utterance, (_, _, text, _) in recordings.items()},
    }
    write_data_dir(data_dir, maps, PARTIAL=problems)
    log.info("%s: %d recordings (%s)", data_dir, len(recordings),
             ", ".join(f"{label} {counts[label]}" for label in sorted(counts)))  # fmt: skip


if __name__ == "__main__":
    main()
