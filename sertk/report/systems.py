"""Reading experiment folders: systems with their results, scores and learning curves, checked for consistency.

A system is a folder with score-loso's results.json and the scores it was computed from. Its folds are in the same folder
(`exp1/folds`) or in a folder whose name is a prefix (`exp1_scratch` uses `exp1/folds`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.report.histories import read_histories
from sertk.report.published import Published, published
from sertk.scoring.groups import UNGROUPED
from sertk.scoring.leakguard import CROSS_FITTED, DEPENDENT, UNKNOWN_SCHEME, Guard, guard_reasons
from sertk.scoring.posteriors import Scored, guesses_of, select_of
from sertk.scoring.results import check_current
from sertk.scoring.testset import Test, read_system, read_test

# Order of stamps in a title, most serious first.
STAMPS = ("LEAKY", "SIMULATED", "PARTIAL", "TRANSDUCTIVE", DEPENDENT, UNKNOWN_SCHEME, UNGROUPED, CROSS_FITTED)
# How a system was trained, by the manifests of its scores.
FROZEN, TUNED, SCRATCH = "frozen trunk, new head", "fine-tuned", "without transfer"
# Fields of results.json that the report needs.
RESULTS = (
    "labels", "stamps", "leaks", "title", "mean", "deviation", "pooled", "folds", "runs", "baselines", "confusion",
    "unit", "method", "intervals", "calibration", "coverage", "by", "unchecked",
)  # fmt: skip


@dataclass(frozen=True)
class System:
    """One system.

    Args:
        folder: its folder.
        what: how it was trained, in words.
        results: results.json.
        runs: posteriors of each training run.
        scheme: scheme.json of its own folds, which may be numbered differently from the experiment's.
        stamps: words that its titles carry.
        leaks: leaks, with `i_know`.
        guard: clean, leaking or unchecked, with reasons.
        caveat: what a headline says if leaks are unchecked, else "".
        histories: fold -> epoch records of its train.jsonl.
    """

    folder: Path
    what: str
    results: dict
    runs: list[Scored]
    scheme: dict
    stamps: tuple[str, ...]
    leaks: tuple[str, ...]
    guard: tuple[str, ...]
    caveat: str
    histories: dict[str, list[dict]]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def scored(self) -> Scored:
        """Posteriors of the first training run."""
        return self.runs[0]

    @property
    def guess(self) -> np.ndarray:
        """Predictions of all training runs, (runs, segments)."""
        return guesses_of(self.runs)

    @property
    def imported(self) -> bool:
        """True if import-scores wrote its scores."""
        return any((settings or {}).get("imported") for settings in self.scored.settings.values())

    @property
    def transfers(self) -> bool:
        """True if it started from another network; not known of imported and fused systems."""
        return self.what.startswith((FROZEN, TUNED))

    @property
    def chosen_on_test(self) -> bool:
        """True if an epoch of any training run was selected on its test fold."""
        return any(scored.chosen_on_test for scored in self.runs)

    @property
    def rule(self) -> str:
        """Model selection rule, "last" if not recorded."""
        return select_of(self.runs) or "last"

    @property
    def family(self) -> str:
        """Name without the rule, shared by systems that differ only in it: exp1 for exp1_dev-session."""
        return self.name.removesuffix(f"_{self.rule}")


@dataclass(frozen=True)
class Experiment:
    """Systems scored on the same segments with the same folds.

    Args:
        name: name of the folder with the folds.
        folds: folder of the folds.
        test: the test set.
        known: published results of the same experiment.
        systems: the systems; the first one is that of the folds.
        picked: systems whose epochs were selected on the test fold, shown only in the table of selection rules; with `i_know`
            they are in `systems` too.
        against: name of the first system, if the others are to be compared with it; else None.
    """

    name: str
    folds: Path
    test: Test
    known: Published | None
    systems: list[System] = field(default_factory=list)
    picked: list[System] = field(default_factory=list)
    against: str | None = None

    @property
    def of_paper(self) -> bool:
        """True for the paper's experiments on IEMOCAP, whose tables and figures have numbers."""
        return bool(self.known and self.known.name.startswith("Exp"))

    @property
    def title(self) -> str:
        """Name with classes."""
        if self.known:
            return f"{self.known.name} ({self.known.classes})"
        return f"{self.name} ({', '.join(self.test.labels)})"

    @property
    def short(self) -> str:
        """Name alone."""
        return self.known.name if self.known else self.name

    @property
    def stamps(self) -> tuple[str, ...]:
        """Stamps of all its systems."""
        return ordered(stamp for system in self.systems for stamp in system.stamps)


def scored_folders(folder: Path) -> dict[Path, dict]:
    """Folders with score-loso's results.json: `folder` itself, or its subfolders. Raises SertkError."""
    if not folder.is_dir():
        raise SertkError(f"{folder}: is not a folder")
    one = (folder / "results.json").exists()
    paths = [folder / "results.json"] if one else sorted(folder.glob("*/results.json"))
    results = {path.parent: read_json(path) for path in paths}
    return {path: content for path, content in results.items() if "confusion" in content}


def find_experiments(folder: Path, i_know: bool = False, against: str | None = None) -> list[Experiment]:
    """Read the experiments in `folder`.

    Args:
        folder: an experiment folder, or a folder of several.
        i_know: stamp leaks and mixed schemes LEAKY instead of raising.
        against: name of the system that the others are compared with, which becomes the first one of its experiment.

    Raises:
        SertkError: there are no results, there is no system `against`, results do not match scores or folds, there is a leak,
            all epochs were selected on the test fold, or experiments were scored with different schemes.
    """
    results_of = scored_folders(folder)
    if not results_of:
        raise SertkError(f"{folder}: no results.json of score-loso in it or its subfolders")
    experiments: dict[tuple, Experiment] = {}
    # Shortest name first: exp1 before exp1_scratch.
    for path, results in sorted(results_of.items(), key=lambda item: (len(item[0].name), item[0].name)):
        folds = folds_of(path)
        test = read_test(folds / "utt2label", folds / "utt2fold", None)
        # Folds are compared by content: systems may have been collected from several folders.
        content = (test.labels, tuple(sorted(zip(test.keys, test.truth.tolist()))), division(test))
        if content not in experiments:
            known = published(test.keys, test.scheme.get("label_map"))
            experiments[content] = Experiment(folds.parent.name, folds, test, known)
        experiment = experiments[content]
        system = _system(path, results, experiment.test, test.scheme, i_know)
        if system.chosen_on_test:
            experiment.picked.append(system)
        if i_know or not system.chosen_on_test:
            experiment.systems.append(system)
    for experiment in experiments.values():
        if not experiment.systems:
            picked = experiment.picked[0].folder
            Guard().leak(f"{picked}: its epochs were selected on the test set (oracle), and there is no other system")
    ordered_ones = sorted(experiments.values(), key=lambda experiment: experiment.name)
    names = [system.name for experiment in ordered_ones for system in experiment.systems]
    if against and against not in names:
        raise SertkError(f"{folder}: no system {against} to compare with (there are {', '.join(names)})")
    return _one_protocol([_arranged(experiment, against) for experiment in ordered_ones], i_know)


def _arranged(experiment: Experiment, against: str | None) -> Experiment:
    """The experiment with the reference first, and without words on transfer where nothing is said about it."""
    systems = sorted(experiment.systems, key=lambda system: system.name != against)
    named = systems[0].name == against
    if named or not any(system.transfers for system in systems):
        systems = [replace(s, what=s.what.removeprefix(SCRATCH).removeprefix(", ")) for s in systems]
    return replace(experiment, systems=systems, against=against if named else None)


def division(test: Test) -> tuple[int, ...]:
    """Fold of each segment in sorted order, renumbered by first occurrence, to compare folds by content."""
    order: dict[int, int] = {}
    return tuple(order.setdefault(test.utt2fold[key], len(order)) for key in sorted(test.keys))


def folds_of(folder: Path) -> Path:
    """Folder of a system's folds. Raises SertkError if there is none."""
    # Resolved, so that names are compared without links and dots.
    resolved = folder.resolve()
    words = resolved.name.split("_")
    places = [resolved / "folds"]
    places += [resolved.parent / "_".join(words[:n]) / "folds" for n in range(len(words) - 1, 0, -1)]
    for place in [*places, resolved.parent / "folds"]:
        if (place / "utt2fold").exists():
            return place
    raise SertkError(
        f"{folder}: has results.json but no folds/utt2fold, and neither has {places[-1].parent.name} beside it"
    )


def _system(folder: Path, results: dict, test: Test, scheme: dict, i_know: bool) -> System:
    """Read a system and check that results, scores and folds match. Raises SertkError."""
    lacking = [name for name in RESULTS if name not in results]
    if lacking:
        raise SertkError(f"{folder}/results.json: not written by score-loso --json: no '{lacking[0]}'")
    guard = Guard(i_know)
    guard.stamp(*results["stamps"], *test.stamps)
    runs = read_system(test, str(folder), guard)
    check_current(results, folder / "results.json", test.truth, guesses_of(runs), test.labels)
    leaks = tuple(dict.fromkeys([*results["leaks"], *guard.leaks]))
    reasons = guard_reasons({"guard": guard.state, "leaks": leaks, "unchecked": guard.unchecked})
    what, stamps = _how(runs), ordered(guard.stamps)
    # Only the first run: curves of all folds of several runs are unreadable.
    histories = read_histories(folder if len(runs) == 1 else Path(runs[0].source))
    return System(folder, what, results, runs, scheme, stamps, leaks, tuple(reasons), guard.caveat, histories)


def _how(runs: list[Scored]) -> str:
    """How the models were trained, by the manifests of the scores; "" if not recorded."""
    manifests = [settings or {} for scored in runs for settings in scored.settings.values()]
    records = [settings.get("trained_on") or {} for settings in manifests]
    select = select_of(runs)
    # Imported and fused systems are known by their names alone.
    if not any(records) or any(settings.get("imported") or settings.get("fused") for settings in manifests):
        return ""
    if all("trunk" in record for record in records):
        how = FROZEN
    elif all("init" in record for record in records):
        how = TUNED
    else:
        how = SCRATCH
    return how + (f", epoch by {select}" if select not in (None, "last") else "")


def ordered(stamps: Iterable[str]) -> tuple[str, ...]:
    """Each stamp once, in the order of STAMPS, user-defined words last."""
    words = list(dict.fromkeys(stamps))
    return tuple(sorted(words, key=lambda word: STAMPS.index(word) if word in STAMPS else len(STAMPS)))


def _one_protocol(experiments: list[Experiment], i_know: bool) -> list[Experiment]:
    """Check that all experiments have the same scheme and part: raise SertkError, or stamp with `i_know`."""
    kinds = {}
    for experiment in experiments:
        scheme = experiment.test.scheme
        kinds.setdefault((scheme.get("scheme", "unknown"), scheme.get("part", "all")), experiment)
    if len(kinds) < 2:
        return experiments
    protocols = " and ".join(f"{other.name} by {scheme} ({part} part)" for (scheme, part), other in kinds.items())
    guard = Guard(i_know)
    guard.leak(f"experiments of one report were scored with different schemes: {protocols}")

    def stamped(system: System) -> System:
        stamps = ordered([*system.stamps, *guard.stamps])
        return replace(system, stamps=stamps, leaks=(*system.leaks, *guard.leaks), guard=(*system.guard, *guard.leaks))

    return [replace(experiment, systems=list(map(stamped, experiment.systems))) for experiment in experiments]
