"""embed-ssl: statistics of the layers of self-supervised and speech-recognition encoders."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.frontend import channel_option, overshoot_option, segments_option, utt2perturb_option
from sertk.cli.messages import log
from sertk.cli.options import device_option, licence_option, max_skip_option, only_for, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.training import precision_option
from sertk.cli.types import FOLDER, RSPECIFIER, WSPECIFIER
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier, Wspecifier


class _Layers(click.ParamType):
    """A comma-separated list of layer numbers from 0, each once; or `all`."""

    name = "N,N,…|all"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...] | None:
        """Convert a text like 0,6,12; None: all."""
        if value == "all":
            return None
        words = value.split(",")
        if not all(word.isdecimal() for word in words) or len(set(map(int, words))) < len(words):
            self.fail(f"'{value}': expected layer numbers from 0 separated by commas, each once, or all", param, ctx)
        return tuple(map(int, words))


@command
@click.argument("folder", metavar="MODEL-DIR", type=FOLDER)
@click.argument("wav_in", metavar="WAV-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--layers", type=_Layers(), metavar="N,N,…|all",
              help="Layers to take; 0 is the input of the first one.  [default: all]")  # fmt: skip
@click.option("--window", type=click.FloatRange(1, 600), default=30.0, show_default=True, metavar="X",
              help="Longest piece in seconds that is computed at a time; Whisper's is 30.")  # fmt: skip
@click.option("--batch-seconds", "batch", type=click.FloatRange(0, 100_000), metavar="X",
              help="Seconds that are computed together.  [default: 120 on a GPU; on a CPU each piece alone]")  # fmt: skip
@licence_option
@click.option("--trained-on", metavar="TEXT", help="Training data in words: 'LibriSpeech, 960 h'.")
@segments_option
@utt2perturb_option
@channel_option
@overshoot_option
@precision_option
@max_skip_option
@device_option
@threads_option
def main(
    folder: Path,
    wav_in: Rspecifier,
    vectors: Wspecifier,
    licence: str | None,
    trained_on: str | None,
    segments: Path | None,
    utt2perturb: Path | None,
    channel: int | None,
    max_overshoot: float,
    max_skip: float,
    **options: Any,
) -> None:
    """Run a speech encoder over recordings and write mean and standard deviation of its layers over time.

    MODEL-DIR has a wav2vec 2.0, HuBERT, WavLM, data2vec-audio or Whisper network as Hugging Face's transformers saves
    it: config.json, preprocessor_config.json, and model.safetensors or pytorch_model.bin. Nothing is downloaded and no
    code of the folder is run. Other sample rates are converted.

    The output is a matrix for each utterance, a row for each layer: the means, then the deviations. One layer (--layers
    12) is written as a vector.

    \b
    e.g.: embed-ssl wavlm-base-plus scp:data/all/wav.scp ark,scp:layers.ark,layers.scp
          embed-ssl --layers 2 --licence MIT hubert-large scp:wav.scp ark,scp:layer2.ark,layer2.scp
          embed-ssl --segments segments --batch-seconds 240 whisper-small scp:wav.scp ark,scp:layers.ark,layers.scp
    See also: embed-segments, transfer-head
    """
    only_for("--segments", segments, "max_overshoot")
    from sertk.frontend.perturb_list import Perturb
    from sertk.frontend.recordings import recording_jobs
    from sertk.kaldi.tables import table_writer

    try:
        from sertk.jobs.encode import Encoding

        encoding = Encoding(folder, **options)
    except ModuleNotFoundError as error:
        if error.name not in ("transformers", "safetensors"):
            raise
        raise SertkError(f"{error.name} is not installed: pip install transformers (or sertk[ssl])") from None
    if not licence:
        log.warning("no --licence: reports will not name one")
    kind = "vector" if len(encoding.layers) == 1 else "matrix"
    perturb = Perturb.beside(wav_in, utt2perturb)
    jobs = perturb.jobs(recording_jobs(wav_in, segments, None if channel == -1 else channel, max_overshoot))
    settings = encoding.settings(licence, trained_on)
    with Tally(wav_in, max_skip) as tally, table_writer(vectors, kind=kind, settings=settings) as write:
        for key, statistics in progress(encoding.run(jobs, tally.skip)):
            write(key, statistics[0] if kind == "vector" else statistics)
            tally.done()
        tally.check()
        perturb.check()
