#!/usr/bin/env python3
"""resemblyzer-vectors: Resemblyzer's speaker vectors of whole segments as a table of vectors."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.frontend import segments_option, utt2perturb_option
from sertk.cli.options import max_skip_option, threads_option
from sertk.cli.segmentvectors import write_vectors
from sertk.cli.types import RSPECIFIER, WSPECIFIER
from sertk.errors import SertkError

# According to its author (the package's issue 3, and the training page of Real-Time-Voice-Cloning, where it is from).
TRAINED_ON = "VoxCeleb 1 and 2, LibriSpeech train-other-500"


@command
@click.argument("wav_in", metavar="WAV-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors_out", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@segments_option
@utt2perturb_option
@max_skip_option
@threads_option
def main(wav_in, vectors_out, segments: Path | None, utt2perturb: Path | None, max_skip, num_threads):
    """Compute the 256 numbers of Resemblyzer's speaker encoder for each recording, or segment.

    The encoder is an LSTM that was trained to tell 9600 speakers of VoxCeleb and LibriSpeech apart. `pip install -c
    ../../constraints.txt resemblyzer 'setuptools<81'` brings it, with its weights (Apache licence). As in its training,
    recordings below -30 dBFS are raised to it; other than there, pauses are kept.

    \b
    e.g.: local/resemblyzer_vectors.py scp:data/emodb/wav.scp ark,scp:emodb.ark,emodb.scp
    See also: transfer-head
    """
    try:
        from resemblyzer import VoiceEncoder, hparams
        from resemblyzer.audio import normalize_volume
    except (ImportError, OSError) as error:
        raise SertkError(f"resemblyzer cannot be used ({error}): pip install resemblyzer 'setuptools<81'") from None
    import librosa

    from sertk.runtime import prepare_cpu

    prepare_cpu(num_threads)
    encoder = VoiceEncoder("cpu", verbose=False)
    settings = {"resemblyzer": "pretrained.pt", "trained_on": {"target": "speaker", "declared": TRAINED_ON}}

    def vector_of(samples, rate):
        samples = librosa.resample(samples, orig_sr=rate, target_sr=hparams.sampling_rate)
        samples = normalize_volume(samples, hparams.audio_norm_target_dBFS, increase_only=True)
        return encoder.embed_utterance(samples)

    write_vectors(vector_of, settings, wav_in, vectors_out, segments, utt2perturb, max_skip)


if __name__ == "__main__":
    main()
