"""What lies in an experiment's folder: systems with their results, scores and training, held against each other.

A system is a folder with a results.json of score-loso and the scores that it was made of; its folds are in it
(`exp1/folds`) or in the folder that its name begins with (`exp1_scratch` was scored by `exp1/folds`).
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.report.published import Published, published
from sertk.scoring.emotion import confusion
from sertk.scoring.evaluation import Test, read_system, read_test
from sertk.scoring.groups import UNGROUPED
from sertk.scoring.posteriors import Scored, guesses_of, select_of
from sertk.scoring.protocol import DEPENDENT, UNKNOWN_SCHEME, Guard, guard_reasons

# The order of stamps in a title, those that count most first.
STAMPS = ("LEAKY", "SIMULATED", "PARTIAL", "TRANSDUCTIVE", DEPENDENT, UNKNOWN_SCHEME, UNGROUPED)
# How a system was trained, where its scores say it.
FROZEN, SCRATCH = "frozen trunk, new head", "without transfer"
# What of results.json is shown.
RESULTS = (
    "labels", "stamps", "leaks", "title", "mean", "deviation", "pooled", "folds", "runs", "baselines", "confusion",
    "unit", "method", "intervals", "calibration", "coverage", "by", "unchecked",
)  # fmt: skip


@dataclass(frozen=True)
class System:
    """One system: where it is, what score-loso found, and what it was scored on and with.

    what: how it was trained, in words; runs: the scores of each of its training runs; scheme: of its own folds, which may
    be numbered otherwise than the experiment's; guard: whether it is clean, leaking or unchecked, and why; histories:
    fold -> the epochs' records of its train.jsonl.
    """

    folder: Path
    what: str
    results: dict
    runs: list[Scored]
    scheme: dict
    stamps: tuple[str, ...]
    leaks: tuple[str, ...]
    guard: tuple[str, ...]
    histories: dict[str, list[dict]]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def scored(self) -> Scored:
        """The first training run."""
        return self.runs[0]

    @property
    def guess(self) -> np.ndarray:
        """Predictions of all training runs, (runs, segments)."""
        return guesses_of(self.runs)

    @property
    def chosen_on_test(self) -> bool:
        """Whether an epoch of any of its training runs was chosen by the fold that it is tested on."""
        return any(scored.chosen_on_test for scored in self.runs)

    @property
    def rule(self) -> str:
        """How its epochs were chosen; what does not say it was not chosen at all."""
        return select_of(self.runs) or "last"

    @property
    def family(self) -> str:
        """The name that systems share which differ in this rule only: exp1 of exp1_dev-session."""
        return self.name.removesuffix(f"_{self.rule}")


@dataclass(frozen=True)
class Experiment:
    """Systems that were scored on the same segments by the same folds; the first is the one that the folds are of.

    picked: those whose epochs were chosen on the test itself, which stand beside the others in a table of their own
    only; with i_know they are among `systems` too.
    """

    name: str
    folds: Path
    test: Test
    known: Published | None
    systems: list[System] = field(default_factory=list)
    picked: list[System] = field(default_factory=list)

    @property
    def title(self) -> str:
        if self.known:
            return f"{self.known.name} ({self.known.classes})"
        return f"{self.name} ({', '.join(self.test.labels)})"

    @property
    def short(self) -> str:
        return self.known.name if self.known else self.name

    @property
    def stamps(self) -> tuple[str, ...]:
        return ordered(stamp for system in self.systems for stamp in system.stamps)


def scored_folders(folder: Path) -> dict[Path, dict]:
    """The folders with a results.json of score-loso: `folder` itself, or those in it; SertkError where it is none."""
    if not folder.is_dir():
        raise SertkError(f"{folder}: is no folder")
    one = (folder / "results.json").exists()
    paths = [folder / "results.json"] if one else sorted(folder.glob("*/results.json"))
    results = {path.parent: read_json(path) for path in paths}
    return {path: found for path, found in results.items() if "confusion" in found}


def find_experiments(folder: Path, i_know: bool = False) -> list[Experiment]:
    """The experiments in `folder`, or the one that it is.

    Raises SertkError where there is none, where results and scores do not belong together, for a leak, where there are
    only epochs that were chosen on the test, and where experiments were scored by different schemes (with i_know:
    stamps them LEAKY).
    """
    found = scored_folders(folder)
    if not found:
        raise SertkError(f"{folder}: no results.json of score-loso in it, nor in its folders")
    experiments: dict[tuple, Experiment] = {}
    # By the length of the name: exp1 before exp1_scratch.
    for path, results in sorted(found.items(), key=lambda item: (len(item[0].name), item[0].name)):
        folds = folds_of(path)
        test = read_test(folds / "utt2label", folds / "utt2fold", None)
        # Folds are the same by what is in them: systems may have been brought together from other folders.
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
            Guard().leak(f"{picked}: its epochs were chosen on the test itself (oracle), and nothing stands beside it")
    ordered_ones = sorted(experiments.values(), key=lambda experiment: experiment.name)
    return _one_protocol(ordered_ones, i_know)


def division(test: Test) -> tuple[int, ...]:
    """Which of the sorted segments are held out together: the folds, numbered as they come first."""
    order: dict[int, int] = {}
    return tuple(order.setdefault(test.utt2fold[key], len(order)) for key in sorted(test.keys))


def folds_of(folder: Path) -> Path:
    """The folder of the folds that a system was scored by; SertkError where there is none."""
    # Resolved: systems of one experiment are those whose folds are the same path.
    whole = folder.resolve()
    words = whole.name.split("_")
    places = [whole / "folds"]
    places += [whole.parent / "_".join(words[:n]) / "folds" for n in range(len(words) - 1, 0, -1)]
    for place in places:
        if (place / "utt2fold").exists():
            return place
    raise SertkError(f"{folder}: has results.json and no folds/utt2fold, nor has {places[-1].parent.name} beside it")


def _system(folder: Path, results: dict, test: Test, scheme: dict, i_know: bool) -> System:
    lacking = [name for name in RESULTS if name not in results]
    if lacking:
        raise SertkError(f"{folder}/results.json: not what score-loso --json writes: no '{lacking[0]}'")
    guard = Guard(i_know)
    guard.stamp(*results["stamps"], *test.stamps)
    runs = read_system(test, str(folder), guard)
    counts = sum(confusion(test.truth, scored.guess, len(test.labels)) for scored in runs).tolist()
    if results["labels"] != list(test.labels) or results["confusion"]["counts"] != counts:
        raise SertkError(f"{folder}/results.json: is not of the scores and folds that are there now: run score-loso")
    leaks = tuple(dict.fromkeys([*results["leaks"], *guard.leaks]))
    reasons = guard_reasons({"guard": guard.state, "leaks": leaks, "unchecked": guard.unchecked})
    what, stamps = _how(runs), ordered(guard.stamps)
    # Curves of the first run: a panel with the folds of several would be a thicket.
    histories = read_histories(folder if len(runs) == 1 else Path(runs[0].source))
    return System(folder, what, results, runs, scheme, stamps, leaks, tuple(reasons), histories)


def _how(runs: list[Scored]) -> str:
    """How the models were trained, as far as the scores' manifests say it."""
    records = [(settings or {}).get("trained_on") or {} for scored in runs for settings in scored.settings.values()]
    select = select_of(runs)
    if not any(records):
        return ""
    if all("trunk" in record for record in records):
        how = FROZEN
    elif all("init" in record for record in records):
        how = "fine-tuned"
    else:
        how = SCRATCH
    return how + (f", epoch by {select}" if select not in (None, "last") else "")


def read_histories(folder: Path) -> dict[str, list[dict]]:
    """The records of train.jsonl in a folder ("" the key) and in its folds' folders.

    Raises SertkError with file and line for what is no record of an epoch.
    """
    paths = [folder / "train.jsonl", *folder.glob("*/train.jsonl")]
    names = {path: path.parent.name if path.parent != folder else "" for path in paths if path.exists()}
    chosen = [path for path, name in names.items() if not name or name.isdigit()]
    return {names[path]: read_history(path) for path in sorted(chosen, key=lambda path: names[path].zfill(4))}


def read_history(path: Path) -> list[dict]:
    """The records of a train.jsonl.

    Raises SertkError with file and line where one lacks its epoch or its loss, or has something else than numbers.
    """
    records = read_json_lines(path)
    for number, record in enumerate(records, 1):
        for name in ("epoch", "loss"):
            if record.get(name) is None:
                raise SertkError(f"{path}:{number}: an epoch's record without '{name}'")
        for name, value in record.items():
            if not _is_number(value):
                raise SertkError(f"{path}:{number}: '{name}' is {json.dumps(value)[:80]}, a number is wanted")
        if not (isinstance(record["epoch"], int) and record["epoch"] > 0):
            raise SertkError(f"{path}:{number}: 'epoch' is {record['epoch']}, wanted is 1, 2, …")
    return records


def _is_number(value) -> bool:
    """Whether a record may hold `value`: a number that a plot can take, or null, which is not told."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return value is None or isinstance(value, float)


def read_json(path: Path) -> dict:
    """A JSON object; SertkError where the file holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SertkError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise SertkError(f"{path}: is no JSON object")
    return found


def read_json_lines(path: Path) -> list[dict]:
    """JSON objects, one a line; SertkError with file and line where one is none."""
    records = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise SertkError(f"{path}:{number}: no JSON object: {error}") from None
        if not isinstance(found, dict):
            raise SertkError(f"{path}:{number}: no JSON object: {json.dumps(found)[:80]}")
        records.append(found)
    return records


def ordered(stamps) -> tuple[str, ...]:
    """Each stamp once, in the order of STAMPS, the user's own words last."""
    words = list(dict.fromkeys(stamps))
    return tuple(sorted(words, key=lambda word: STAMPS.index(word) if word in STAMPS else len(STAMPS)))


def _one_protocol(experiments: list[Experiment], i_know: bool) -> list[Experiment]:
    """SertkError (or a stamp) where the experiments of one report were not scored by one scheme on one part."""
    kinds = {}
    for experiment in experiments:
        scheme = experiment.test.scheme
        kinds.setdefault((scheme.get("scheme", "unknown"), scheme.get("part", "all")), experiment)
    if len(kinds) < 2:
        return experiments
    said = " and ".join(f"{other.name} by {scheme} ({part} part)" for (scheme, part), other in kinds.items())
    guard = Guard(i_know)
    guard.leak(f"one table cannot hold different protocols: {said}")
    return [
        replace(e, systems=[
            replace(s, stamps=ordered([*s.stamps, *guard.stamps]), leaks=(*s.leaks, *guard.leaks),
                    guard=(*s.guard, *guard.leaks)) for s in e.systems
        ]) for e in experiments
    ]  # fmt: skip
