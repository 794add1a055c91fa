"""classify-audio: the emotion of audio files."""

import logging
import math
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sertk.cli.answers import FORMATS, NO_SPEECH, OF_ONE_RECORDING, UNSURE, Answer, intervals, printer
from sertk.cli.command import command
from sertk.cli.options import device_option, group, max_skip_option, only_for, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.training import precision_option
from sertk.cli.types import FILE
from sertk.errors import SertkError

if TYPE_CHECKING:
    import numpy as np

    from sertk.frontend.extractor import FeatureExtractor
    from sertk.frontend.stretches import Stretch
    from sertk.models.classifier import Classifier
    from sertk.models.onnxfile import OnnxModel

    AnyModel = Classifier | OnnxModel

log = logging.getLogger("sertk")
STDIN = "-"


class _Temperature(click.ParamType):
    """A number above 0, or results.json of score-loso, whose folds' temperatures have this geometric mean."""

    name = "X|FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            temperature = float(value)
        except ValueError:
            from sertk.scoring.fitted import fitted_temperature

            return fitted_temperature(Path(value))
        if not 0 < temperature < math.inf:
            self.fail(f"{value} is not a temperature above 0", param, ctx)
        return temperature


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("audio", metavar="AUDIO…", type=FILE, nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Output: aligned columns, JSON lines, CSV, Audacity labels or a Praat TextGrid.",
)
@click.option(
    "--enrol",
    type=FILE,
    multiple=True,
    metavar="PATH",
    help="Recordings of AUDIO's speaker, files or folders, for a model on features normalised by speaker; repeatable.",
)
@group(
    "Along time",
    click.option("--window", type=click.FloatRange(min=0.1), metavar="X", help="Classify windows of X seconds."),
    click.option(
        "--hop",
        type=click.FloatRange(min=0.01),
        metavar="X",
        help="Seconds from one window to the next.  [default: --window]",
    ),
    click.option("--plot", type=FILE, metavar="FILE", help="Plot waveform and probabilities: .png, .svg, .html, .pdf."),
    click.option(
        "--rate",
        type=click.IntRange(1000, 768000),
        metavar="N",
        help="Sample rate in Hz of raw 16-bit PCM on standard input.",
    ),
)
@group(
    "No speech, unsure, calibration",
    click.option(
        "--silence",
        type=float,
        metavar="X",
        default=-55.0,
        show_default=True,
        help="Level in dBFS; 'no speech' if under a tenth of the frames reach it.",
    ),
    click.option(
        "--min-confidence",
        type=click.FloatRange(0, 1),
        metavar="X",
        help="Answer 'unsure' if no label is this probable.",
    ),
    click.option(
        "--temperature",
        type=_Temperature(),
        help="Temperature that divides the logits, or a results.json of score-loso that has it.  [default: that of"
        " calibrate-model, if MODEL is calibrated]",
    ),
)
@precision_option
@max_skip_option
@device_option
@threads_option
def main(
    model: Path,
    audio: tuple[Path, ...],
    form: str,
    enrol: tuple[Path, ...],
    window: float | None,
    hop: float | None,
    plot: Path | None,
    rate: int | None,
    silence: float,
    min_confidence: float | None,
    temperature: float | None,
    precision: str,
    max_skip: float,
    device: str | None,
    num_threads: int | None,
) -> None:
    """Classify the emotion of audio files and print the probability of every label.

    MODEL is a model file, or an ONNX file of export-onnx. AUDIO are files or folders, which are searched for recordings:
    wav, flac, ogg, opus, mp3, sph, aiff, au, caf, and m4a if ffmpeg is installed, of any sample rate and number of
    channels; - is standard input. Files that are damaged, silent or not audio are skipped and counted.

    A model on features normalised by speaker needs --enrol: AUDIO is normalised by the mean and variance of all frames of these
    recordings, half a minute or more in any mixture of emotions; cut long pauses out, as in the training segments.

    \b
    e.g.: classify-audio exp/exp1/1/final.pt interview.wav
          classify-audio --format jsonl exp/exp1/1/final.pt recordings/ > emotions.jsonl
          classify-audio --enrol recordings/ exp/byspeaker/1/final.pt interview.wav
          classify-audio --window 3 --hop 1 --plot interview.html exp/exp1/1/final.pt interview.wav
          tail -c +45 interview.wav | classify-audio --rate 16000 --window 3 --hop 1 exp/exp1/1/final.pt -
    See also: predict-emotion, export-onnx, train-resnet
    """
    _check(audio, window, hop, plot, rate)
    live = rate is not None
    from sertk.frontend.audiofolders import recordings_in

    classifier = _load(model, device, precision, num_threads)
    files = [STDIN] if audio == (Path(STDIN),) else [str(path) for path in recordings_in(audio)]
    if len(files) > 1 and (plot or form in OF_ONE_RECORDING):
        raise click.UsageError(
            f"{'--plot' if plot else f'--format {form}'} is for one recording ({len(files)} are given)"
        )
    if enrol:
        classifier = _enrolled(classifier, enrol)
    if min_confidence and temperature is None and classifier.temperature is None:
        log.warning("probabilities are not calibrated: --temperature results.json takes the temperature of score-loso")
    # That of a calibrated model is in its posteriors.
    divisor = temperature / (classifier.temperature or 1.0) if temperature else 1.0
    picture = _Picture(plot, classifier.labels) if plot else None
    extract = classifier.extract  # fails before anything is printed, if the model has no front end
    show = printer(form, classifier.labels, files, window is not None)
    before = None
    with Tally(files[0] if len(files) == 1 else "AUDIO", max_skip) as tally:
        heard = _stretches(extract, files, window, hop, rate, tally, picture)
        for stretch, posteriors in _answered(classifier, heard, silence, tally, live):
            answer = _answer(classifier.labels, stretch, posteriors, divisor, min_confidence or 0.0)
            show(answer)
            if picture:
                picture.answers.append(answer)
            if stretch.file != before:
                before = stretch.file
                tally.done()
        show.end()
        if picture and picture.answers:
            picture.write()


def _check(
    audio: tuple[Path, ...], window: float | None, hop: float | None, plot: Path | None, rate: int | None
) -> None:
    """Refuse options that do not go together."""
    only_for("windows: give --window", window, "hop")
    if hop and window and hop > window:
        raise click.UsageError(f"--hop={hop:g} is longer than --window={window:g}: what is between would not be heard")
    if plot and window is None:
        raise click.UsageError("--plot shows emotions along time: give --window")
    standard_input = Path(STDIN) in audio
    if standard_input and len(audio) > 1:
        raise click.UsageError("- (standard input) is given alone")
    if rate is not None and not standard_input:
        raise click.UsageError("--rate is for raw samples on standard input: give - as AUDIO")
    if plot and rate is not None:
        raise click.UsageError("--plot needs a whole recording, and --rate is for a stream")
    if plot:
        from sertk.report.timeline import check_format

        check_format(plot)


def _load(model: Path, device: str | None, precision: str, num_threads: int | None) -> "AnyModel":
    from sertk.models.onnxfile import is_onnx, load_onnx

    if not is_onnx(model):
        from sertk.models.classifier import load_model
        from sertk.models.modelfile import check_outputs
        from sertk.runtime import prepare_cpu

        prepare_cpu(num_threads)
        classifier = load_model(model, device, precision)
        check_outputs(classifier.model, model)
        return classifier
    if device not in (None, "cpu") or precision == "bf16":
        raise SertkError(f"{model}: an ONNX file is computed on the CPU in float32 (--device cpu --precision float32)")
    return load_onnx(model, num_threads)


def _enrolled(classifier: "AnyModel", paths: tuple[Path, ...]) -> "Classifier":
    """The classifier of the speaker of these recordings."""
    from sertk.frontend.audiofolders import recordings_in
    from sertk.kaldi.tables import warn_of_skipped
    from sertk.models.onnxfile import is_onnx

    if is_onnx(classifier.path):
        raise SertkError(f"{classifier.path}: an ONNX file has its normalisation in the graph and takes no --enrol")
    # A file that is named twice would count twice.
    return classifier.enrolled(dict.fromkeys(recordings_in(paths)), warn_of_skipped)


def _stretches(
    extract: "FeatureExtractor",
    files: list[str],
    window: float | None,
    hop: float | None,
    rate: int | None,
    tally: Tally,
    picture: "_Picture | None",
) -> "Iterator[Stretch]":
    """All stretches of all recordings; those that are unfit are skipped."""
    from sertk.frontend.stretches import pcm_blocks, stretches
    from sertk.frontend.unfit import UnfitAudio

    if rate is not None:
        yield from stretches(STDIN, pcm_blocks(sys.stdin.buffer), rate, window, hop)
        return
    for file in progress(files):
        try:
            samples = (
                extract.samples_of(sys.stdin.buffer.read()) if file == STDIN else extract.samples_of_file(Path(file))
            )
        except UnfitAudio as error:
            tally.skip(file, str(error))
            continue
        except SertkError as error:
            raise SertkError(f"{file}: {error}") from None
        if picture:
            picture.see(file, samples, extract.options.sample_frequency)
        blocks = iter([samples])
        del samples  # whoever takes a stretch's samples has the only reference
        yield from stretches(file, blocks, extract.options.sample_frequency, window, hop)


def _answered(
    classifier: "AnyModel", heard: "Iterator[Stretch]", silence: float, tally: Tally, live: bool
) -> "Iterator[tuple[Stretch, np.ndarray | None]]":
    """(stretch, posteriors) in order, None as posteriors where there is no speech."""
    from sertk.frontend.stretches import level

    quiet = deque()  # (number, stretch)
    numbers = {}

    def loud() -> "Iterator[Stretch]":
        for number, stretch in enumerate(heard):
            if level(stretch.samples, stretch.rate) < silence:
                stretch.take()
                quiet.append((number, stretch))
            else:
                numbers[stretch] = number
                yield stretch

    if live:  # an answer at once, though more may come together
        for stretch in heard:
            if level(stretch.samples, stretch.rate) < silence:
                yield stretch, None
            else:
                yield from classifier.posteriors([stretch], tally.skip)
        return
    for stretch, posteriors in classifier.posteriors(loud(), tally.skip):
        number = numbers.pop(stretch)
        while quiet and quiet[0][0] < number:
            yield quiet.popleft()[1], None
        yield stretch, posteriors
    for _, stretch in quiet:
        yield stretch, None


def _answer(
    labels: list[str], stretch: "Stretch", posteriors: "np.ndarray | None", temperature: float, min_confidence: float
) -> Answer:
    if posteriors is None:
        return Answer(stretch.file, stretch.start, stretch.end, NO_SPEECH, {})
    if temperature != 1:
        from sertk.scoring.calibration import tempered

        posteriors = tempered(posteriors[None], temperature)[0]
    probabilities = dict(zip(labels, posteriors.tolist()))
    emotion = max(probabilities, key=probabilities.get)
    if probabilities[emotion] < min_confidence:
        emotion = UNSURE
    return Answer(stretch.file, stretch.start, stretch.end, emotion, probabilities)


class _Picture:
    """Collects what --plot shows of a recording."""

    def __init__(self, path: Path, labels: list[str]) -> None:
        self.path, self.labels, self.answers = path, labels, []

    def see(self, file: str, samples: "np.ndarray", rate: float) -> None:
        """Keep the outline of the waveform."""
        from sertk.report.timeline import outline

        self.name, self.wave, self.seconds = Path(file).name, outline(samples), len(samples) / rate

    def write(self) -> None:
        """Write the picture."""
        import numpy as np

        from sertk.report.timeline import timeline, write_timeline

        times = np.array([(answer.start + answer.end) / 2 for answer in self.answers])
        rows = [[answer.probabilities.get(label, np.nan) for label in self.labels] for answer in self.answers]
        found = intervals(self.answers)
        name = click.format_filename(self.name)
        figure = timeline(name, self.wave, self.seconds, self.labels, times, np.array(rows, float), found)
        write_timeline(self.path, figure, found)
