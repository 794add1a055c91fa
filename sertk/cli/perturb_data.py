"""perturb-data: perturbed copies of a data folder's utterances."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.generated import options_of
from sertk.cli.options import only_for, seed_option
from sertk.cli.types import FOLDER
from sertk.datadir.perturb_options import KINDS, PerturbOptions
from sertk.datadir.perturb_steps import IMAGE, RATED, SYNTHETIC
from sertk.options import take_options

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
@click.argument("out", metavar="OUT-DIR", type=FOLDER)
@options_of(PerturbOptions, "Perturbations", "speed", "noise", "music", "babble", "rir", "codec", "level", "clip")
@options_of(PerturbOptions, "What is drawn", "snr", "rt60", "drr", "distance", "kbps", "copies", "each_kind")
@options_of(PerturbOptions, "Names", "keep_originals", "keep_ids", "suffix")
@seed_option
def main(folder: Path, out: Path, seed: int, **options: Any) -> None:
    """Write perturbed copies of the utterances of DATA-DIR, with all lists, to OUT-DIR.

    OUT-DIR/utt2perturb says what happens to each copy; make_feats.sh, or make-fbank --utt2perturb, computes it from the
    original recording. Of several values one is drawn for each copy, by the seed and the copy's name. Ids are Kaldi's:
    sp0.9-UTT of the speaker sp0.9-SPK, UTT-noise of SPK; utt2uniq has the originals. The other kinds are also applied to
    the copies at other speeds. Folders of sounds have a wav.scp, or audio files in and below them.

    \b
    e.g.: perturb-data --speed 0.9,1.1 data/train data/train_sp
          perturb-data --noise synthetic --rir synthetic --babble own --each-kind false data/train data/train_aug
          perturb-data --noise pink --snr 10 --keep-ids true data/test data/test_noise10
    See also: make-fbank, combine-data, subset-data
    """
    check_purposes(options)
    from sertk.datadir.perturb import perturb

    data, warnings = perturb(folder, out, take_options(PerturbOptions, options), seed)
    for line in warnings:
        log.warning("%s", line)
    perturbed = len(data.lists.get("utt2perturb", {}))
    log.info("wrote %s: %d utterances, %d of them perturbed", out, len(data.utterances), perturbed)


def check_purposes(options: dict[str, Any]) -> None:
    """Check that no option is for a kind of perturbation that was not asked for.

    Raises:
        click.UsageError: one is.
    """
    check = partial(only_for, options=options)
    check("--noise, --music and --babble", options["noise"] or options["music"] or options["babble"], "snr")
    check(f"--rir {SYNTHETIC} and {IMAGE}", options["rir"] in (SYNTHETIC, IMAGE), "rt60")
    check(f"--rir {SYNTHETIC}", options["rir"] == SYNTHETIC, "drr")
    check(f"--rir {IMAGE}", options["rir"] == IMAGE, "distance")
    check(f"--codec {' and '.join(RATED)}", set(RATED).intersection(options["codec"] or ()), "kbps")
    kinds = [options[kind] for kind in KINDS]
    check(f"--{', --'.join(KINDS)}", any(kinds) or not options["speed"], "copies", "each_kind", "suffix")
    check("copies with ids of their own: not with --keep-ids", not options["keep_ids"], "keep_originals", "suffix")
