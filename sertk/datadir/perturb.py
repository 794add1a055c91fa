"""Perturbed copies of the utterances of a data folder: names and lists; make-fbank computes the speech.

Source of the names: Kaldi, egs/wsj/s5/utils/perturb_data_dir_speed.sh (`sp0.9-UTT` of the speaker `sp0.9-SPK`) and
steps/data/augment_data_dir.py (`UTT-noise` of the same speaker).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from sertk.datadir.folder import DataDir, level
from sertk.datadir.lists import read_list, split_words
from sertk.datadir.overwrite import check_distinct, publish_folders
from sertk.datadir.perturb_options import CODEC_STEPS, OWN, SNRS, SUFFIXES, PerturbOptions
from sertk.datadir.perturb_steps import (
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
from sertk.datadir.perturbations import checked, parse
from sertk.datadir.publish import restore_files
from sertk.datadir.speakers import people
from sertk.errors import SertkError

# Voices in babble.
FEWEST_VOICES, MOST_VOICES = 3, 7
# Lists of features, which copies do not have yet.
_OF_FEATURES = ("feats.scp", "vad.scp", "cmvn.scp", "utt2num_frames")

# Draws the steps of one copy, as text.
Draw = Callable[[Random, str], str]


class Copy(NamedTuple):
    """An utterance of the new folder.

    Attributes:
        source: the utterance of the old folder
        utterance: its new name
        speaker: its new speaker
        text: its line in utt2perturb; empty: not perturbed
        speed: by which durations are divided
    """

    source: str
    utterance: str
    speaker: str
    text: str
    speed: float = 1.0


def perturb(
    folder: str | os.PathLike, out: str | os.PathLike, options: PerturbOptions, seed: int = 0
) -> tuple[DataDir, list[str]]:
    """Write a folder of perturbed copies of the utterances of another one.

    What is drawn for a copy depends on the seed and its name only.

    Args:
        folder: the data folder
        out: the folder to write
        options: what is done to the utterances
        seed: of the draws

    Returns:
        The written data folder, and a line for each list that was left out or moved away.

    Raises:
        SertkError: if a folder of sounds has none, if there are too few speakers for babble, or if a name is taken.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    check_distinct(out, [folder])
    copies = list(_copies(data, options, seed))
    taken = set()
    for copy in copies:
        if copy.utterance in taken:
            raise SertkError(f"{folder}: utterance {copy.utterance} is there already (--suffix gives another name)")
        taken.add(copy.utterance)
    new, warnings = _lists(data, copies, Path(out), options.keep_ids)
    return new, warnings + publish_folders(Path(out), {".": new})


def _copies(data: DataDir, options: PerturbOptions, seed: int) -> Iterator[Copy]:
    """The utterances of the new folder: originals, speeds, and the other kinds of both."""
    before = data.lists.get("utt2perturb", {})
    originals = [Copy(utt, utt, data.speaker_of[utt], before.get(utt, "")) for utt in data.utterances]
    speeds = [_at_speed(copy, speed, options.keep_ids) for speed in options.speed for copy in originals]
    draws = _draws(data, options)
    if options.keep_originals and not options.keep_ids:
        yield from originals
    yield from speeds
    for copy in [*originals, *speeds] if draws else ():
        for kinds in ([kind] for kind in draws) if options.each_kind else [list(draws)]:
            for count in range(1, options.copies + 1):
                random = Random(f"{seed} {copy.utterance} {' '.join(kinds)} {count}")
                kind = random.choice(kinds)
                text = f"{copy.text} {draws[kind](random, copy.source)}".strip()
                suffix = (options.suffix or SUFFIXES[kind]) + (str(count) if options.copies > 1 else "")
                name = copy.utterance if options.keep_ids else f"{copy.utterance}-{suffix}"
                yield copy._replace(utterance=name, text=text)


def _at_speed(copy: Copy, speed: float, keep_ids: bool) -> Copy:
    factor = number(speed)
    text = f"{copy.text} speed={factor}".strip()
    parse(text)  # refuses a speed out of bounds
    prefix = "" if keep_ids else f"sp{factor}-"
    return Copy(copy.source, prefix + copy.utterance, prefix + copy.speaker, text, speed)


def _draws(data: DataDir, options: PerturbOptions) -> dict[str, Draw]:
    """How a copy of each kind is drawn."""
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
    for name in ("snr", "rt60", "drr", "distance", "kbps", "level", "clip"):
        for value in getattr(options, name):
            checked(name, str(value))
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
    from sertk.frontend.extractor import recordings_in
    from sertk.frontend.sounds import Sounds

    path = Path(place)
    script = path / "wav.scp" if (path / "wav.scp").is_file() else path
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
        return [
            (name, 0.0 if not durations else float(known[key]) if key in known else sounds.seconds(name))
            for key, name in names.items()
        ]
    except ValueError as error:
        raise SertkError(f"{option}={place}: its durations are not numbers: {error}") from None


def _lists(data: DataDir, copies: list[Copy], out: Path, keep_ids: bool) -> tuple[DataDir, list[str]]:
    """The lists of the new folder, each line of an utterance or speaker once for each of its copies."""
    source_of = {copy.speaker: data.speaker_of[copy.source] for copy in copies}
    by_level = {
        "utterance": [(copy.source, copy.utterance) for copy in copies],
        "speaker": [(source, speaker) for speaker, source in source_of.items()],
    }
    left_out = [name for name in data.lists if name in _OF_FEATURES]
    lists = {}
    for name, values in data.lists.items():
        unit = _unit(name, data)
        if name in _OF_FEATURES:
            continue
        if unit == "recording":
            lists[name] = values
        elif name in ("utt2dur", "reco2dur"):
            lists[name] = {c.utterance: _duration(values[c.source], c.speed) for c in copies if c.source in values}
        else:
            lists[name] = {new: values[old] for old, new in by_level[unit] if old in values}
    lists["utt2spk"] = {copy.utterance: copy.speaker for copy in copies}
    lists["utt2perturb"] = {copy.utterance: copy.text for copy in copies if copy.text}
    if not keep_ids:
        unique = data.lists.get("utt2uniq", {})
        lists["utt2uniq"] = {copy.utterance: unique.get(copy.source, copy.source) for copy in copies}
    others = {}
    for name, lines in data.others.items():
        unit = _unit(name, data)
        if name.endswith(".scp"):
            left_out.append(name)
        else:
            others[name] = lines if unit == "recording" else sorted(_renamed(lines, by_level[unit]))
    warnings = [f"{', '.join(sorted(left_out))}: left out, the copies have none yet"] if left_out else []
    new = DataDir(out, lists, others, data.files)
    return new.keep(new.utterances), warnings


def _unit(name: str, data: DataDir) -> str:
    """Level of a list's keys; without segments a recording is an utterance."""
    unit = level(name, data.segmented)
    return "utterance" if unit == "recording" and not data.segmented else unit


def _duration(seconds: str, speed: float) -> str:
    return seconds if speed == 1 else number(float(seconds) / speed)


def _renamed(lines: Iterable[tuple[str, bytes]], names: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """The lines of an unknown list, each once for each new name of its key."""
    rest_of: dict[str, list[bytes]] = {}
    for key, line in lines:
        rest_of.setdefault(key, []).append(line.lstrip()[len(key.encode("utf-8", "surrogateescape")) :])
    for old, new in names:
        for rest in rest_of.get(old, ()):
            yield new, new.encode("utf-8", "surrogateescape") + rest
