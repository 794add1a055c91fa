"""Options of perturb-data."""

from dataclasses import dataclass

from sertk.datadir.perturb_steps import CODECS, COLOURS, IMAGE, LAWS, RATED, SYNTHETIC, number
from sertk.errors import SertkError
from sertk.options import option

# The signal-to-noise ratios of Kaldi's recipes (egs/voxceleb/v2/run.sh), in dB.
SNRS = {"noise": (0.0, 5.0, 10.0, 15.0), "music": (5.0, 8.0, 10.0, 15.0), "babble": (13.0, 15.0, 17.0, 20.0)}
OWN = "own"
# Name -> the steps of which one is drawn.
CODEC_STEPS = {name: (f"codec={name}",) for name in CODECS}
CODEC_STEPS |= {"g711": tuple(f"codec={law}" for law in LAWS)}
CODEC_STEPS |= {"telephone": tuple(f"band=300-3400 codec={law}" for law in LAWS)}


@dataclass(frozen=True)
class PerturbOptions:
    """What is done to the utterances of a data folder, and how the copies are called."""

    speed: tuple[float, ...] = option(
        (), "A copy at each of these speeds, of a new speaker.", kind="numbers", unset="none", metavar="X,X,…"
    )
    noise: str | None = option(
        None, f"Noise of this folder, or {SYNTHETIC}: white, pink or brown (or one of these).", metavar="DIR|synthetic"
    )
    music: str | None = option(None, "Music of this folder.", metavar="DIR")
    babble: str | None = option(
        None, f"3 to 7 voices of this folder, or {OWN}: of other speakers of DATA-DIR.", metavar="DIR|own"
    )
    rir: str | None = option(
        None,
        f"Reverberation by room responses of this folder, or of random rooms: {SYNTHETIC} (exponential tails) or {IMAGE}"
        " (rectangular, by the image method).",
        metavar="DIR|synthetic|image",
    )  # fmt: skip
    codec: tuple[str, ...] = option(
        (), f"{', '.join(CODEC_STEPS)} (300 to 3400 Hz, then G.711).", kind="names", unset="none", metavar="NAME,NAME,…"
    )
    level: tuple[float, ...] = option((), "A gain in dB.", kind="numbers", unset="none", metavar="X,X,…")
    clip: tuple[float, ...] = option(
        (), "Clip the loudest samples: this percentage of all.", kind="numbers", unset="none", metavar="X,X,…"
    )
    snr: tuple[float, ...] = option(
        (), "Signal-to-noise ratios in dB; pauses in the speech do not count.", kind="numbers", metavar="X,X,…",
        unset="; ".join(f"{kind} {','.join(f'{snr:g}' for snr in snrs)}" for kind, snrs in SNRS.items()),
    )  # fmt: skip
    rt60: tuple[float, ...] = option(
        (0.2, 0.3, 0.4, 0.5, 0.6),
        f"Reverberation times of {SYNTHETIC} and {IMAGE} rooms, in seconds.",
        kind="numbers",
        metavar="X,X,…",
    )
    drr: tuple[float, ...] = option(
        (0.0, 3.0, 6.0), f"Direct-to-reverberant ratios of {SYNTHETIC} rooms, in dB.", kind="numbers", metavar="X,X,…"
    )
    distance: tuple[float, ...] = option(
        (0.5, 1.0, 2.0, 3.0), f"From the source to the microphone of {IMAGE} rooms, in metres.", kind="numbers",
        metavar="X,X,…",
    )  # fmt: skip
    kbps: tuple[float, ...] = option(
        (16.0, 32.0, 64.0), f"Bit rates of {' and '.join(RATED)}.", kind="numbers", metavar="X,X,…"
    )
    copies: int = option(1, "Copies of each utterance, for each kind.", least=1, most=1000, metavar="N")
    each_kind: bool = option(True, "false: each copy has one kind, drawn at random.")
    keep_originals: bool = option(True, "Also keep the utterances of DATA-DIR.")
    keep_ids: bool = option(False, "The only copy of each utterance takes its place and keeps its id (for test sets).")
    suffix: str | None = option(
        None, "Ends the ids of the copies.", unset="noise, music, babble, reverb, codec, level, clip", metavar="NAME"
    )

    def __post_init__(self) -> None:
        for name in self.codec:
            _require(name in CODEC_STEPS, f"--codec={name} is not one of {', '.join(CODEC_STEPS)}")
        _require(self.speed or self.kinds, "nothing to do: name a perturbation, such as --speed 0.9,1.1")
        speeds = [number(speed) for speed in self.speed]
        _require(
            len(set(speeds)) == len(speeds) and "1" not in speeds,
            f"--speed={','.join(speeds)}: each other than 1, and once",
        )
        suffix = self.suffix
        if suffix is not None:
            _require(suffix.replace(".", "").isalnum(), f"--suffix={suffix} is not of letters, digits and dots")
            _require(len(self.kinds) == 1 or not self.each_kind, "--suffix is for one kind of perturbation")
        per_utterance = self.copies * (len(self.kinds) if self.each_kind else bool(self.kinds))
        _require(
            not self.keep_ids or len(self.speed) + per_utterance == 1,
            "--keep-ids is for one copy of each utterance: one speed, or one copy of one kind",
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of perturbation that were chosen, besides the speeds."""
        return tuple(kind for kind in KINDS if getattr(self, kind))

    @property
    def colours(self) -> tuple[str, ...]:
        """The colours of noise to draw from; () if `noise` is a folder."""
        return tuple(COLOURS) if self.noise == SYNTHETIC else (self.noise,) if self.noise in COLOURS else ()


# Kind -> what the ids of its copies end in: the words of Kaldi's recipes.
SUFFIXES = {"noise": "noise", "music": "music", "babble": "babble", "rir": "reverb"}
SUFFIXES |= {kind: kind for kind in ("codec", "level", "clip")}
KINDS = tuple(SUFFIXES)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise SertkError(message)
