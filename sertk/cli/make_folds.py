"""make-folds: divide a labelled data folder into folds."""

from collections import Counter
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import only_for, seed_option
from sertk.cli.types import FILE, FOLDER
from sertk.datadir.folder import STAMPS
from sertk.datadir.lists import read_list
from sertk.datadir.speakers import read_speakers, recordings
from sertk.errors import SertkError
from sertk.scoring.foldfiles import MAPS, write_folds
from sertk.scoring.folds import SCHEMES, divide, map_labels
from sertk.scoring.parts import PARTS, of_part, script_overlap, scripts_of


@command
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.argument("fold_dir", metavar="FOLD-DIR", type=FOLDER)
@click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    default="loso",
    show_default=True,
    help="Hold out a session (loso), a speaker or a group of them, or a given split; or stratify by class.",
)
@click.option(
    "--num-folds",
    type=click.IntRange(2),
    default=None,
    help="Number of folds for stratified [default: 5], and of groups of speakers for speaker [default: one speaker per "
    "fold]; the others only check it.",
)
@click.option(
    "--label-map",
    type=FILE,
    default=None,
    help="Lines of 'LABEL CLASS'; other labels are left out, classes keep the file's order. [default: all]",
)
@click.option(
    "--part",
    type=click.Choice(["all", *PARTS]),
    default="all",
    show_default=True,
    help="Only IEMOCAP's improvised or scripted dialogs, by utt2dialog.",
)
@click.option(
    "--splits",
    type=FILE,
    default=None,
    metavar="UTT2X",
    help="Splits for --scheme given: each is held out in turn.  [default: DATA-DIR/utt2split]",
)
@seed_option
def main(
    data_dir: Path,
    fold_dir: Path,
    scheme: str,
    num_folds: int | None,
    label_map: Path | None,
    part: str,
    splits: Path | None,
    seed: int,
) -> None:
    """Divide the segments of DATA-DIR/utt2label into folds.

    Writes utt2label, utt2fold, labels.txt and scheme.json to FOLD-DIR. loso reads utt2session, speaker reads utt2spk, given
    reads utt2split; if there is a utt2spk, a speaker in two folds is an error. With --num-folds, speaker holds out groups
    of speakers with about the same numbers of segments of each class, and of men and women if there is a spk2gender.
    Perturbed copies (sp0.9-SPK, utt2uniq) are the same person and recording as their originals. Stratified folds, and
    given ones if the corpus's splits do, share speakers between training and test: their results are stamped
    SPEAKER-DEPENDENT. Scripts that folds share (IEMOCAP's by utt2dialog, others' by utt2script) are counted.

    \b
    e.g.: make-folds --label-map conf/labels.exp3 data/all exp/folds
          make-folds --scheme speaker --num-folds 5 data/all exp/folds5
          make-folds --scheme stratified --num-folds 5 --seed 1 data/all exp/folds5
    See also: train-resnet, transfer-head, score-loso
    """
    only_for("--scheme given", scheme == "given", "splits")
    label_names = None if label_map is None else read_list(label_map)
    all_labels = read_list(data_dir / "utt2label")
    utt2label, labels = map_labels(all_labels, label_names)
    utt2dialog = read_list(data_dir / "utt2dialog") if part != "all" or (data_dir / "utt2dialog").exists() else {}
    if part != "all":
        utt2label = {utt: utt2label[utt] for utt in of_part(list(utt2label), utt2dialog, part)}
    maps = {what: read_list(data_dir / name) for what, name in MAPS.items() if (data_dir / name).exists()}
    if scheme == "speaker" and "speaker" in maps and not read_speakers(data_dir / "utt2spk"):
        raise SertkError(f"{data_dir / 'utt2spk'}: the speakers are unknown: each utterance is its own")
    split_path, gender_path = splits or data_dir / "utt2split", data_dir / "spk2gender"
    more = {"split": read_list(split_path)} if scheme == "given" and (splits or split_path.exists()) else {}
    more |= {"gender": read_list(gender_path)} if gender_path.exists() else {}
    folds = divide(scheme, utt2label, labels, maps | more, num_folds, seed)
    if copies := len(utt2label) - len(set(recordings(utt2label, maps.get("recording")).values())):
        message = (
            "%d segments are perturbed copies of others: leave them out of utt2label, or they are test segments too"
        )
        log.warning(message, copies)
    number_of = Counter(all_labels.values())
    if unused := [label for label in label_names or () if label not in number_of]:
        log.warning("%s: no segment is labelled %s", label_map, ", ".join(unused))
    if dropped := sorted(number_of.keys() - (label_names or number_of).keys()):
        log.info("labels left out: %s", ", ".join(f"{number_of[label]} {label}" for label in dropped))
    settings = {"label_map": label_names, "part": part, "seed": seed}
    settings["stamps"] = [stamp for stamp in STAMPS if (data_dir / stamp).exists()]
    script_path = data_dir / "utt2script"
    scripts = read_list(script_path) if script_path.exists() else scripts_of(utt2dialog)
    settings["scripts"] = overlap = script_overlap(folds.utt2fold, scripts)
    write_folds(fold_dir, folds, maps, settings)
    for fold, counts in folds.counts().items():
        log.info("fold %d: %s", fold, ", ".join(f"{count} {label}" for label, count in counts.items()))
        if overlap[str(fold)]["scripted"]:
            message = "fold %d: %d scripted, %d of them of scripts that its training has too"
            log.info(message, fold, *overlap[str(fold)].values())
    log.info("Done %d, left out %d", len(utt2label), len(all_labels) - len(utt2label))
