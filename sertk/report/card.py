"""The card of a run: what was run with which settings, seeds and versions on which data."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from sertk.kaldi.manifest import file_sha256
from sertk.report.document import Table
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.scoring.protocol import chain


def card_table(system: System, experiment: Experiment, cards: bool) -> Table:
    """The card of one system, of its first training run where it has several. cards: read those in its models too (this
    loads torch)."""
    home = system.folder if len(system.runs) == 1 else Path(system.scored.source)
    settings = [found or {} for found in system.scored.settings.values()]
    records = [found.get("trained_on") or {} for found in settings]
    scheme = experiment.test.scheme
    rows = [["scores", system.results.get("source", str(system.folder))]]
    if len(system.runs) > 1:
        names = ", ".join(Path(scored.source).name for scored in system.runs)
        rows.append(["training runs", f"{names}; what follows is of {home.name}"])
    rows.append(["folds", _pairs({name: scheme.get(name) for name in ("scheme", "part", "seed", "label_map")})])
    if any(records):
        counts = ", ".join(str(record.get("segments", "?")) for record in records)
        rows.append(["training segments of each fold", counts])
        rows.append(["epoch chosen", ", ".join(sorted({str(record.get("select", "?")) for record in records}))])
    rows += imported(records)
    if any("model" in found for found in settings):
        rows.append(["models (sha256)", ", ".join(str(found.get("model", "?"))[:16] for found in settings)])
    if frontend := next((found["frontend"] for found in settings if found.get("frontend")), None):
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
    """The networks of other toolkits that the models began from, with their licences."""
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
    """The command lines in the heads of a folder's logs, as Kaldi's runners write them; of an array of jobs, the first's."""
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
    path = next((path for path in (folder / "1" / "final.pt", folder / "final.pt") if path.exists()), None)
    if path is None:
        return []
    from sertk.models.modelfile import read_checked

    card = read_checked(path)[0].get("card", {})
    rows = [[name, card[name]] for name in ("command",) if card.get(name)]
    rows += [[name, _pairs(_flat(card[name]))] for name in ("settings", "versions") if card.get(name)]
    return [[f"{name} (fold 1's model)", value] for name, value in rows]


def _pairs(values: Mapping) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in values.items() if value is not None)


def _value(value) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{inside}" for name, inside in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _flat(settings: Mapping, prefix: str = "") -> dict:
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + str(name): value}
    return flat
