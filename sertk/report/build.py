"""The report of an experiment folder: which sections, tables and figures it has."""

from dataclasses import dataclass
from pathlib import Path

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.report.ablation import ablation_figure, parts_table, read_cells
from sertk.report.breakdowns import breakdown_tables, gaps_table, raters_table
from sertk.report.card import card_table
from sertk.report.conditions import conditions_sections
from sertk.report.data import Data
from sertk.report.differences import Pair, all_pairs, differences_table, rules, transfer_figure, verdict
from sertk.report.document import Figure, Headline, Paragraph, Report, Section, interval, percent
from sertk.report.figures import calibration_figure, confusion_figure, curves_figure, words
from sertk.report.histories import read_histories
from sertk.report.masks import masks_figure
from sertk.report.mistakes import mistakes_table
from sertk.report.selection import selection_table
from sertk.report.systems import Experiment, find_experiments, ordered, scored_folders
from sertk.report.tables import (
    EXCEPT,
    as_number,
    classes_table,
    comparable,
    counts_table,
    folds_table,
    intervals_table,
    results_table,
    runs_table,
    speakers_table,
)
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import FEW
from sertk.scoring.leakguard import CLEAN
from sertk.scoring.text import runs_words


@dataclass(frozen=True)
class Choices:
    """Options of a report.

    Args:
        data: data folder.
        mistakes: number of most confident errors to list for each experiment.
        audio: embed the audio of these errors.
        cards: read run cards from the models (loads torch).
        against: name of the system that the others are compared with.
        i_know: stamp leaks LEAKY instead of raising.
    """

    data: Path | None = None
    mistakes: int = 20
    audio: bool = False
    cards: bool = True
    i_know: bool = False
    against: str | None = None


def build_report(folder: Path, choices: Choices) -> Report:
    """Build a report.

    Args:
        folder: an experiment folder, or a folder of several.
        choices: options.

    Raises:
        SertkError: as `find_experiments`.
    """
    if not scored_folders(folder) and (cells := read_cells(folder / "ablation", {})):
        section = Section("ablation", "Ablation", [ablation_figure(cells), parts_table(cells)])
        return Report("Emotions from speech: ablation", cells.stamps, [], [section])
    experiments = find_experiments(folder, choices.i_know, choices.against)
    if choices.data is None:
        return _report(folder, experiments, None, choices)
    with Data(choices.data) as data:
        return _report(folder, experiments, data, choices)


def _report(folder: Path, experiments: list[Experiment], data: Data | None, choices: Choices) -> Report:
    """The report of these experiments."""
    stamps = ordered(stamp for experiment in experiments for stamp in experiment.stamps)
    systems = [(system, experiment) for experiment in experiments for system in experiment.systems]
    pairs = all_pairs(experiments)
    transfer = [rules(pairs), transfer_figure(pairs, stamps), differences_table(pairs, stamps)]
    of_transfer = any(s.transfers for s, _ in systems) and not choices.against
    question = "Does transfer help?" if of_transfer else "Systems compared"
    beside = " beside published results" if any(map(comparable, experiments)) else ""
    masks = masks_figure(data, experiments[0].test.keys, stamps) if data else None
    cells = read_cells(folder / "ablation", {e.name: e.short for e in experiments})
    ablation = [ablation_figure(cells), parts_table(cells)] if cells else []
    mistakes = [mistakes_table(e, choices.mistakes, data, choices.audio) for e in experiments if choices.mistakes]
    calibration = [
        calibration_figure(f"calibration-{e.name}", f"Calibration and coverage, {e.short}", e.systems, e.stamps)
        for e in experiments
    ]
    by = [
        table
        for e in experiments
        for table in (*breakdown_tables(e, data), gaps_table(e, data), raters_table(e, data))
        if table
    ]
    sections = [
        Section("transfer-section", question, [item for item in transfer if item]),
        Section("results", f"Results{beside}", _results(experiments)),
        Section("ablation", "Ablation", ablation),
        Section("selection", "Model selection", [t for t in map(selection_table, experiments) if t]),
        *conditions_sections(folder),
        Section("confusions", "Confusion matrices", [confusion_figure(experiments, "figure-3", stamps)]),
        Section("mistakes", "Most confident errors", [table for table in mistakes if table.rows]),
        Section("breakdowns", "Results by subgroup", by),
        Section("calibration", "Calibration", calibration),
        Section("data", "The data", [counts_table(experiments, stamps), *([masks] if masks else [])]),
        _training(folder, experiments, stamps),
        Section("folds", "Results by fold", [folds_table(s, e) for s, e in systems]),
        Section("cards", "Run cards", [card_table(s, e, choices.cards) for s, e in systems]),
        _absent(folder, data, masks, ablation),
    ]
    headlines = [_headline(e, [pair for other, pair in pairs if other is e]) for e in experiments]
    title = "Emotions from speech: " + ", ".join(experiment.short for experiment in experiments)
    return Report(title, stamps, headlines, [section for section in sections if section.items])


def _headline(experiment: Experiment, pairs: list[Pair]) -> Headline:
    """The first system's accuracies and the verdicts of an experiment."""
    system = experiment.systems[0]
    results = system.results
    mean, pooled, ends = results["mean"], results["pooled"], results["intervals"][results["unit"]]
    units = unit_words(results["unit"], ends["clusters"], ends["units"])
    rough = f", rough: fewer than {FEW} units" * (ends["units"] < FEW)
    figures = [
        (
            percent(mean[what], 1),
            f"{what.upper()} %",
            f"pooled {percent(pooled[what], 1)}, 95 %: {interval(ends[what])} by {units}{rough}",
        )
        for what in ("ua", "wa")
    ]
    answers = [verdict(pair) for pair in pairs]
    asked = any(s.transfers for s in experiment.systems) and not experiment.against
    if asked and not any(pair.of_transfer for pair in pairs):
        answers.append(
            "There is no system without transfer and with the same model selection: the effect of transfer is unknown."
        )
    if (others := comparable(experiment)) and not set(experiment.stamps) & set(EXCEPT):
        row = next((row for row in others if row.system.startswith("Padi")), others[-1])
        answers.append(f"For comparison: {row.system}, UA {as_number(row.ua, 1)}, WA {as_number(row.wa, 1)}")
    description = ", ".join(filter(None, [words(system), runs_words(results["runs"]["number"]), system.caveat]))
    return Headline(experiment.title, experiment.stamps, description, figures, answers)


def _results(experiments: list[Experiment]) -> list:
    """Tables of results, with the reasons of the leak guard."""
    items = []
    for experiment in experiments:
        systems_of: dict[str, list[str]] = {}
        for system in experiment.systems:
            for reason in system.guard:
                systems_of.setdefault(reason, []).append(system.name)
        for reason, names in systems_of.items():
            if not reason.startswith(CLEAN):
                items.append(Paragraph(f"{', '.join(names)}: {reason}", warning=True))
        items.append(results_table(experiment, f"{'Table 3. ' * experiment.of_paper}{experiment.title}"))
        items += [intervals_table(experiment), classes_table(experiment)]
        items += [table for table in [runs_table(experiment)] if table]
        items += [
            Paragraph(f"Leak guard, {', '.join(names)}: {reason}.")
            for reason, names in systems_of.items()
            if reason.startswith(CLEAN)
        ]
    return items


def _training(folder: Path, experiments: list[Experiment], stamps: tuple[str, ...]) -> Section:
    """Learning curves of all systems and of the speaker network, and its results."""
    items = [
        curves_figure(f"training-{s.name}", f"Training of {e.short}, {words(s)}", s.histories, s.stamps)
        for e in experiments
        for s in e.systems
    ]
    speakers = folder / "resnet34"
    if histories := read_histories(speakers) if speakers.is_dir() else {}:
        items.append(curves_figure("training-resnet34", "Training of the speaker network", histories, stamps))
    if (speakers / "results.json").exists():
        results = read_json(speakers / "results.json")
        if "eer" not in results:
            raise SertkError(f"{speakers}/results.json: not what score-trials --json writes: no 'eer'")
        items.append(speakers_table(results))
    return Section("training", "Training", [item for item in items if item])


def _absent(folder: Path, data: Data | None, masks: Figure | None, ablation: list | None) -> Section:
    """Figures of the paper that this report lacks, and why."""
    section = Section("absent", "Missing from this report")
    trained = {path.parent.parent for path in folder.glob("*/*/final.pt") if path.parent.name.isdigit()}
    for system in sorted(path for path in trained if not (path / "results.json").exists()):
        section.items.append(Paragraph(f"{system.name}: has models but no results.json (run score-loso --json)."))
    if not ablation:
        section.items.append(Paragraph(f"Ablation (the paper's Figure 4): no results in {folder.name}/ablation."))
    if data is None:
        text = (
            "Spectrogram with masks (the paper's Figure 2), transcripts, spectrograms, and breakdowns by subgroup: no data"
            " folder was given (--data)."
        )
        section.items.append(Paragraph(text))
    elif not masks:
        text = "Spectrogram with masks (the paper's Figure 2): the data folder has no features (feats.scp) of these segments."
        section.items.append(Paragraph(text))
    return section
