"""classify-audio: the emotion of audio files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sertk.cli.options import FILE, Tally, command, device_option, max_skip_option, progress, threads_option
from sertk.cli.training import precision_option
from sertk.errors import SertkError
from sertk.scoring.columns import cells, left, right

if TYPE_CHECKING:
    import numpy as np


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("audio", metavar="AUDIO…", type=FILE, nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl"]),
    default="table",
    show_default=True,
    help="Output format: an aligned table, or a JSON object per line.",
)
@precision_option
@max_skip_option
@device_option
@threads_option
def main(
    model: Path,
    audio: tuple[Path, ...],
    form: str,
    precision: str,
    max_skip: float,
    device: str | None,
    num_threads: int | None,
) -> None:
    """Classify the emotion of audio files and print the probability of every label.

    AUDIO are files or folders, which are searched for recordings: wav, flac, ogg, opus, mp3, sph, aiff, au, caf, and m4a
    if ffmpeg is installed, of any sample rate and number of channels. Files that are damaged, silent or not audio are
    skipped and counted.

    \b
    e.g.: classify-audio exp/exp1/1/final.pt interview.wav
          classify-audio --format jsonl exp/exp1/1/final.pt recordings/ > emotions.jsonl
    See also: predict-emotion, train-resnet
    """
    from sertk.frontend.extractor import FeatureExtractor, recordings_in
    from sertk.frontend.unfit import UnfitAudio
    from sertk.models.inference import on_segments
    from sertk.models.modelfile import load_model
    from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16

    device, _ = choose_device(device), prepare_cpu(num_threads)
    precision = choose_precision(precision, device)
    loaded = load_model(model)
    extract, files = FeatureExtractor.of_model(loaded.frontend, model), list(recordings_in(audio))
    warn_of_emulated_bf16(precision, device)
    as_line = _Table(loaded.labels, files) if form == "table" else _json_line

    with Tally(" ".join(map(str, audio[:3])), max_skip) as tally:

        def features() -> "Iterator[tuple[str, np.ndarray]]":
            for path in progress(files):
                try:
                    yield str(path), extract.of_file(path)
                except UnfitAudio as error:
                    tally.skip(str(path), str(error))
                except SertkError as error:
                    raise SertkError(f"{path}: {error}") from None

        results = on_segments(loaded.network, features(), "posterior", device, precision, tally.skip)
        for path, posteriors in results:
            click.echo(as_line(path, dict(zip(loaded.labels, posteriors.tolist()))))
            tally.done()


def _json_line(path: str, probabilities: dict[str, float]) -> str:
    emotion = max(probabilities, key=probabilities.get)
    rounded = {label: round(p, 6) for label, p in probabilities.items()}
    readable = click.format_filename(path) == path  # a name that is not UTF-8 is written with JSON's escapes
    return json.dumps({"file": path, "emotion": emotion, "probabilities": rounded}, ensure_ascii=not readable)


class _Table:
    """Aligned columns: file, emotion, and the probability of every label in per cent. Prints the header at once.

    Args:
        labels: the model's labels
        files: all files, whose names decide the first column's width
    """

    def __init__(self, labels: list[str], files: list[Path]) -> None:
        self.width = max(cells(click.format_filename(path)) for path in [*files, "file"])
        self.column = max(7, *(cells(label) + 1 for label in labels))
        names = "".join(right(label, self.column) for label in labels)
        click.echo(f"{left('file', self.width)}  {left('emotion', self.column)}{names}")

    def __call__(self, path: str, probabilities: dict[str, float]) -> str:
        """The line of one file."""
        emotion = max(probabilities, key=probabilities.get)
        values = "".join(f"{100 * p:>{self.column - 2}.1f} %" for p in probabilities.values())
        return f"{left(click.format_filename(path), self.width)}  {left(emotion, self.column)}{values}"
