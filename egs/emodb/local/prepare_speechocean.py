#!/usr/bin/env python3
"""prepare-speechocean: data folders for training and for speaker trials from speechocean762."""

import logging
from collections import defaultdict

import click
from prepare_librispeech import make_trials

from sertk.atomic import atomic_file
from sertk.cli.command import command
from sertk.cli.types import FOLDER
from sertk.datadir.prepare import write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@command
@click.argument("speechocean", metavar="SPEECHOCEAN762", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--test-speakers", type=click.IntRange(2), default=20, show_default=True,
              help="The last speakers, in the order of their names, are for the trials.")  # fmt: skip
def main(speechocean, data_dir, test_speakers):
    """Write DATA-DIR/train and DATA-DIR/test (with trials) from SPEECHOCEAN762, the folder that holds WAVE.

    The trials are all pairs of test recordings; pairs of one speaker are targets.

    \b
    e.g.: local/prepare_speechocean.py /corpora/speechocean762 data/speechocean
    See also: combine-data, score-trials
    """
    recordings = defaultdict(dict)
    for path in sorted((speechocean / "WAVE").glob("SPEAKER*/*")):
        if path.suffix.lower() in (".wav", ".flac", ".ogg") and path.name[0] != ".":
            recordings[path.parent.name][f"{path.parent.name}-{path.stem}"] = path
    speakers = sorted(recordings)
    if len(speakers) <= test_speakers:
        raise SertkError(
            f"{speechocean}: {len(speakers)} speakers in WAVE/SPEAKER…, more than {test_speakers} are needed"
        )
    parts = {"train": speakers[:-test_speakers], "test": speakers[-test_speakers:]}
    trials = make_trials({key: path for speaker in parts["test"] for key, path in recordings[speaker].items()})
    for name, members in parts.items():
        paths = {key: str(path.absolute()) for speaker in members for key, path in recordings[speaker].items()}
        spk = {key: speaker for speaker in members for key in recordings[speaker]}
        write_data_dir(data_dir / name, {"wav.scp": paths, "utt2spk": spk})
        log.info("%s: %d recordings of %d speakers", data_dir / name, len(paths), len(members))
    with atomic_file(data_dir / "test" / "trials", "w") as file:
        file.writelines(f"{line}\n" for line in trials)


if __name__ == "__main__":
    main()
