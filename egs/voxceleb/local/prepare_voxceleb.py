#!/usr/bin/env python3
"""prepare-voxceleb: data folders for training and for the speaker trials, from VoxCeleb1 and VoxCeleb2."""

import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from sertk.atomic import atomic_file
from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import BOOL, FOLDER
from sertk.datadir.prepare import report_problems, write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

# VoxCeleb1 has 1211 training speakers and the 40 of VoxCeleb1-O; VoxCeleb2's dev set has 5994.
SPEAKERS = {"VoxCeleb1": 1251, "VoxCeleb2": 5994}
# Of VoxCeleb1, 148,642 are of the dev set and 4,874 of the test set; of VoxCeleb2, all are of the dev set.
RECORDINGS = {"VoxCeleb1": 153516, "VoxCeleb2": 1092009}
# Folders of recordings in each corpus: as distributed, and with the sets merged.
FOLDERS = {
    "VoxCeleb1": ("dev/wav", "test/wav", "wav"),
    "VoxCeleb2": ("dev/aac", "dev/wav", "aac", "wav"),
}
# VoxCeleb1's trial lists; O uses the 40 test speakers, E and H all 1251.
LISTS = {
    "O": "veri_test2.txt",
    "E": "list_test_all2.txt",
    "H": "list_test_hard2.txt",
    "O-original": "veri_test.txt",
    "E-original": "list_test_all.txt",
    "H-original": "list_test_hard.txt",
}
# Only the last suffix is the type; converters may append theirs (00001.m4a.wav).
RECORDING = re.compile(r"(id\d{5})/([^/]+)/([^/]+?)(?:\.(?:wav|flac|m4a))*\.(?:wav|flac|m4a)")
# Preferred first, if a recording exists several times.
SUFFIXES = (".wav", ".flac", ".m4a")


@command
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--voxceleb1", type=FOLDER, help="The folder that holds dev/wav and test/wav, or all of it in wav.")
@click.option("--voxceleb2", type=FOLDER, help="The folder that holds dev/aac, or dev/wav if converted.")
@click.option("--trials", default="O", show_default=True, metavar="LIST,LIST,…",
              help="Trial lists: O, E, H (cleaned), O-original, E-original, H-original, or files.")  # fmt: skip
@click.option("--calibration-speakers", type=click.IntRange(0), default=0, show_default=True, metavar="N",
              help="Take N training speakers out of the training, for the calibration of scores.")  # fmt: skip
@allow_partial_option
@click.option("--simulated", type=BOOL, default=False, show_default=True,
              help="The corpus is simulated: check no counts, write a file SIMULATED.")  # fmt: skip
def main(data_dir, voxceleb1, voxceleb2, trials, calibration_speakers, allow_partial, simulated):
    """Write DATA-DIR/train and, with VoxCeleb1, DATA-DIR/test with trials_O (trials_E, …).

    The speakers of the trial lists are never in DATA-DIR/train; with O (veri_test2.txt) 1211 + 5994 = 7205 speakers
    remain. Lists that use VoxCeleb1's dev set (E, H) remove all its speakers from the training. DATA-DIR/test has the
    recordings of all lists, DATA-DIR/held_out those of the --calibration-speakers, with their videos as utt2session.
    Lists are looked for under VoxCeleb's names in and beside VoxCeleb1's folder. m4a is read through ffmpeg, unless the
    recording also exists as wav or flac (or NAME.m4a.wav). Stops if the number of speakers or recordings is not that of
    the full corpus: 153,516 recordings in VoxCeleb1, 1,092,009 in VoxCeleb2's dev set.

    \b
    e.g.: local/prepare_voxceleb.py --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 data
          local/prepare_voxceleb.py --trials O,E,H --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 data
    See also: validate-data
    """
    roots = {"VoxCeleb1": voxceleb1, "VoxCeleb2": voxceleb2}
    roots = {name: root for name, root in roots.items() if root}
    if not roots:
        raise click.UsageError("Wanted: --voxceleb1, --voxceleb2 or both.")
    problems, recordings = [], {}
    for name, root in roots.items():
        found = find_recordings(name, root)
        speakers = {speaker_of(utterance) for utterance in found}
        if len(speakers) != SPEAKERS[name] and not simulated:
            problems.append(f"{name} in {root} has {len(speakers)} speakers, expected {SPEAKERS[name]}")
        if len(found) != RECORDINGS[name] and not simulated:
            problems.append(f"{name} in {root} has {len(found)} recordings{_by_folder(found, root, name)}, "
                            f"expected {RECORDINGS[name]}")  # fmt: skip
        recordings |= found

    lists = {name: read_trials(path) for name, path in find_lists(trials, voxceleb1).items()} if voxceleb1 else {}
    wanted = {utterance for tried in lists.values() for pair in tried for utterance in pair}
    if absent := sorted(wanted - recordings.keys()):
        problems += [f"{voxceleb1} has no recording {utterance} of the trials" for utterance in absent]
    report_problems(next(iter(roots.values())), " and ".join(roots), problems, allow_partial)

    held_out = {speaker_of(utterance) for utterance in wanted}
    training = {utterance: path for utterance, path in recordings.items() if speaker_of(utterance) not in held_out}
    testing = {utterance: recordings[utterance] for utterance in sorted(wanted & recordings.keys())}
    lists = {
        name: {pair: label for pair, label in tried.items() if pair[0] in testing and pair[1] in testing}
        for name, tried in lists.items()
    }
    if not training:
        raise SertkError(f"no speaker is left for training: all {len(held_out)} are in the trials")
    for name, tried in lists.items():
        if not tried:
            raise SertkError(f"{voxceleb1}: none of the trials of {name} has its recordings there")
    aside = evenly_spread(sorted({speaker_of(utterance) for utterance in training}), calibration_speakers)
    held_out_recordings = {utterance: path for utterance, path in training.items() if speaker_of(utterance) in aside}
    training = {utterance: path for utterance, path in training.items() if utterance not in held_out_recordings}
    if not training:
        raise SertkError(f"--calibration-speakers={calibration_speakers}: no speaker is left for training")
    stamps = {"PARTIAL": problems, "SIMULATED": ["simulated speech"] if simulated else []}
    write_data_dir(data_dir / "train", data_maps(training), **stamps)
    log.info("%s: %d recordings of %d speakers", data_dir / "train", len(training), len(set(map(speaker_of, training))))
    if aside:
        videos = {"utt2session": {utterance: utterance.rpartition("-")[0] for utterance in held_out_recordings}}
        write_data_dir(data_dir / "held_out", data_maps(held_out_recordings) | videos, **stamps)
        log.info("%s: %d recordings of %d speakers", data_dir / "held_out", len(held_out_recordings), len(aside))
    if voxceleb1:
        write_data_dir(data_dir / "test", data_maps(testing), **stamps)
        for name, tried in lists.items():
            write_trials(data_dir / "test" / f"trials_{name}", tried)
        for other in (data_dir / "test").glob("trials*"):
            if other.name.removeprefix("trials_") not in lists:  # of an earlier preparation
                other.unlink()
        log.info("%s: %d recordings of %d speakers, trials: %s", data_dir / "test", len(testing), len(held_out),
                 ", ".join(f"{name} {len(tried)}" for name, tried in lists.items()))  # fmt: skip


def evenly_spread(people: list[str], number: int) -> set[str]:
    """Return `number` of the people, or all of them."""
    return {people[index * len(people) // number] for index in range(number)} if number < len(people) else set(people)


def find_recordings(name: str, root: Path) -> dict[str, Path]:
    """Return utterance id → file, for all recordings of corpus `name` under `root`.

    Raises:
        SertkError: No folder of the known layouts, a file that is not a recording, no recordings, or no ffmpeg.
    """
    folders = [root / folder for folder in FOLDERS[name] if (root / folder).is_dir()]
    if not folders:
        raise SertkError(f"{root}: not {name}: it has none of {', '.join(FOLDERS[name])}")
    recordings, copies = {}, 0
    for folder in folders:
        for path in walk(folder):
            parts = RECORDING.fullmatch(path.relative_to(folder).as_posix())
            if not parts:
                raise SertkError(f"{path}: not a recording of {name} (expected: idNNNNN/VIDEO/NAME.wav, .flac or .m4a)")
            utterance = "-".join(parts.groups())
            other = recordings.get(utterance)
            copies += other is not None
            if other is None or _preference(path) < _preference(other):
                recordings[utterance] = path
    if copies:
        log.info("%s: %d recordings exist more than once: wav is preferred to flac, and flac to m4a", root, copies)
    if not recordings:
        raise SertkError(f"{root}: no recordings in {', '.join(folder.name for folder in folders)}")
    if any(path.suffix == ".m4a" for path in recordings.values()) and not shutil.which("ffmpeg"):
        raise SertkError(f"{root}: has m4a files, and ffmpeg, which reads them, is not installed (or give wav files)")
    return recordings


def _preference(path: Path) -> tuple[int, int, str]:
    """Return the sort key of a recording's files, preferred first: by suffix, then the shortest name."""
    return SUFFIXES.index(path.suffix), len(path.name), str(path)


def _by_folder(recordings: dict[str, Path], root: Path, name: str) -> str:
    """Return the recordings per folder of a corpus if it has several: " (dev/wav 148642, test/wav 12)"."""
    folders = [folder for folder in FOLDERS[name] if (root / folder).is_dir()]
    if len(folders) < 2:
        return ""
    counts = [sum(path.is_relative_to(root / folder) for path in recordings.values()) for folder in folders]
    return f" ({', '.join(f'{folder} {count}' for folder, count in zip(folders, counts))})"


def walk(folder: Path) -> Iterator[Path]:
    """Yield all audio files below `folder` except dot-files, without a stat per file (there are 1.2 million)."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)


def speaker_of(utterance: str) -> str:
    """Return the speaker of an utterance: id10270 of id10270-x6uYqmx31kE-00001."""
    return utterance.partition("-")[0]


def find_lists(words: str, voxceleb1: Path) -> dict[str, Path]:
    """Return name → file of the trial lists, each from the first of the usual places that has it.

    Raises:
        SertkError: A list is nowhere, or two have one name.
    """
    lists = {}
    for word in words.split(","):
        if word in LISTS:
            file = LISTS[word]
            places = [voxceleb1 / file, voxceleb1 / "test" / file, voxceleb1.parent / file]
            name, path = word, next((place for place in places if place.is_file()), None)
            if path is None:
                raise SertkError(f"{places[0]}: no trial list (put {file} there, or name another with --trials)")
        else:
            path = Path(word)
            name = next((name for name, file in LISTS.items() if file == path.name), path.stem)
            if not path.is_file():
                raise SertkError(f"{word}: neither a file nor one of VoxCeleb1's lists ({', '.join(LISTS)})")
        if name in lists or not re.fullmatch(r"[\w.-]+", name):
            raise SertkError(f"--trials {words}: two lists '{name}', or a name with odd characters")
        lists[name] = path
    return lists


def read_trials(path: Path) -> dict[tuple[str, str], str]:
    """Return (utterance, utterance) → target or nontarget, from lines `1 id10270/VIDEO/00001.wav id10271/…/….wav`."""
    trials = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        names = [RECORDING.fullmatch(word) for word in words[1:]]
        if len(names) != 2 or not all(names) or words[0] not in ("0", "1"):
            raise SertkError(f"{path}:{number}: not a trial (1|0 idNNNNN/VIDEO/NAME.wav idNNNNN/VIDEO/NAME.wav)")
        first, second = ("-".join(name.groups()) for name in names)
        trials[first, second] = "target" if words[0] == "1" else "nontarget"
    if not trials:
        raise SertkError(f"{path}: no trials in it")
    return trials


def data_maps(recordings: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Return the maps of the data folder: file name → {utterance: value}."""
    return {
        "wav.scp": {utterance: rxfilename(path.absolute()) for utterance, path in recordings.items()},
        "utt2spk": {utterance: speaker_of(utterance) for utterance in recordings},
    }


def rxfilename(path: Path) -> str:
    """Return the rxfilename of `path`: the path, or for m4a an ffmpeg pipe of 16 kHz mono wav."""
    if path.suffix != ".m4a":
        return str(path)
    return f"ffmpeg -nostdin -v error -i {shlex.quote(str(path))} -ac 1 -ar 16000 -f wav - |"


def write_trials(path: Path, trials: dict[tuple[str, str], str]) -> None:
    """Write Kaldi's trial list, `utt1 utt2 target|nontarget`, in the original order."""
    with atomic_file(path, "w") as file:
        file.writelines(f"{first} {second} {label}\n" for (first, second), label in trials.items())


if __name__ == "__main__":
    main()
