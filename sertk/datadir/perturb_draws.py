"""What is drawn for each perturbed copy: sounds, rooms, codecs and their numbers, as text of utt2perturb."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from sertk.datadir.folder import DataDir
from sertk.datadir.lists import read_list, split_words
from sertk.datadir.perturb_options import CODEC_STEPS, OWN, SNRS, PerturbOptions
from sertk.datadir.perturb_steps import (
    COLOURS,
    IMAGE,
    RATED,
    SYNTHETIC,
    Clip,
    ColouredNoise,
    Level,
    Noise,
    Room,
    ShoeboxRoom,
    Sound,
    SyntheticRoom,
    number,
)
from sertk.datadir.perturbations import checked
from sertk.datadir.speakers import people
from sertk.errors import SertkError, error_context

# Voices in babble.
FEWEST_VOICES, MOST_VOICES = 3, 7

# Option -> its values that are no folder of sounds.
WORDS = {"--noise": (SYNTHETIC, *COLOURS), "--babble": (OWN,), "--rir": (SYNTHETIC, IMAGE)}

# Draws the steps of one copy, as text.
Draw = Callable[[Random, str], str]


def draws_of(data: DataDir, options: PerturbOptions) -> dict[str, Draw]:
    """How a copy of each kind is drawn.

    Args:
        data: whose utterances get copies
        options: the kinds, and the values to draw from

    Returns:
        Kind -> function of a random generator and an utterance, for the kinds that were chosen.

    Raises:
        SertkError: if a folder of sounds has none, if there are too few speakers for babble, or if a number is out of bounds.
    """
    snrs = {kind: options.snr or SNRS[kind] for kind in SNRS}
    draws: dict[str, Draw] = {}
    if options.colours:
        draws["noise"] = partial(_draw_colour, options.colours, snrs["noise"])
    for kind in ("noise", "music"):
        if getattr(options, kind) and kind not in draws:
            draws[kind] = partial(_draw_sound, kind, _sounds(getattr(options, kind), f"--{kind}"), snrs[kind])
    if options.babble == OWN:
        draws["babble"] = _OwnBabble(data, snrs["babble"])
    elif options.babble:
        draws["babble"] = partial(_draw_babble, _sounds(options.babble, "--babble", FEWEST_VOICES), snrs["babble"])
    if options.rir == SYNTHETIC:
        draws["rir"] = partial(_draw_room, SyntheticRoom, options.rt60, options.drr)
    elif options.rir == IMAGE:
        draws["rir"] = partial(_draw_room, ShoeboxRoom, options.rt60, options.distance)
    elif options.rir:
        rooms = [name for name, _ in _sounds(options.rir, "--rir", durations=False)]
        draws["rir"] = lambda random, _: str(Room(Sound(random.choice(rooms))))
    if options.codec:
        draws["codec"] = partial(_draw_codec, options.codec, options.kbps)
    if options.level:
        draws["level"] = lambda random, _: str(Level(random.choice(options.level)))
    if options.clip:
        draws["clip"] = lambda random, _: str(Clip(random.choice(options.clip)))
    for name in ("speed", "snr", "rt60", "drr", "distance", "kbps", "level", "clip"):
        for value in getattr(options, name):
            checked(f"--{name}", f"{value:g}")
    return draws


def _draw_colour(colours: tuple[str, ...], snrs: tuple[float, ...], random: Random, _: str) -> str:
    return str(ColouredNoise(random.choice(colours), random.getrandbits(31), random.choice(snrs)))


def _draw_sound(kind: str, sounds: list[tuple[str, float]], snrs: tuple[float, ...], random: Random, _: str) -> str:
    return str(Noise(kind, (_from_anywhere(random, *random.choice(sounds)),), random.choice(snrs)))


def _draw_babble(sounds: list[tuple[str, float]], snrs: tuple[float, ...], random: Random, _: str) -> str:
    voices = random.sample(sounds, random.randint(FEWEST_VOICES, min(MOST_VOICES, len(sounds))))
    return str(Noise("babble", tuple(_from_anywhere(random, *voice) for voice in voices), random.choice(snrs)))


def _draw_room(
    make: type[SyntheticRoom | ShoeboxRoom],
    rt60s: tuple[float, ...],
    others: tuple[float, ...],
    random: Random,
    _: str,
) -> str:
    return str(make(random.choice(rt60s), random.choice(others), random.getrandbits(31)))


def _draw_codec(names: tuple[str, ...], rates: tuple[float, ...], random: Random, _: str) -> str:
    name = random.choice(names)
    steps = random.choice(CODEC_STEPS[name])
    return f"{steps} kbps={number(random.choice(rates))}" if name in RATED else steps


def _from_anywhere(random: Random, name: str, seconds: float) -> Sound:
    return Sound(name, round(random.uniform(0, seconds), 2))


class _OwnBabble:
    """Draws voices of other speakers of a data folder, one utterance of each.

    Raises:
        SertkError: if there are too few speakers, or no recordings.
    """

    def __init__(self, data: DataDir, snrs: tuple[float, ...]) -> None:
        self.data, self.snrs = data, snrs
        self.person_of = people(data.speaker_of, data.lists.get("utt2uniq"))
        self.utterances_of: dict[str, list[str]] = {}
        perturbed = data.lists.get("utt2perturb", {})
        for utterance in data.utterances:
            if utterance not in perturbed:
                self.utterances_of.setdefault(self.person_of[utterance], []).append(utterance)
        self.people = sorted(self.utterances_of)
        if len(self.people) <= FEWEST_VOICES:
            raise SertkError(
                f"{data.folder}: has {len(self.people)} speakers; --babble={OWN} needs {FEWEST_VOICES} besides the one"
                " that is heard (or name a folder of voices)"
            )
        if "wav.scp" not in data.lists:
            raise SertkError(f"{data.folder}: has no wav.scp")

    def __call__(self, random: Random, utterance: str) -> str:
        """Draw the voices and the signal-to-noise ratio for an utterance."""
        count = random.randint(FEWEST_VOICES, min(MOST_VOICES, len(self.people) - 1))
        drawn = random.sample(self.people, count + 1)
        others = [person for person in drawn if person != self.person_of[utterance]][:count]
        sounds = tuple(self._voice(random.choice(self.utterances_of[person])) for person in others)
        return str(Noise("babble", sounds, random.choice(self.snrs)))

    def _voice(self, utterance: str) -> Sound:
        if not self.data.segmented:
            return Sound(self.data.lists["wav.scp"][utterance])
        recording, start, end, *_ = split_words(self.data.lists["segments"][utterance])
        part = None if end == "-1" else (float(start), float(end))
        return Sound(self.data.lists["wav.scp"][recording], 0.0 if part else float(start), part)


def _sounds(place: str, option: str, fewest: int = 1, durations: bool = True) -> list[tuple[str, float]]:
    """The recordings of a folder with a wav.scp, of a folder of audio files, or of a script, and their durations.

    Args:
        place: the folder or script
        option: that named it, for messages
        fewest: number of recordings that are needed
        durations: False: 0 for each, which saves reading them

    Raises:
        SertkError: if it has none.
    """
    from sertk.frontend.audiofolders import recordings_in
    from sertk.frontend.sounds import Sounds

    path, words = Path(place), WORDS.get(option, ())
    if not path.exists():
        raise SertkError(f"{option}={place}: no such folder or file{', nor one of ' * bool(words)}{', '.join(words)}")
    script = path / "wav.scp" if (path / "wav.scp").is_file() else path
    with error_context(option):
        if script.is_dir():
            names = {str(file): str(file.absolute()) for file in recordings_in((path,))}
        else:
            names = read_list(script, columns=None)
    if len(names) < fewest:
        raise SertkError(f"{option}={place}: has {len(names)} recordings, {fewest} are needed")
    known: dict[str, str] = {}
    for lengths in ("utt2dur", "reco2dur"):
        if durations and (path / lengths).is_file():
            known |= read_list(path / lengths)
    sounds = Sounds()
    try:
        with error_context(option):
            return [
                (name, 0.0 if not durations else float(known[key]) if key in known else sounds.seconds(name))
                for key, name in names.items()
            ]
    except ValueError as error:
        raise SertkError(f"{option}={place}: its durations are not numbers: {error}") from None
