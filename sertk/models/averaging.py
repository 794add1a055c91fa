"""Weight averaging: one model out of several (Izmailov et al. 2018; the last step of Kaldi and ESPnet)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from sertk.errors import SertkError
from sertk.models.modelfile import Model, finite, load_model

# What a record lists; of the rest only what all say stays.
LISTS = ("keys", "speakers")
ORACLE = "oracle"


def average_models(paths: Sequence[Path]) -> Model:
    """Average the weights and BatchNorm statistics of models of one network; integers come from the last.

    Raises:
        SertkError: networks, labels or front ends differ, weights are NaN or infinite, or only some record what they were
            trained on.
    """
    first = load_finite(paths[0])
    sums = {name: tensor.double() for name, tensor in first.network.state_dict().items()}
    digests, records, last = [first.digest], [first.card.get("trained_on", {})], first
    for path in paths[1:]:
        last = load_finite(path)
        check_alike(first, last, paths[0], path)
        for name, tensor in last.network.state_dict().items():
            sums[name] += tensor.double()
        digests.append(last.digest)
        records.append(last.card.get("trained_on", {}))
    for path, record in zip(paths, records):
        if bool(record) != bool(records[0]):
            silent, other = (paths[0], path) if record else (path, paths[0])
            raise SertkError(f"{silent} does not record what it was trained on, {other} does: leaks could not be found")
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
    """Mean weights, total / count, in the type of `last`; integers are those of `last`."""
    return (total / count).to(last.dtype) if last.is_floating_point() else last


def load_finite(path: Path) -> Model:
    """Read a model; SertkError if weights are NaN or infinite."""
    model = load_model(path)
    if not finite(model.network):
        raise SertkError(f"{path}: has weights that are NaN or infinite")
    return model


def check_alike(first: Model, other: Model, path: Path, other_path: Path) -> None:
    """Check that two models have one network, labels and front end.

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
    """The training record of an average (read by sertk.scoring.protocol): the union of the models' records.

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
        if "chosen_on" not in merged:  # those that chose count as seen, but for the oracle's
            parts += [r["chosen_on"] for r in records if "chosen_on" in r and r.get("select") != ORACLE]
        lists = [part[name] for part in parts if name in part]
        whole = len(lists) == len(parts)
        if lists and (whole or name == "keys" or "keys" not in merged):
            merged[name] = sorted(set().union(*lists))
            if not whole:
                merged["incomplete"] = True
        elif lists:
            merged.pop(name, None)  # the segments say all, and a part of their speakers would say less
    if "keys" in merged:
        merged["segments"] = len(merged["keys"])
        if any(len(record.get("keys", ())) != merged["segments"] for record in records):
            merged.pop("labels", None)  # these counted other segments
    begun = [record[name] or {} for record in records for name in ("trunk", "init") if name in record]
    if begun and not {"trunk", "init"} & merged.keys():
        merged["init"] = union(begun)
        if {} in begun and merged["init"]:
            merged["init"]["incomplete"] = True  # one of them could have been trained on anything
    return merged
