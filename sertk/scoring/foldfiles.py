"""The files of a fold folder: utt2label, utt2fold, labels.txt, scheme.json and the maps of speakers and sessions."""

import json
from collections.abc import Mapping
from pathlib import Path

from sertk.datadir.lists import list_lines, read_lines, read_list
from sertk.datadir.publish import publish_files
from sertk.datadir.records import read_json
from sertk.datadir.speakers import read_speakers
from sertk.errors import SertkError
from sertk.scoring.folds import SCHEMES, Folds

# Maps written beside utt2fold for the leak guard, of all segments, including those without a fold.
MAPS = {"speaker": "utt2spk", "session": "utt2session", "recording": "utt2uniq"}


def write_folds(folder: str | Path, folds: Folds, maps: Mapping[str, Mapping[str, str]], settings: dict) -> None:
    """Write utt2label, utt2fold, labels.txt, scheme.json and maps, all or nothing; delete maps that earlier folds have left.

    Args:
        folder: output folder, created if needed.
        folds: the folds.
        maps: "speaker", "session", "recording" -> map of all segments of the data folder.
        settings: further entries of scheme.json.
    """
    folder = Path(folder)
    lists = {MAPS[what]: maps[what] for what in MAPS if what in maps}
    lists |= {"utt2label": folds.utt2label, "utt2fold": folds.utt2fold}
    texts = {
        "labels.txt": "".join(f"{label}\n" for label in folds.labels),
        "scheme.json": json.dumps(folds.settings() | settings, indent=1, ensure_ascii=False) + "\n",
    }
    # utt2fold, without which nobody reads the others, commits.
    texts |= {name: "".join(line for _, line in list_lines(folder / name, of)) for name, of in lists.items()}
    left = {name: None for name in MAPS.values() if name not in lists and (folder / name).exists()}  # of earlier folds
    publish_files(folder, {name: text.encode() for name, text in texts.items()}, left)


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read labels.txt: one class name per line, in the order of the posteriors.

    Raises:
        SertkError: a line is not one label, a label is repeated, or there are fewer than two.
    """
    labels: dict[str, None] = {}
    for number, line in read_lines(path):
        if not line or len(line.split()) != 1:
            raise SertkError(f"{path}:{number}: expected one label per line: '{line[:80]}'")
        if line in labels:
            raise SertkError(f"{path}:{number}: label {line} comes twice")
        labels[line] = None
    if len(labels) < 2:
        raise SertkError(f"{path}: expected two labels or more, found {len(labels)}")
    return tuple(labels)


def read_utt2fold(path: str | Path) -> dict[str, int]:
    """Read utt2fold: the fold of each segment, from 1. Raises SertkError for anything but a positive integer."""
    folds = {}
    for number, (utt, fold) in enumerate(read_list(path).items(), 1):
        if not (fold.isascii() and fold.isdigit() and int(fold) > 0):
            raise SertkError(f"{path}:{number}: {utt}: '{fold}' is not a fold number (1, 2, …)")
        folds[utt] = int(fold)
    return folds


def read_maps(utt2fold_path: str | Path) -> dict[str, dict[str, str]]:
    """Read the maps ("speaker", "session", "recording") that exist beside a utt2fold."""
    paths = {what: Path(utt2fold_path).parent / name for what, name in MAPS.items()}
    maps = {what: read_list(path) for what, path in paths.items() if what != "speaker" and path.exists()}
    speakers = read_speakers(paths["speaker"])
    return maps | ({"speaker": speakers} if speakers else {})


def read_scheme(utt2fold_path: str | Path) -> dict:
    """Read the scheme.json beside a utt2fold; {} if there is none. Raises SertkError for an unknown scheme."""
    path = Path(utt2fold_path).parent / "scheme.json"
    if not path.exists():
        return {}
    scheme = read_json(path)
    if scheme.get("scheme") not in SCHEMES:
        raise SertkError(f"{path}: unknown scheme (known: {', '.join(SCHEMES)})")
    return scheme
