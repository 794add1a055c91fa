"""Last steps of a recipe's preparation script: report a corpus's problems, write its data folder and stamps."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.datadir.folder import KNOWN, DataDir
from sertk.datadir.lists import list_lines
from sertk.datadir.overwrite import publish_folders
from sertk.errors import SertkError

log = logging.getLogger("sertk")

MOST_LISTED = 50
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
    """Write a data folder of maps, with spk2utt from utt2spk; all or nothing.

    Lists and stamps of an earlier preparation that do not belong to the new content are moved to its `.backup`, with a
    warning: features of other recordings, lists whose map is empty, stamps without lines.

    Args:
        data_dir: the folder, made if it does not exist.
        maps: file name to {utterance: value}, "utt2spk" among them; an empty map: there is no such list.
        stamps: lines of the stamp files (PARTIAL, SIMULATED, …), which results carry.

    Raises:
        SertkError: the folder would not be valid, or cannot be written; nothing is written.
    """
    data = DataDir(data_dir, {})
    for name, values in maps.items():
        lines = list_lines(data_dir / name, values)
        if name in KNOWN:
            data.lists[name] = dict(values)
        else:
            data.others[name] = [(key, line.encode()) for key, line in lines]
    data.files = {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in stamps.items() if lines}
    for warning in publish_folders(data_dir, {".": data}):
        log.warning("%s", warning)
