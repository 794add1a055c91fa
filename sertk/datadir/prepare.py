"""What the recipes' preparation scripts end with: say what is wrong with a corpus, write its data folder, stamp it."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.atomic import atomic_file
from sertk.datadir.lists import write_list
from sertk.errors import SertkError

log = logging.getLogger("sertk")

MOST_TOLD = 50
FEATURES = ("feats.scp", "utt2num_frames", "utt2dur")


def tell_problems(corpus: Path, name: str, problems: Sequence[str], allow_partial: bool) -> None:
    """Warn of every problem, a line each; stop when there is one and a corpus that is not whole is not allowed.

    Arguments:
        corpus: the corpus's folder, `name`: what it must be the whole of
        problems: what is missing or different, each naming file, line or count
    Raises:
        SertkError: there are problems and not `allow_partial`
    """
    for problem in problems[:MOST_TOLD]:
        log.warning("%s", problem)
    if len(problems) > MOST_TOLD:
        log.warning("and %d more", len(problems) - MOST_TOLD)
    if problems and not allow_partial:
        raise SertkError(
            f"{corpus}: not the whole {name}: {problems[0]}"
            + (f", and {len(problems) - 1} more" if len(problems) > 1 else "")
            + " (--allow-partial true goes on and marks the results PARTIAL)"
        )


def write_data_dir(data_dir: Path, maps: Mapping[str, Mapping[str, str]], **stamps: Sequence[str]) -> None:
    """Write the maps of a data folder, each whole or not at all, with the spk2utt that follows from utt2spk.

    Arguments:
        maps: file name to {utterance: value}, "utt2spk" among them; an empty map is not written, and one that an
            earlier preparation left is taken away (so are the features, when wav.scp is not what it was)
        stamps: PARTIAL, SIMULATED: lines for a file of that name, which the results must carry; none: no such file
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    before = _content(data_dir / "wav.scp")
    spk2utt = defaultdict(list)
    for utterance in sorted(maps["utt2spk"]):
        spk2utt[maps["utt2spk"][utterance]].append(utterance)
    spk2utt = {speaker: " ".join(utterances) for speaker, utterances in spk2utt.items()}
    for name, lines in {**maps, "spk2utt": spk2utt}.items():
        if lines:
            write_list(data_dir / name, lines)
        else:
            (data_dir / name).unlink(missing_ok=True)
    if before not in (None, _content(data_dir / "wav.scp")):
        for name in FEATURES:  # of other recordings than these
            (data_dir / name).unlink(missing_ok=True)
    for name, lines in stamps.items():
        if lines:
            with atomic_file(data_dir / name, "w") as file:
                file.writelines(f"{line}\n" for line in lines)
        else:
            (data_dir / name).unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
