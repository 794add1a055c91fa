"""Weight averaging over several models of one network (Izmailov et al. 2018; as Kaldi and ESPnet do last)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from sertk.errors import SertkError
from sertk.models.calibrated import temperature_of
from sertk.models.modelfile import Model, finite, load_model

# Fields of a record that are merged; other fields are kept if they are the same in all records.
LISTS = ("keys", "speakers")
ORACLE = "oracle"


def average_models(paths: Sequence[Path]) -> Model:
    """Average the weights and BatchNorm statistics of models of one network.

    Args:
        paths: model files; integers (the number of batches that a BatchNorm has seen) come from the last.

    Raises:
        SertkError: networks, labels or front ends differ, weights are NaN or infinite, or only some record what they were
            trained on.
    """
    first = load_finite_model(paths[0])
    sums = {name: tensor.double() for name, tensor in first.network.state_dict().items()}
    digests, records, last = [first.digest], [first.card.get("trained_on", {})], first
    for path in paths[1:]:
        last = load_finite_model(path)
        check_alike(first, last, paths[0], path)
        for name, tensor in last.network.state_dict().items():
            sums[name] += tensor.double()
        digests.append(last.digest)
        records.append(last.card.get("trained_on", {}))
    for path, record in zip(paths, records):
        if bool(record) != bool(records[0]):
            without, other = (paths[0], path) if record else (path, paths[0])
            raise SertkError(
                f"{without} does not record what it was trained on, {other} does: leaks could not be found"
            )
    network = last.network
    network.load_state_dict(
        {name: mean(sums[name], len(paths), tensor) for name, tensor in network.state_dict().items()}
    )
    card = {
        "command": "average-models",
        "settings": {"models": {str(path): digest for path, digest in zip(paths, digests)}},
        "trained_on": union(records),
        "versions": last.card.get("versions", {}),
    }
    return Model(network, first.labels, first.frontend, card)


def mean(total: Tensor, count: int, last: Tensor) -> Tensor:
    """Divide a sum of weights by their count.

    Args:
        total: float64 sum.
        count: models.
        last: of the last model; its type is kept, and if it is an integer, its value.
    """
    return (total / count).to(last.dtype) if last.is_floating_point() else last


def load_finite_model(path: Path) -> Model:
    """Load a model whose weights are all finite and as they were trained.

    Raises:
        SertkError: weights are NaN or infinite, or divided by a temperature.
    """
    model = load_model(path)
    if not finite(model.network):
        raise SertkError(f"{path}: has weights that are NaN or infinite")
    if temperature_of(model) is not None:
        raise SertkError(f"{path}: is calibrated: average models first, then calibrate the average")
    return model


def check_alike(first: Model, other: Model, path: Path, other_path: Path) -> None:
    """Check that two models have the same network, labels and front end.

    Args:
        first: one model.
        other: the other.
        path: of the first, for the message.
        other_path: of the other, for the message.

    Raises:
        SertkError: naming the first difference.
    """
    plain = [
        {**model.network.spec.plain(), "labels": " ".join(model.labels), "front end": model.frontend}
        for model in (first, other)
    ]
    for name in plain[0] | plain[1]:
        values = [fields.get(name, "as usual") for fields in plain]
        if values[0] != values[1]:
            raise SertkError(f"{other_path}: {name} {values[1]}, but {path} has {values[0]}")


def union(records: Iterable[dict]) -> dict:
    """The training record of an average (read by sertk.scoring.trainingrecords): the union of the models' records.

    Example:
        >>> union([{"keys": ["a", "b"], "fold": "1", "select": "last"}, {"keys": ["b", "c"], "fold": "1", "select": "oracle"}])
        {'fold': '1', 'select': 'oracle', 'keys': ['a', 'b', 'c'], 'segments': 3}
    """
    records = [record for record in records if record]
    if not records:
        return {}
    merged = {name: value for name, value in records[0].items() if all(r.get(name) == value for r in records[1:])}
    rules = {record.get("select", "last") for record in records}
    merged["select"] = next((rule for rule in (ORACLE, "dev-session") if rule in rules), "last")
    for name in LISTS:
        parts = list(records)
        if "chosen_on" not in merged:  # a development fold counts as training data; the oracle's is the test fold
            parts += [r["chosen_on"] for r in records if "chosen_on" in r and r.get("select") != ORACLE]
        lists = [part[name] for part in parts if name in part]
        whole = len(lists) == len(parts)
        if lists and (whole or name == "keys" or "keys" not in merged):
            merged[name] = sorted(set().union(*lists))
            if not whole:
                merged["incomplete"] = True
        elif lists:
            merged.pop(name, None)  # segments are listed: an incomplete list of speakers would hide some
    if "keys" in merged:
        merged["segments"] = len(merged["keys"])
        if any(len(record.get("keys", ())) != merged["segments"] for record in records):
            merged.pop("labels", None)  # label counts of one model are not those of the union
    initial = [record[name] or {} for record in records for name in ("trunk", "init") if name in record]
    if initial and not {"trunk", "init"} & merged.keys():
        merged["init"] = union(initial)
        if {} in initial and merged["init"]:
            merged["init"]["incomplete"] = True  # the training data of one of them is unknown
    return merged
