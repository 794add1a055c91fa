#!/usr/bin/env python3
"""prepare-librispeech: data folders for training and for speaker trials, from any subsets of LibriSpeech."""

import logging
import re
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import click

from sertk.atomic import atomic_file
from sertk.cli.command import command
from sertk.cli.types import FOLDER
from sertk.datadir.prepare import write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

RECORDING = re.compile(r"(\d+)-(\d+)-\d+\.flac")


@command
@click.argument("librispeech", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--train-subsets", metavar="NAME,…",
              help="Subsets to train on.  [default: every train-… in LIBRISPEECH]")  # fmt: skip
@click.option("--test-subset", default="test-other", show_default=True, metavar="NAME",
              help="Subset for the trials.")  # fmt: skip
@click.option("--train-per-speaker", type=click.IntRange(0), default=0, show_default=True,
              help="Recordings of each training speaker; 0: all.")  # fmt: skip
@click.option("--test-per-speaker", type=click.IntRange(2), default=10, show_default=True,
              help="Recordings of each test speaker; the trials are all pairs of them.")  # fmt: skip
def main(librispeech, data_dir, train_subsets, test_subset, train_per_speaker, test_per_speaker):
    """Write DATA-DIR/train and DATA-DIR/test (with trials) from LIBRISPEECH, the folder that holds the subsets.

    A speaker's recordings are taken at even distances in the order of their names. The trials are all pairs of test
    recordings; pairs of one speaker are targets.

    \b
    e.g.: local/prepare_librispeech.py /corpora/LibriSpeech data
    See also: validate-data, score-trials
    """
    names = train_subsets.split(",") if train_subsets else sorted(path.name for path in librispeech.glob("train-*"))
    if not names:
        raise SertkError(f"{librispeech}: no train-… in it (expected: the folder that holds LibriSpeech's subsets)")
    training = {}
    for name in names:
        training |= find_recordings(librispeech / name, train_per_speaker)
    testing = find_recordings(librispeech / test_subset, test_per_speaker)
    if both := {speaker_of(utterance) for utterance in training} & {speaker_of(utterance) for utterance in testing}:
        raise SertkError(f"{librispeech}: speaker {min(both)} is in {test_subset} and in the training subsets too")
    trials = make_trials(testing)

    genders = read_genders(librispeech / "SPEAKERS.TXT")
    for folder, recordings in (("train", training), ("test", testing)):
        speakers = {speaker_of(utterance) for utterance in recordings}
        maps = {
            "wav.scp": {utterance: str(path.absolute()) for utterance, path in recordings.items()},
            "utt2spk": {utterance: speaker_of(utterance) for utterance in recordings},
            "spk2gender": {speaker: genders[speaker] for speaker in speakers} if speakers <= genders.keys() else {},
        }
        write_data_dir(data_dir / folder, maps)
        log.info("%s: %d recordings of %d speakers", data_dir / folder, len(recordings), len(speakers))
    with atomic_file(data_dir / "test" / "trials", "w") as file:
        file.writelines(f"{line}\n" for line in trials)
    log.info("%s: %d trials", data_dir / "test" / "trials", len(trials))


def find_recordings(subset: Path, per_speaker: int) -> dict[str, Path]:
    """Return utterance id → file, for at most `per_speaker` recordings (0: all) of each speaker in `subset`."""
    by_speaker = defaultdict(list)
    for path in sorted(subset.glob("*/*/*.flac")):
        if path.name.startswith("."):
            continue
        parts = RECORDING.fullmatch(path.name)
        if not parts or parts[1] != path.parts[-3] or parts[2] != path.parts[-2]:
            raise SertkError(f"{path}: not a name of LibriSpeech's (SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac)")
        by_speaker[parts[1]].append(path)
    if not by_speaker:
        raise SertkError(f"{subset}: no recordings (expected: SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac)")
    return {path.stem: path for paths in by_speaker.values() for path in evenly_spaced(paths, per_speaker)}


def evenly_spaced(items: list, number: int) -> list:
    """Return `number` evenly spaced items (all if 0, or more than there are): 3 of 0…9 are 0, 3, 6."""
    if not number or number >= len(items):
        return items
    return [items[index * len(items) // number] for index in range(number)]


def make_trials(recordings: dict[str, Path]) -> list[str]:
    """Return Kaldi's trials, `utt1 utt2 target|nontarget`: every pair of `recordings` once, sorted."""
    trials = []
    for first, second in combinations(sorted(recordings), 2):
        same = speaker_of(first) == speaker_of(second)
        trials.append(f"{first} {second} {'target' if same else 'nontarget'}")
    if len({trial.rpartition(" ")[2] for trial in trials}) < 2:
        raise SertkError(f"no trials from {len(recordings)} test recordings: two speakers with two each are needed")
    return trials


def speaker_of(utterance: str) -> str:
    """Return the speaker of an utterance: 103 of 103-1240-0000."""
    return utterance.partition("-")[0]


def read_genders(path: Path) -> dict[str, str]:
    """Return speaker → m or f, from lines `14   | F | train-clean-360  | 25.03 | name`; {} if the file is missing."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [[word.strip() for word in line.split("|")] for line in lines if not line.startswith(";")]
    return {row[0]: row[1].lower() for row in rows if len(row) > 1 and row[1] in ("F", "M")}


if __name__ == "__main__":
    main()
