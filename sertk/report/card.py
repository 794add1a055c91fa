"""Run card of a system: commands, settings, seeds, versions and data."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from sertk.kaldi.manifest import file_sha256
from sertk.report.document import Table
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.scoring.trainingrecords import chain


def card_table(system: System, experiment: Experiment, cards: bool) -> Table:
    """Run card of a system, of its first training run if there are several.

    Args:
        system: the system.
        experiment: its experiment.
        cards: True: also read the card in its model (loads torch).
    """
    home = system.folder if len(system.runs) == 1 else Path(system.scored.source)
    manifests = [settings or {} for settings in system.scored.settings.values()]
    records = [settings.get("trained_on") or {} for settings in manifests]
    scheme = experiment.test.scheme
    rows = [["scores", system.results.get("source", str(system.folder))]]
    if len(system.runs) > 1:
        names = ", ".join(Path(scored.source).name for scored in system.runs)
        rows.append(["training runs", f"{names}; below: {home.name}"])
    rows.append(["folds", _pairs({name: scheme.get(name) for name in ("scheme", "part", "seed", "label_map")})])
    if any(records):
        counts = ", ".join(str(record.get("segments", "?")) for record in records)
        rows.append(["training segments of each fold", counts])
        rows.append(["model selection", ", ".join(sorted({str(record.get("select", "?")) for record in records}))])
    rows += imported(records)
    if any("model" in settings for settings in manifests):
        rows.append(["models (sha256)", ", ".join(str(settings.get("model", "?"))[:16] for settings in manifests)])
    if frontend := next((settings["frontend"] for settings in manifests if settings.get("frontend")), None):
        rows.append(["front end", _pairs(_flat(frontend))])
    conf = next((path for path in (home / "train.conf", home / "1" / "train.conf") if path.exists()), None)
    if conf:
        rows.append(["settings (train.conf)", " ".join(conf.read_text(encoding="utf-8").split())])
    rows += commands(home)
    rows += _model_card(home) if cards else []
    for name in ("utt2label", "utt2fold"):
        rows.append([f"{name} (sha256)", file_sha256(experiment.folds / name)])
    rows.append(["results.json (sha256)", file_sha256(system.folder / "results.json")])
    title = f"Card of {experiment.short}, {words(system)}"
    return Table(f"card-{system.name}", title, ["what", "value"], rows, system.stamps, words=2, folded=True)


def imported(records: list[Mapping]) -> list[list[str]]:
    """Rows of the imported networks that the models were initialised from, with their licences."""
    rows = []
    for network in (network for record in records for network in chain(record) if "source" in network):
        licence = network.get("licence") or "not stated"
        value = (
            f"{network['source']}, sha256 {str(network.get('sha256'))[:16]}; licence: {licence}; "
            f"trained on: {network.get('declared') or 'not stated'}"
        )
        rows.append(["imported network", value])
    return [row for number, row in enumerate(rows) if row not in rows[:number]]


def commands(folder: Path) -> list[list[str]]:
    """Command lines from the headers of a folder's logs, as Kaldi's run.pl writes them; the first job of an array."""
    logs = {}
    for path in sorted((folder / "log").glob("*.log")):
        logs.setdefault(re.sub(r"\.\d+$", ".*", path.stem), path)
    rows = []
    for name, path in logs.items():
        with open(path, encoding="utf-8", errors="replace") as file:
            head = [line.rstrip("\n") for line in itertools.islice(file, 5) if line.startswith("# ")]
        lines = [line[2:] for line in head if not line.startswith(("# Running on ", "# Started at "))]
        rows += [[f"command (log/{name}.log)", lines[0]]] if lines else []
    return rows


def _model_card(folder: Path) -> list[list[str]]:
    """Rows from the card in a run's first model."""
    path = next((path for path in (folder / "1" / "final.pt", folder / "final.pt") if path.exists()), None)
    if path is None:
        return []
    from sertk.models.modelfile import read_checked

    card = read_checked(path)[0].get("card", {})
    rows = [[name, card[name]] for name in ("command",) if card.get(name)]
    rows += [[name, _pairs(_flat(card[name]))] for name in ("settings", "versions") if card.get(name)]
    if grid := card.get("grid"):
        rows.append([f"chosen of {len(grid['tried'])} settings, inside the training folds", _pairs(grid["chosen"])])
    return [[f"{name} (fold 1's model)", value] for name, value in rows]


def _pairs(values: Mapping) -> str:
    """`name=value name=value`, without None."""
    return " ".join(f"{name}={_value(value)}" for name, value in values.items() if value is not None)


def _value(value: object) -> str:
    """A setting on one line."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{inside}" for name, inside in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _flat(settings: Mapping, prefix: str = "") -> dict:
    """Nested settings as one level: {"a.b": value}."""
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + str(name): value}
    return flat
