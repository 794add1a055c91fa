"""Tables whose segments, or vectors, are normalised alone, or by the mean and variance of their group: cmvn-segment."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list, read_names
from sertk.errors import SertkError
from sertk.frontend.cmvn import Moments, normalise, statistics
from sertk.kaldi.codec import NUMBERS
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table

log = logging.getLogger("sertk")
Table = Iterator[tuple[str, np.ndarray]]
Skip = Callable[[str, str], None]


@dataclass(frozen=True)
class Groups:
    """Segments that have their mean and variance in common.

    Args:
        utt2group: map from utterance to group
        enrol: list of the utterances from which these statistics are taken; None: from all
    """

    utt2group: Path
    enrol: Path | None = None


def settings_of(source: Rspecifier | str, norm_vars: bool = True, groups: Groups | None = None) -> dict:
    """Front-end settings for the manifest of the normalised table: those of the source, and `cmvn`.

    Args:
        source: the table that is normalised
        norm_vars: the variance is normalised too
        groups: if groups are normalised

    Returns:
        Settings, for groups with the names of their lists, and `transductive`: a segment depends on others of the test.

    Raises:
        SertkError: if the source's manifest says that it is normalised already.
    """
    manifest = read_manifest(source)
    settings = dict(manifest.settings) if manifest else {}
    if settings.get("cmvn", "none") != "none":
        raise SertkError(f"{source}: is normalised already (its manifest says cmvn: {settings['cmvn']})")
    settings["cmvn"] = ("group" if groups else "segment") + ("" if norm_vars else " mean")
    if groups:
        # Also with a list: whether its utterances are scored is decided later, and other systems do without them.
        settings |= {"group": groups.utt2group.name, "transductive": True}
    return settings | ({"enrolled": groups.enrol.name} if groups and groups.enrol else {})


def normalised_alone(
    source: Rspecifier | str,
    norm_vars: bool,
    verify: bool,
    skip: Skip,
    on_statistics: Callable[[str, np.ndarray], None] | None = None,
) -> Table:
    """Normalise every segment of a table by its own mean and variance.

    Args:
        source: the table
        norm_vars: normalise the variance too
        verify: check the table against its manifest first
        skip: called with key and reason for a segment that is empty
        on_statistics: called with key and `statistics` of each segment

    Yields:
        Key and normalised segment, (frames, bins) float32.

    Raises:
        SertkError: if the table cannot be read.
    """
    for key, feats in filled(read_table(source, verify=verify, skip=skip), skip):
        if on_statistics:
            on_statistics(key, statistics(feats))
        yield key, normalise(feats, norm_vars)


def holds_vectors(source: Rspecifier | str) -> bool:
    """True if the first entry of a table that can be read twice is a vector."""
    source = as_rspecifier(source)
    if not source.rxfilename.stored:
        return False
    return next(value.ndim == 1 for _, value in read_table(source, kind=NUMBERS, skip=_silently))


def normalised_by_group(source: Rspecifier | str, groups: Groups, norm_vars: bool, verify: bool, skip: Skip) -> Table:
    """Normalise the segments of a table by the mean and variance of their group; a vector counts as a frame.

    Args:
        source: the table; it is read twice and must be a file
        groups: what belongs together
        norm_vars: normalise the variance too
        verify: check the table against its manifest first
        skip: called with key and reason for a segment that is empty, has no group, or whose group has no statistics; for
            a vector, if it is the only one of its group, or this has one and no variance

    Yields:
        Key and normalised segment, (frames, bins) float32, or vector, (dim,).

    Raises:
        SertkError: if a list or the table cannot be read, or cannot be read twice.
    """
    source = as_rspecifier(source)
    if not source.rxfilename.stored:
        raise SertkError(f"{source}: --utt2group reads the table twice, so it must be a file")
    group_of = read_list(groups.utt2group)
    kind = NUMBERS if holds_vectors(source) else "matrix"
    moments = _moments(filled(read_table(source, kind, verify, skip), skip), source, group_of, groups.enrol)
    for key, feats in filled(read_table(source, kind, skip=_silently), _silently):
        group = group_of.get(key)
        if group is None:
            skip(key, f"not in {groups.utt2group}")
        elif group not in moments:
            skip(key, f"none of the segments of {group} is in {groups.enrol}")
        else:
            normal = moments[group].normalise(np.atleast_2d(feats), norm_vars).reshape(feats.shape)
            if feats.ndim == 1 and moments[group].frames == 1 and (norm_vars or not normal.any()):
                skip(key, f"{group} has one vector only")
            else:
                yield key, normal


def _silently(key: str, reason: str) -> None:
    """Skip in a later pass what the first pass reports."""


def _moments(table: Table, source: Rspecifier, group_of: dict[str, str], enrol: Path | None) -> dict[str, Moments]:
    """The moments of each group, of the utterances of `enrol`, None for all."""
    names = read_names(enrol) if enrol else None
    missing, moments = set(names or ()), {}
    for key, feats in table:
        missing.discard(key)
        if key in group_of and (names is None or key in names):
            moments.setdefault(group_of[key], Moments(feats.shape[-1])).add(np.atleast_2d(feats))
    if missing:
        log.warning(
            "%s: %d of %d utterances are not in %s: %s, …", enrol, len(missing), len(names), source, min(missing)
        )
    return moments
