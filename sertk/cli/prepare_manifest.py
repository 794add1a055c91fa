"""prepare-manifest: data folder of any corpus that a table of its files describes."""

import re
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import BOOL, FILE, FOLDER, PAIRS
from sertk.errors import SertkError


@command
@click.argument("manifests", metavar="MANIFEST…", type=FILE, nargs=-1, required=True)
@click.argument("data_dir", metavar="DATA-DIR", type=FOLDER)
@click.option(
    "--root",
    metavar="DIR",
    type=FOLDER,
    default=None,
    help="Folder of relative file names.  [default: each manifest's own]",
)
@click.option(
    "--columns",
    type=PAIRS,
    default=None,
    help="Columns with other names than those above: emotion=valence_class,speaker=actor.",
)
@click.option(
    "--speaker-from",
    metavar="REGEX",
    default=None,
    help="Take missing speakers from file names: the first group, or the whole match.",
)
@click.option(
    "--unknown-speakers",
    type=BOOL,
    default=False,
    show_default=True,
    help="Accept rows without a speaker: each utterance is its own, and results are stamped SPEAKERS-UNKNOWN.",
)
@click.option(
    "--allow-partial",
    type=BOOL,
    default=False,
    show_default=True,
    help="Leave out rows that do not fit and list them in DATA-DIR/PARTIAL.",
)
def main(
    manifests: tuple[Path, ...],
    data_dir: Path,
    root: Path | None,
    columns: dict[str, str] | None,
    speaker_from: str | None,
    unknown_speakers: bool,
    allow_partial: bool,
) -> None:
    """Write the data folder DATA-DIR of the files in MANIFEST, a table in CSV, TSV, JSON or JSON Lines.

    Columns: file (or path, wav, audio, file_name, audio_filepath), speaker (spk, speaker_id) and emotion (emo, label); if
    there are any, start and end in seconds or as 00:00:01.5, session, text, gender, age, race, ethnicity, votes (labels
    separated by ';', one per rater), split (fold) and id (key). Manifests of nkululeko and EmoBox are read as they are.
    Several manifests without a column split are splits, called by their names, for make-folds --scheme given.

    Ids are made safe for Kaldi: the speaker, a hyphen, the file's name. Every row is checked: the file must be readable audio,
    the segment within it, no id twice. Each row that does not fit is named, and the exit status is 1 unless --allow-partial
    true.

    \b
    e.g.: prepare-manifest corpus.csv data/corpus
          prepare-manifest --speaker-from "Ses[0-9][FM]" fold_1.jsonl fold_2.jsonl data/corpus
    See also: validate-data, make-folds
    """
    from sertk.datadir.corpusrows import COLUMNS, Reading
    from sertk.datadir.corpustable import read_corpus
    from sertk.datadir.prepare import report_problems, write_data_dir

    if wrong := next((name for name in columns or {} if name not in COLUMNS), None):
        raise click.UsageError(f"--columns: no such field '{wrong}' (there are {', '.join(COLUMNS)})")
    try:
        re.compile(speaker_from or "")
    except re.error as error:
        raise click.UsageError(f"--speaker-from: '{speaker_from}' is not a regular expression: {error}") from None
    corpus = read_corpus(manifests, Reading(root, columns or {}, speaker_from, unknown_speakers))
    maps = corpus.maps
    if not maps["utt2label"]:
        raise SertkError(f"{manifests[0]}: no row fits: {corpus.problems[0]}")
    report_problems(manifests[0], "corpus", corpus.problems, allow_partial, most=None)
    write_data_dir(data_dir, maps, PARTIAL=corpus.problems)
    for note in corpus.notes:
        log.warning("%s", note)
    if corpus.ignored:
        log.info("ignored columns: %s", ", ".join(corpus.ignored))
    rates = ", ".join(
        f"{rate} Hz: {files}" if rate else f"m4a: {files}" for rate, files in sorted(corpus.rates.items())
    )
    log.info("files at %s", rates)
    counts = f"{len(set(maps['utt2spk'].values()))} speakers, {len(set(maps['utt2label'].values()))} labels"
    log.info("Done %d (%s), left out %d", len(maps["utt2label"]), counts, len(corpus.problems))
