"""The choice of heads' settings inside their training folds: leave one more fold out, in turn (nested cross-validation).

A head that is trained without the folds f and g serves both: it is scored on g for the choice of f, and on f for that of g.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from sertk.atomic import atomic_file
from sertk.errors import SertkError, error_context
from sertk.jobs.drawtable import DrawTable
from sertk.jobs.headrun import HEAD_ROUNDING, HeadRun, LabelSet, decisions, indices
from sertk.jobs.vectortable import VectorTable
from sertk.models.modelfile import read_checked, write_checked
from sertk.models.resnet import Head
from sertk.runs.state import differences
from sertk.training.grid import GRIDABLE, Grid, best, identity, scores_of, trained_alike
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.progress import StopRequested, never
from sertk.training.settings import HeadSettings

log = logging.getLogger("sertk")

FORMAT = "sertk-grid-1"
# Heads that are trained side by side, and finished before the next: what a stop can lose.
TOGETHER = 12
Rows = dict[str, np.ndarray]
# A head without these two folds.
Pair = tuple[str, str]
# Function of a head that returns its decisions (or predictions) on a fold's segments.
Decider = Callable[[Head], Sequence]


@dataclass
class Search:
    """What is known of the settings for one run: decisions on each inner fold.

    Args:
        run: its fold is held out of everything here.
        decided: (setting, inner fold) -> decisions on the fold's segments; None where training failed.
    """

    run: HeadRun
    decided: dict[tuple[str, str], list[int] | None] = field(default_factory=dict)

    def resume(self) -> None:
        """Read what an earlier call has finished; of other settings or data it is ignored."""
        if not self.run.search.exists():
            return
        try:
            content, _ = read_checked(self.run.search)
            known = content.get("format") == FORMAT
            # A setting is known by all its values (see identity): the grid may have grown.
            ignored = {*HEAD_ROUNDING, *GRIDABLE, "grid_criterion"}
            changes = differences(content["settings"], self.run.settings, ignored) if known else []
        except SertkError as error:
            log.warning("%s: computed again", error)
            return
        if known and not changes:
            self.decided = {(point, fold): decided for point, fold, decided in content["decided"]}
        else:
            log.warning("%s: computed again: %s", self.run.search, changes[0] if changes else "another version")

    def save(self) -> None:
        """Write what is finished."""
        decided = [[point, fold, decided] for (point, fold), decided in self.decided.items()]
        write_checked(self.run.search, {"format": FORMAT, "settings": self.run.settings, "decided": decided})

    def scores(self, point: HeadSettings) -> dict[str, float] | None:
        """Scores of a setting; None if a training failed."""
        labelling, truth, decided = self.run.label_set.labelling, {}, {}
        for fold in [fold for fold in labelling.folds() if fold != self.run.fold]:
            truth[fold] = [labelling.index(key) for key in keys_of(self.run.label_set, fold)]
            decided[fold] = self.decided[identity(point), fold]
        if any(of_fold is None for of_fold in decided.values()):
            return None
        return scores_of(truth, decided, len(labelling.labels))


def choose_settings(
    runs: list[HeadRun],
    table: DrawTable | VectorTable,
    rows_of: Rows,
    grid: Grid,
    settings: HeadSettings,
    criterion: str,
    device: torch.device,
    stop_requested: StopRequested = never,
    stacked: bool = False,
) -> dict[HeadRun, HeadSettings]:
    """Choose the settings of each run by scores on its training folds, each held out in turn.

    Writes DIR/FOLD/grid.tsv, and DIR/FOLD/grid.pt until the run is finished. The choice is kept for the model's card.

    Args:
        runs: locked.
        table: what heads are trained on.
        rows_of: (rows, dim) of whole segments, for the scores.
        grid: the settings to choose from.
        settings: all others.
        criterion: "ua", "wa" or "mean-ua", see scores_of.
        device: where to compute.
        stop_requested: checked before every batch.
        stacked: see train_heads.

    Raises:
        Stopped: `stop_requested` returned True.
        SertkError: there are fewer than three folds, or all settings fail.
    """
    points, chosen = grid.points(settings), {}
    searches = {run: Search(run) for run in runs}
    for search in searches.values():
        search.resume()
    for label_set in {id(run.label_set): run.label_set for run in runs}.values():
        of_set = [search for run, search in searches.items() if run.label_set is label_set]
        trial = Trial(label_set, table, _deciders(label_set, rows_of, device), device, stacked)
        _try_all(of_set, trial, points, stop_requested)
    for run, search in searches.items():
        scores = [search.scores(point) for point in points]
        index = best(scores, criterion)
        if index is None:
            raise SertkError(f"{run}: training fails with every setting of the grid (is the learning rate too high?)")
        chosen[run] = points[index]
        run.choice = record(grid, points, scores, index, criterion)
        write_table(run.directory / "grid.tsv", run.choice)
        values = " ".join(f"--{name.replace('_', '-')}={value}" for name, value in run.choice["chosen"].items())
        log.info("%s: chosen of %d settings: %s", run, len(points), values)
    return chosen


def _try_all(searches: list[Search], trial: "Trial", points: list[HeadSettings], stop_requested: StopRequested) -> None:
    """Train and score all settings for the runs of a label set, as far as they are not yet."""
    by_fold, folds = {search.run.fold: search for search in searches}, list(trial.deciders)
    if len(folds) < 3:
        raise SertkError("--grid holds out a second fold: it takes at least three folds")
    groups = trained_alike(points)
    lacking = [(pair, group) for group in groups for pair in _lacking(by_fold, folds, group)]
    for first in range(0, len(lacking), TOGETHER):
        decided = trial.decisions(lacking[first : first + TOGETHER], stop_requested)
        for (pair, point), of_fold in decided.items():
            for fold, inner in (pair, pair[::-1]):
                if fold in by_fold:
                    by_fold[fold].decided[identity(point), inner] = of_fold and of_fold[inner]
        for search in searches:
            search.save()
        done = min(first + TOGETHER, len(lacking))
        log.info("%s: trained %d of %d heads for the choice of settings", trial.label_set.directory, done, len(lacking))


def _deciders(label_set: LabelSet, rows_of: Rows, device: torch.device) -> dict[str, Decider]:
    """The function that decides on a fold's segments, for each fold."""
    deciders = {}
    for fold in label_set.labelling.folds():
        keys = keys_of(label_set, fold)
        if not keys:
            raise SertkError(f"{label_set.directory}: fold {fold}, which --grid needs, has no vectors")
        deciders[fold] = decisions([rows_of[key] for key in keys], device)
    return deciders


def _lacking(by_fold: dict[str, Search], folds: list[str], group: list[HeadSettings]) -> list[Pair]:
    """The pairs of folds that a group's heads must still be trained without."""
    pairs = []
    for first, second in combinations(folds, 2):
        needed = [(by_fold[a], b) for a, b in ((first, second), (second, first)) if a in by_fold]
        if any((identity(point), inner) not in search.decided for search, inner in needed for point in group):
            pairs.append((first, second))
    return pairs


@dataclass
class Trial:
    """Heads of some settings on some of the folds.

    Args:
        label_set: labels and folds.
        table: what they are trained on.
        deciders: of each fold, see decisions.
        device: where to compute.
        stacked: see train_heads.
    """

    label_set: LabelSet
    table: DrawTable | VectorTable
    deciders: dict[str, Decider]
    device: torch.device
    stacked: bool

    def decisions(
        self, heads: list[tuple[Pair, list[HeadSettings]]], stop_requested: StopRequested
    ) -> dict[tuple[Pair, HeadSettings], dict[str, Sequence] | None]:
        """Train heads, each without a pair of folds, and decide on the segments of both.

        Args:
            heads: pair, and settings that differ in their epochs only, the most last (see trained_alike).
            stop_requested: checked before every batch.

        Returns:
            by pair and setting: decisions on each of the two folds; None if the training failed.

        Raises:
            Stopped: `stop_requested` returned True.
        """
        results = dict.fromkeys((pair, point) for pair, group in heads for point in group)
        pair_of, group_of, trainings = {}, {}, {}
        for pair, group in heads:
            name = f"{identity(group[-1])}, without the folds {' and '.join(pair)}"
            pair_of[name], group_of[name] = pair, group
            try:
                with error_context(name):
                    trainings[name] = self._training(pair, group[-1])
            except SertkError as error:
                _warn(name, error)
        everything = dict.fromkeys(trainings, np.arange(len(self.label_set.store)))
        store, how = self.label_set.store, {"failed": _warn, "stacked": self.stacked}
        for epoch, name, _ in train_heads(trainings, everything, store, self.device, stop_requested, **how):
            for point in group_of[name]:
                if point.epochs == epoch:
                    pair, head = pair_of[name], trainings[name].head
                    results[pair, point] = {fold: self.deciders[fold](head) for fold in pair}
        return results

    def _training(self, pair: Pair, settings: HeadSettings) -> HeadTraining:
        label_set, labelling = self.label_set, self.label_set.labelling
        members = indices(label_set.store, labelling.training(*pair))
        spec = self.table.head_spec(len(labelling.labels), settings)
        standardise = label_set.standardisation(*pair)
        return HeadTraining(spec, members, label_set.targets, settings, self.device, None, standardise)


def _warn(_: str, error: SertkError) -> None:
    log.warning("%s", error)


def keys_of(label_set: LabelSet, fold: str) -> list[str]:
    """Keys of a fold's segments, in the order of the store."""
    return [key for key in label_set.store.keys if label_set.labelling.fold_of[key] == fold]


def record(
    grid: Grid, points: list[HeadSettings], scores: list[dict[str, float] | None], index: int, criterion: str
) -> dict:
    """The choice and all scores, in plain types, for the model's card."""
    tried = [{**grid.of(point), **(each or {})} for point, each in zip(points, scores)]
    return {"criterion": criterion, "chosen": grid.of(points[index]), "index": index, "tried": tried}


def write_table(path: Path, choice: dict) -> None:
    """Write a choice as a table: a line for every setting, with its scores, the chosen one marked."""
    names = [*choice["chosen"], *("ua", "wa", "mean-ua")]
    with atomic_file(path, "w") as file:
        file.write("\t".join([*(name.replace("_", "-") for name in names), "chosen"]) + "\n")
        for number, tried in enumerate(choice["tried"]):
            cells = [_cell(tried.get(name, "failed")) for name in names]
            file.write("\t".join([*cells, "*" if number == choice["index"] else ""]) + "\n")


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
