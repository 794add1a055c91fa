"""import-scores: predictions of another toolkit as posteriors that are scored, compared and reported like sertk's own."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import BOOL, FILE, FOLDER, PAIRS
from sertk.errors import SertkError

FOLDS = "folds"


@command
@click.argument("tables", metavar="TABLE…", type=FILE, nargs=-1, required=True)
@click.argument("fold_dir", metavar="FOLD-DIR", type=FOLDER)
@click.argument("out", metavar="DIR", type=FOLDER)
@click.option("--data", type=FOLDER, metavar="DATA-DIR", help="Data folder, for tables that name files.")
@click.option("--label-map", type=FILE, help="Lines of 'LABEL CLASS'; the probabilities of other labels are left out.")
@click.option("--columns", type=PAIRS, help="Columns that are called otherwise: file=clip,label=answer.")
@click.option("--logits", type=BOOL, default=False, show_default=True, help="Scores are logits: take their softmax.")
@click.option("--fold", metavar="N", help="Only the segments of this fold, which one model has scored: writes DIR/N.")
@click.option(
    "--trained-on",
    metavar=f"FILE|{FOLDS}",
    help=f"Training utterances of the model, one per line (a utt2spk has the speakers too); {FOLDS}: each fold was scored "
    "by a model trained on the other folds.",
)
@click.option("--training-speakers", type=FILE, help="Training speakers of the model, one per line.")
@click.option("--declared", metavar="TEXT", help="Training data of the model in words.")
@click.option(
    "--transductive",
    type=BOOL,
    default=False,
    show_default=True,
    help="A prediction depends on other segments of the test, as by a speaker's mean: results are stamped TRANSDUCTIVE.",
)
def main(
    tables: tuple[Path, ...],
    fold_dir: Path,
    out: Path,
    data: Path | None,
    label_map: Path | None,
    columns: dict[str, str] | None,
    logits: bool,
    fold: str | None,
    trained_on: str | None,
    training_speakers: Path | None,
    declared: str | None,
    transductive: bool,
) -> None:
    """Write the predictions in TABLE as posteriors of the segments of FOLD-DIR (from make-folds) to the experiment folder DIR.

    TABLE is CSV, TSV, JSON or JSON Lines: a file or utterance, and a column per label, a list of labels with scores (Hugging
    Face's pipelines, FunASR), or a label alone (nkululeko). Files are found by name, whatever their suffix. Every segment must
    have one prediction; rows about others are ignored.

    The leak guard works as on sertk's own models, with the training data that is declared here: with a training segment or
    speaker in its test, the system is not scored. Scores of which nothing is declared are stamped UNDECLARED.

    \b
    e.g.: import-scores --trained-on folds predictions.csv exp/folds exp/other
          import-scores --data data/all --label-map conf/labels.exp3 --declared "MSP-Podcast 1.11" \\
            pipeline.jsonl exp/folds exp/other
    See also: score-loso, compare-scores, fuse-scores
    """
    import numpy as np

    from sertk.datadir.lists import read_list
    from sertk.kaldi.manifest import file_sha256
    from sertk.kaldi.writer import published_together, table_writer
    from sertk.scoring.foldfiles import read_labels, read_maps, read_utt2fold
    from sertk.scoring.foreign import read_predictions
    from sertk.scoring.segmentnames import read_names
    from sertk.scoring.trainingrecords import read_lines_of, training_record

    if wrong := next((name for name in columns or {} if name not in ("file", "label")), None):
        raise click.UsageError(f"--columns: '{wrong}' is neither file nor label")
    utt2fold, classes = read_utt2fold(fold_dir / "utt2fold"), read_labels(fold_dir / "labels.txt")
    number = {str(n) for n in utt2fold.values()}
    if fold is not None and fold not in number:
        raise SertkError(f"{fold_dir / 'utt2fold'}: no segment is in fold {fold}")
    if fold is not None:
        parts = {fold: [key for key, n in utt2fold.items() if str(n) == fold]}
    elif trained_on == FOLDS:
        parts = {n: [key for key, m in utt2fold.items() if str(m) == n] for n in sorted(number, key=int)}
    else:
        parts = {None: list(utt2fold)}
    check_free(out, [part for part in parts if part])
    speaker_of = read_maps(fold_dir / "utt2fold").get("speaker", {})
    declared_keys = None if trained_on in (None, FOLDS) else read_lines_of(Path(trained_on))
    speakers = None if training_speakers is None else read_lines_of(training_speakers)
    if declared_keys and speakers is None and all(declared_keys.values()):
        speakers = dict.fromkeys(declared_keys.values())  # a utt2spk
    wanted = [key for keys in parts.values() for key in keys]
    names = read_names(wanted, data)
    mapped = None if label_map is None else read_list(label_map)
    posteriors = read_predictions(tables, names, classes, mapped, columns, logits)
    source = {"tables": [path.name for path in tables], "sha256": [file_sha256(path) for path in tables]}
    with published_together() as together:
        for part, keys in parts.items():
            trained = [key for key in utt2fold if key not in set(keys)] if trained_on == FOLDS else declared_keys
            record = training_record(part, trained, speakers, declared, speaker_of)
            settings = {"labels": list(classes), "imported": source} | ({"trained_on": record} if record else {})
            settings |= {"frontend": {"transductive": True}} if transductive else {}
            folder = out / part if part else out
            folder.mkdir(parents=True, exist_ok=True)
            table = f"ark:{folder}/scores.ark"
            with table_writer(table, kind="vector", settings=settings, together=together) as write:
                for key in sorted(keys):
                    write(key, posteriors.vectors[key].astype("float32"))
    highest = np.max(list(posteriors.vectors.values()), axis=0)
    if absent := [name for name, value in zip(classes, highest) if not value]:
        log.warning("no segment has any probability of %s (--label-map maps labels that are called otherwise)",
                    ", ".join(absent))  # fmt: skip
    truth = read_list(fold_dir / "utt2label")
    if all(posteriors.vectors[key][classes.index(truth[key])] == 1 for key in wanted if truth.get(key) in classes):
        log.warning("every segment has its true label alone: is that the column of the truth? (--columns label=NAME)")
    if posteriors.outside:
        log.warning(
            "%d segments had part of their probability on labels that are no classes: scaled to 1", posteriors.outside
        )
    if trained_on is None and training_speakers is None and not declared:
        log.warning("no training data is declared: results will be stamped UNDECLARED")
    log.info("Done %d, ignored %d rows about other segments", len(wanted), posteriors.others)


def check_free(out: Path, parts: list[str]) -> None:
    """Raise SertkError if a folder has scores for all folds where those of single folds are to be written, or vice versa."""
    taken = (
        [out / "scores.ark"]
        if parts
        else sorted(path for path in out.glob("*/scores.ark") if path.parent.name.isdigit())
    )
    if taken and taken[0].exists():
        raise SertkError(f"{out}: has {taken[0].relative_to(out)} already: name another folder, or remove it")
