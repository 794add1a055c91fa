"""Names of folds: their order, the choice of --fold, and FOLD in a path, which stands for each of them."""

import re
from collections.abc import Iterable

from sertk.errors import SertkError

ALL = "all"
# Not inside a longer word, such as FOLDS.
_PLACE = re.compile(r"(?<![A-Za-z])FOLD(?![A-Za-z])")


def in_order(names: Iterable[str]) -> list[str]:
    """Numbers in ascending order, then other names; each once.

    Example:
        >>> in_order(["b", "10", "9", "b"])
        ['9', '10', 'b']
    """
    return sorted(set(names), key=lambda name: (int(name) if name.isdecimal() else float("inf"), name))


def chosen_folds(wanted: str, present: Iterable[str], source: object) -> list[str]:
    """The folds that `wanted` names: one, several with commas between, or all.

    Args:
        wanted: value of --fold.
        present: the folds that there are.
        source: of the folds, for messages.

    Raises:
        SertkError: one is named twice, or there is no such fold.

    Example:
        >>> chosen_folds("all", ["2", "10", "1"], ""), chosen_folds("2,1", ["1", "2"], "")
        (['1', '2', '10'], ['2', '1'])
    """
    present = in_order(present)
    names = present if wanted == ALL else wanted.split(",")
    for index, name in enumerate(names):
        if name not in present:
            raise SertkError(f"{source}: no segment is in fold {name}")
        if name in names[:index]:
            raise SertkError(f"--fold {wanted}: {name} is named twice")
    return names


def several(wanted: str) -> bool:
    """True if a value of --fold may name more than one fold."""
    return wanted == ALL or "," in wanted


def of_fold(text: str, fold: str) -> str:
    """A path or specifier with FOLD replaced by the name of a fold.

    Example:
        >>> of_fold("ark,scp:exp/FOLD/FOLD.ark,FOLDS/x.scp", "3")
        'ark,scp:exp/3/3.ark,FOLDS/x.scp'
    """
    return _PLACE.sub(lambda _: fold, text)


def check_place(text: str, wanted: str) -> None:
    """Check that the outputs of several folds do not overwrite each other.

    Args:
        text: path or specifier of an output.
        wanted: value of --fold.

    Raises:
        SertkError: `wanted` may name several folds, and FOLD does not stand in `text`.
    """
    if several(wanted) and not _PLACE.search(text):
        raise SertkError(f"--fold {wanted}: '{text}' needs FOLD in its name, which stands for each fold")
