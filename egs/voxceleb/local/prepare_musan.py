#!/usr/bin/env python3
"""prepare-musan: folders of noise, music and voices from MUSAN, for perturb-data."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import BOOL, FOLDER
from sertk.datadir.lists import read_lines
from sertk.datadir.perturb_steps import number
from sertk.datadir.prepare import report_problems, write_data_dir
from sertk.errors import SertkError
from sertk.frontend.sounds import Sounds

log = logging.getLogger("sertk")

# Recordings of openslr.org/17 in each part.
RECORDINGS = {"noise": 930, "music": 660, "speech": 426}


@command
@click.argument("musan", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--vocals", type=BOOL, default=True, show_default=True,
              help="false: leave music with vocals out, by the ANNOTATIONS.")  # fmt: skip
@allow_partial_option
def main(musan, data_dir, vocals, allow_partial):
    """Write DATA-DIR/musan_noise, musan_music and musan_speech from MUSAN, the folder that holds noise, music and speech.

    Each has wav.scp, utt2spk and utt2dur. The corpus has 930, 660 and 426 recordings (openslr.org/17).

    \b
    e.g.: local/prepare_musan.py /corpora/musan data
    See also: perturb-data
    """
    parts, problems = {}, []
    for part, wanted in RECORDINGS.items():
        recordings = {path.stem: path for path in sorted((musan / part).rglob("*.wav")) if path.name[0] != "."}
        if not recordings:
            raise SertkError(f"{musan / part}: no recordings of MUSAN (expected: noise, music and speech in {musan})")
        if len(recordings) != wanted:
            problems.append(f"{part}: {len(recordings)} recordings, expected {wanted}")
        parts[part] = recordings
    if not vocals:
        parts["music"] = {name: path for name, path in parts["music"].items() if name not in with_vocals(musan)}
    report_problems(musan, "MUSAN", problems, allow_partial)
    sounds = Sounds()
    for part, recordings in parts.items():
        maps = {
            "wav.scp": {name: str(path.absolute()) for name, path in recordings.items()},
            "utt2spk": {name: name for name in recordings},
            "utt2dur": {name: number(sounds.seconds(str(path))) for name, path in recordings.items()},
        }
        write_data_dir(data_dir / f"musan_{part}", maps, PARTIAL=problems)
        hours = sum(map(float, maps["utt2dur"].values())) / 3600
        log.info("%s: %d recordings, %.1f hours", data_dir / f"musan_{part}", len(recordings), hours)


def with_vocals(musan: Path) -> set[str]:
    """Names of the music with vocals: lines of `NAME GENRES Y …` in the ANNOTATIONS."""
    names = set()
    annotations = sorted((musan / "music").rglob("ANNOTATIONS"))
    if not annotations:
        raise SertkError(f"{musan / 'music'}: no ANNOTATIONS, which say what music has vocals")
    for path in annotations:
        for _, line in read_lines(path, "ANNOTATIONS are text", windows=True):
            words = line.split()
            if len(words) > 2 and words[2] == "Y":
                names.add(words[0])
    return names


if __name__ == "__main__":
    main()
