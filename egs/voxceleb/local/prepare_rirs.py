#!/usr/bin/env python3
"""prepare-rirs: a folder of room responses from RIRS_NOISES, for perturb-data."""

import logging
import re

import click

from sertk.cli.command import command
from sertk.cli.options import allow_partial_option
from sertk.cli.types import FOLDER
from sertk.datadir.prepare import report_problems, write_data_dir
from sertk.errors import SertkError

log = logging.getLogger("sertk")

# Set -> its folder in RIRS_NOISES and the number of responses of openslr.org/28.
SETS = {
    "smallroom": ("simulated_rirs/smallroom", 20000),
    "mediumroom": ("simulated_rirs/mediumroom", 20000),
    "largeroom": ("simulated_rirs/largeroom", 20000),
    "real": ("real_rirs_isotropic_noises", None),
}
# Beside the responses there are recordings of noise: RVB2014_type1_noise_largeroom1_1.wav.
NOISE = re.compile(r"noise", re.IGNORECASE)


@command
@click.argument("rirs", metavar="RIRS-NOISES", type=FOLDER)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option("--sets", default="smallroom,mediumroom", show_default=True, metavar="NAME,NAME,…",
              help=f"Sets of responses: {', '.join(SETS)}.")  # fmt: skip
@allow_partial_option
def main(rirs, data_dir, sets, allow_partial):
    """Write wav.scp and utt2spk of the room responses in RIRS-NOISES to DATA-DIR.

    RIRS-NOISES holds simulated_rirs and real_rirs_isotropic_noises; each simulated set has 20,000 responses
    (openslr.org/28). Of several channels perturb-data takes the first. The rooms are the speakers.

    \b
    e.g.: local/prepare_rirs.py /corpora/RIRS_NOISES data/rirs
          local/prepare_rirs.py --sets smallroom,mediumroom,real /corpora/RIRS_NOISES data/rirs
    See also: perturb-data
    """
    recordings, rooms, problems = {}, {}, []
    for name in sets.split(","):
        if name not in SETS:
            raise click.UsageError(f"--sets: '{name}' is not one of {', '.join(SETS)}")
        folder, wanted = SETS[name]
        found = sorted(path for path in (rirs / folder).rglob("*.wav") if path.name[0] != ".")
        found = [path for path in found if name != "real" or not NOISE.search(path.name)]
        if not found:
            raise SertkError(f"{rirs / folder}: no room responses (expected: {folder} in {rirs})")
        if wanted and len(found) != wanted:
            problems.append(f"{name}: {len(found)} responses, expected {wanted}")
        for path in found:
            # Each set numbers its rooms from 1: smallroom/Room001/Room001-00001.wav.
            room = path.parent.name if name != "real" else path.stem
            recordings[f"{name}-{path.stem}"], rooms[f"{name}-{path.stem}"] = str(path.absolute()), f"{name}-{room}"
    report_problems(rirs, "RIRS_NOISES", problems, allow_partial)
    write_data_dir(data_dir, {"wav.scp": recordings, "utt2spk": rooms}, PARTIAL=problems)
    log.info("%s: %d responses of %d rooms", data_dir, len(recordings), len(set(rooms.values())))


if __name__ == "__main__":
    main()
