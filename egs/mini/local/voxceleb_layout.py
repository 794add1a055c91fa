"""Simulated interviews in VoxCeleb1's folders and list formats."""

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
from recording import draw_channel, generator, write_recording
from synthesiser import synthesise
from voices import MANNERS, Manner, draw_voice, mixed, perform

VIDEOS, RECORDINGS = 3, 3  # per speaker, per video
# First speaker numbers of VoxCeleb1's two sets.
FIRST = {"dev": 10001, "test": 10270}
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))


def write_voxceleb1(root: Path, seed: int, speakers: dict[str, int]) -> int:
    """Write dev/wav, test/wav, iden_split.txt and three trial lists under `root`; return the number of recordings.

    The lists that VoxCeleb makes of all speakers (E, H) are of the test speakers here, so that all others are trained on.
    """
    names = defaultdict(list)
    for subset, count in speakers.items():
        for number in range(FIRST[subset], FIRST[subset] + count):
            speaker = f"id{number}"
            rng = generator(seed, speaker)
            voice, habit = draw_voice(rng, "FM"[number % 2]), draw_habit(rng)
            for video in map("".join, rng.choice(LETTERS, (VIDEOS, 11))):
                channel = draw_channel(generator(seed, speaker, video), noise=(-58, -42))
                for index in range(1, RECORDINGS + 1):
                    name = f"{speaker}/{video}/{index:05}.wav"
                    rng = generator(seed, name)
                    seconds = float(rng.uniform(1.6, 3.4))
                    performed = perform(rng, voice, habit, intensity=(0.7, 1.0))
                    speech, _ = synthesise(rng, performed, seconds)
                    write_recording(root / subset / "wav" / name, rng, speech, channel)
                    names[subset].append(name)
    write_identification_split(root / "iden_split.txt", names["dev"] + names["test"])
    write_trials(root / "veri_test2.txt", names["test"], generator(seed, "trials"))
    write_trials(root / "list_test_all2.txt", names["test"], generator(seed, "trials E"))
    write_trials(root / "list_test_hard2.txt", names["test"], generator(seed, "trials H"), same_sex=True)
    return sum(map(len, names.values()))


def draw_habit(rng: np.random.Generator) -> Manner:
    """Draw a speaker's habitual manner (lively or flat, loud or soft): a mixture of two emotions.

    A speaker network thus has to learn prosody, on which transfer to emotions relies. For real speech that is the
    hypothesis; here it holds by construction.
    """
    first, second = rng.choice(list(MANNERS), 2, replace=False)
    return mixed(MANNERS[first], MANNERS[second], rng.uniform())


def write_identification_split(path: Path, names: list[str]):
    """Write lines `1 id10001/VIDEO/00001.wav` (1 train, 2 dev, 3 test), split by video as in VoxCeleb1."""
    videos = defaultdict(list)
    for name in names:
        speaker, video, _ = name.split("/")
        if video not in videos[speaker]:
            videos[speaker].append(video)
    lines = []
    for name in names:
        speaker, video, _ = name.split("/")
        lines.append(f"{min(videos[speaker].index(video) + 1, 3)} {name}\n")
    path.write_text("".join(lines))


def write_trials(path: Path, names: list[str], rng: np.random.Generator, same_sex: bool = False):
    """Write trials: all pairs of one speaker's recordings from two videos, and as many nontargets if there are."""
    pairs = [(first.split("/"), second.split("/")) for first, second in combinations(names, 2)]
    same = [pair for pair in pairs if pair[0][0] == pair[1][0] and pair[0][1] != pair[1][1]]
    different = [pair for pair in pairs if pair[0][0] != pair[1][0]]
    if same_sex:  # numbers of one sex are all odd or all even
        different = [pair for pair in different if int(pair[0][0][2:]) % 2 == int(pair[1][0][2:]) % 2]
    number = min(len(same), len(different))
    different = [different[index] for index in rng.choice(len(different), number, replace=False)]
    trials = [(1, *pair) for pair in same] + [(0, *pair) for pair in different]
    lines = (f"{target} {'/'.join(first)} {'/'.join(second)}\n" for target, first, second in trials)
    path.write_text("".join(lines))
