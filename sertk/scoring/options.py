"""Options of speaker trials, without imports that cost time: --help of score-trials is generated from them."""

from dataclasses import dataclass
from pathlib import Path

from sertk.kaldi.specifiers import Rspecifier
from sertk.options import option

# Prior probabilities of a target, for detection costs.
P_TARGETS = (0.01, 0.05)
SIDES = ("both", "enrol", "test")
QUALITIES = ("duration", "magnitude", "cohort")


@dataclass(frozen=True)
class NormOptions:
    """Normalisation of scores by a cohort."""

    cohort: Rspecifier | None = option(
        None,
        "AS-Norm with these vectors, e.g. of training speakers.",
        kind="rspecifier",
        metavar="VECTORS-R",
        unset="none",
    )
    cohort_utt2spk: Path | None = option(
        None, "Average the cohort's vectors of each speaker of this map.", kind="file", unset="vectors as they are"
    )
    top_n: int = option(300, "Use each utterance's N highest scores with the cohort.", least=2)
    norm_side: str = option("both", "Normalise by the cohort scores of these utterances.", choices=SIDES)


@dataclass(frozen=True)
class CalibrationOptions:
    """Calibration of scores to log-likelihood ratios on other trials."""

    calibration_trials: Path | None = option(
        None, "Calibrate scores on these trials, of other speakers than TRIALS.", kind="file", unset="none"
    )
    calibration_embeddings: Rspecifier | None = option(
        None, "Their embeddings.", kind="rspecifier", metavar="VECTORS-R", unset="EMBEDDINGS-R"
    )
    quality: tuple[str, ...] = option(
        (), "Calibrate also on duration, magnitude, cohort (mean score).", kind="names", unset="score alone"
    )
    utt2dur: Path | None = option(
        None, "Seconds of all utterances, for --quality duration.", kind="file", unset="utt2dur beside the trial lists"
    )


@dataclass(frozen=True)
class DrawOptions:
    """Which pairs of utterances become trials."""

    number: int = option(20_000, "Draw at most N targets and N nontargets; 0: all pairs.", least=0)
    apart: Path | None = option(
        None, "Targets differ in this map, e.g. utt2session.", kind="file", metavar="UTT2X", unset="any two utterances"
    )
    same: Path | None = option(
        None, "Nontargets agree in this map, e.g. utt2gender.", kind="file", metavar="UTT2X", unset="any two speakers"
    )
