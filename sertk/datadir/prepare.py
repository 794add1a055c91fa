"""Last steps of a recipe's preparation script: report a corpus's problems, write its data folder and stamps."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.atomic import atomic_file
from sertk.datadir.lists import write_list
from sertk.errors import SertkError

log = logging.getLogger("sertk")

MOST_LISTED = 50
FEATURES = ("feats.scp", "utt2num_frames", "utt2dur")
AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".sph")


def find_audio(corpus: Path, pattern: str) -> list[Path]:
    """The audio files in the folders of a corpus that match a pattern, in sorted order, without hidden ones (`._x.wav`).

    Args:
        corpus: folder of the corpus.
        pattern: of folders in it, as in `Path.glob`.
    """
    files = (path for folder in corpus.glob(pattern) if folder.is_dir() for path in folder.iterdir())
    return sorted(path for path in files if path.suffix.lower() in AUDIO and not path.name.startswith("."))


def report_problems(
    corpus: Path, name: str, problems: Sequence[str], allow_partial: bool, most: int | None = MOST_LISTED
) -> None:
    """Log a warning for each problem, and fail if there is one and the corpus must be complete.

    Args:
        corpus: folder of the corpus.
        name: of the corpus, for the message.
        problems: what is missing or different, each naming file, line or count.
        allow_partial: accept an incomplete corpus.
        most: number of problems that are logged; None: all.

    Raises:
        SertkError: there are problems and not `allow_partial`.
    """
    for problem in problems[:most]:
        log.warning("%s", problem)
    if more := len(problems[most:]) if most else 0:
        log.warning("and %d more", more)
    if problems and not allow_partial:
        raise SertkError(
            f"{corpus}: not the whole {name}: {problems[0]}"
            + (f", and {len(problems) - 1} more" if len(problems) > 1 else "")
            + " (--allow-partial true accepts it and marks the results PARTIAL)"
        )


def write_data_dir(data_dir: Path, maps: Mapping[str, Mapping[str, str]], **stamps: Sequence[str]) -> None:
    """Write the maps of a data folder, each atomically, and spk2utt from utt2spk.

    Features of an earlier preparation are removed if wav.scp has changed.

    Args:
        data_dir: the folder, made if it does not exist.
        maps: file name to {utterance: value}, "utt2spk" among them; an empty map removes the file of that name.
        stamps: lines of the stamp files (PARTIAL, SIMULATED, …), which results carry; none removes the stamp.
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
        for name in FEATURES:
            (data_dir / name).unlink(missing_ok=True)
    for name, lines in stamps.items():
        if lines:
            with atomic_file(data_dir / name, "w") as file:
                file.writelines(f"{line}\n" for line in lines)
        else:
            (data_dir / name).unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
