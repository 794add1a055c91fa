"""IEMOCAP's two kinds of dialogs, improvised and scripted, and the scripts that training and test share.

Scripted dialogs are the same three plays in every session: a held-out session's speakers are new, their words are not.
So it is with corpora of read sentences, whose data folders say by a `utt2script` which sentence was read.
"""

import re
from collections.abc import Mapping, Sequence

from sertk.errors import SertkError

# A dialog's kind is in its name (Ses01F_impro01, Ses01F_script02_1).
PARTS = {"improvised": "impro", "scripted": "script"}
# A letter at the end numbers the takes of one scene.
_SCRIPT = re.compile(r"script[0-9_]+")


def of_part(utts: Sequence[str], utt2dialog: Mapping[str, str], part: str) -> list[str]:
    """The segments of the improvised or of the scripted dialogs.

    Raises SertkError for a segment without a dialog and for a dialog whose name tells neither kind.
    """
    kept = []
    for utt in utts:
        if utt not in utt2dialog:
            raise SertkError(f"{utt}: no dialog in utt2dialog, so its part is not known")
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
    return {utt: found[0] for utt, dialog in utt2dialog.items() if (found := _SCRIPT.search(dialog))}


def script_overlap(utt2fold: Mapping[str, int], scripts: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """For each fold its segments that have a script, and how many of them are of a script that another fold has too.

    >>> script_overlap({"a": 1, "b": 2, "c": 2}, {"a": "script01_1", "b": "script01_1", "c": "script03_2"})
    {'1': {'scripted': 1, 'shared': 1}, '2': {'scripted': 2, 'shared': 1}}
    """
    folds_of: dict[str, set[int]] = {}
    for utt, fold in utt2fold.items():
        if utt in scripts:
            folds_of.setdefault(scripts[utt], set()).add(fold)
    counts = {}
    for fold in sorted(set(utt2fold.values())):
        here = [scripts[utt] for utt in utt2fold if utt2fold[utt] == fold and utt in scripts]
        counts[str(fold)] = {"scripted": len(here), "shared": sum(len(folds_of[script]) > 1 for script in here)}
    return counts
