"""A report from an experiment's folder."""

from pathlib import Path

from sertk.report.document import Paragraph, Report, Section, percent
from sertk.report.figures import calibration_figure, confusion_figure, curves_figure, words
from sertk.report.systems import Experiment, find_experiments, ordered, read_histories
from sertk.report.tables import counts_table, folds_table, results_table


def build_report(folder: Path, i_know: bool = False) -> Report:
    """The report of an experiment's folder, or of a folder of them.

    i_know: leaks are shown stamped LEAKY instead of refused. Raises SertkError as `find_experiments` does.
    """
    experiments = find_experiments(folder, i_know)
    stamps = ordered(stamp for experiment in experiments for stamp in experiment.stamps)
    sections = [
        _results(experiments),
        Section("data", "The data", [counts_table(experiments, stamps)]),
        Section("confusion", "What is taken for what", [confusion_figure(experiments, "figure-3", stamps)]),
        _calibration(experiments),
        _training(folder, experiments, stamps),
        Section("folds", "Fold by fold", [folds_table(s, e) for e in experiments for s in e.systems]),
    ]
    headlines = [(e.title, e.stamps, _headline(e)) for e in experiments]
    title = "Emotions from speech: " + ", ".join(experiment.short for experiment in experiments)
    return Report(title, stamps, headlines, [section for section in sections if section.items])


def _headline(experiment: Experiment) -> list[tuple[str, str]]:
    mean = experiment.systems[0].results["mean"]
    return [(percent(mean["ua"], 1), "UA %"), (percent(mean["wa"], 1), "WA %")]


def _results(experiments: list[Experiment]) -> Section:
    section = Section("results", "Results, beside those of others")
    for experiment in experiments:
        for system in experiment.systems:
            section.items += [Paragraph(f"{system.name}: {leak}", warning=True) for leak in system.leaks]
            if unchecked := system.results["unchecked"]:
                text = f"{system.name}: {unchecked[0]} does not say what it was trained on: leaks cannot be seen."
                section.items.append(Paragraph(text, warning=True))
        paper = experiment.known and experiment.known.name.startswith("Exp")
        title = f"{'Table 3. ' * bool(paper)}{experiment.title}"
        section.items.append(results_table(experiment, title))
    return section


def _calibration(experiments: list[Experiment]) -> Section:
    figures = [
        calibration_figure(f"calibration-{e.name}", f"Calibration and coverage, {e.short}", e.systems, e.stamps)
        for e in experiments
    ]
    return Section("calibration", "How far the posteriors can be trusted", figures)


def _training(folder: Path, experiments: list[Experiment], stamps: tuple[str, ...]) -> Section:
    found = [
        curves_figure(f"training-{s.name}", f"Training of {e.short}, {words(s)}", s.histories, s.stamps)
        for e in experiments
        for s in e.systems
    ]
    if histories := read_histories(folder / "resnet34"):
        found.append(curves_figure("training-resnet34", "Training of the speaker network", histories, stamps))
    return Section("training", "Training", [figure for figure in found if figure])
