"""IEMOCAP's improvised and scripted dialogs, and the overlap of scripts between training and test.

All sessions perform the same three scripted plays: the speakers of a held-out session are new, the sentences are not. The
same holds for corpora of read sentences, whose data folders give the sentence of each segment in `utt2script`.
"""

import re
from collections.abc import Mapping, Sequence

from sertk.errors import SertkError

# Dialog names contain the part (Ses01F_impro01, Ses01F_script02_1).
PARTS = {"improvised": "impro", "scripted": "script"}
# Without the trailing letter, which counts the takes of one scene.
_SCRIPT = re.compile(r"script[0-9_]+")


def of_part(utts: Sequence[str], utt2dialog: Mapping[str, str], part: str) -> list[str]:
    """The segments of one part of IEMOCAP.

    Args:
        utts: segments.
        utt2dialog: dialog of each segment.
        part: "improvised" or "scripted".

    Raises:
        SertkError: a segment has no dialog, or a dialog name matches neither part or both.
    """
    kept = []
    for utt in utts:
        if utt not in utt2dialog:
            raise SertkError(f"{utt}: no dialog in utt2dialog, so its part is unknown")
        kinds = [kind for kind, word in PARTS.items() if word in utt2dialog[utt]]
        if len(kinds) != 1:
            raise SertkError(f"{utt}: dialog '{utt2dialog[utt]}' is neither 'impro…' nor 'script…' by its name")
        if kinds[0] == part:
            kept.append(utt)
    return kept


def scripts_of(utt2dialog: Mapping[str, str]) -> dict[str, str]:
    """The script of each segment of IEMOCAP's scripted dialogs.

    >>> scripts_of({"a": "Ses01F_script01_1", "b": "Ses02M_script01_1b", "c": "Ses02M_impro01"})
    {'a': 'script01_1', 'b': 'script01_1'}
    """
    return {utt: match[0] for utt, dialog in utt2dialog.items() if (match := _SCRIPT.search(dialog))}


def script_overlap(utt2fold: Mapping[str, int], scripts: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Per fold: number of scripted segments, and of those whose script also occurs in another fold.

    >>> script_overlap({"a": 1, "b": 2, "c": 2}, {"a": "script01_1", "b": "script01_1", "c": "script03_2"})
    {'1': {'scripted': 1, 'shared': 1}, '2': {'scripted': 2, 'shared': 1}}
    """
    folds_of: dict[str, set[int]] = {}
    for utt, fold in utt2fold.items():
        if utt in scripts:
            folds_of.setdefault(scripts[utt], set()).add(fold)
    counts = {}
    for fold in sorted(set(utt2fold.values())):
        fold_scripts = [scripts[utt] for utt in utt2fold if utt2fold[utt] == fold and utt in scripts]
        counts[str(fold)] = {
            "scripted": len(fold_scripts),
            "shared": sum(len(folds_of[script]) > 1 for script in fold_scripts),
        }
    return counts
