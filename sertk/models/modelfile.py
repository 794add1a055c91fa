"""Model files: a network with labels, front end and card, in plain types and tensors.

A file is what torch.save makes of {format, network, labels, frontend, card, weights, digest}; it is read with
weights_only=True, so reading runs no code. The digest (sha256 of the rest) is checked at every reading:
torch's own format reads flipped bits as other weights.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sertk.atomic import atomic_file
from sertk.errors import SertkError
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead

FORMAT = "sertk-model-1"
# A head on vectors, without a trunk.
HEAD_FORMAT = "sertk-head-1"
_FOREIGN = " (import-resnet reads checkpoints of wespeaker, pyannote and 3D-Speaker)"

# Front-end settings in which a model's features may differ from others: see check_frontend.
_NOT_COMPARED = ("channel", "enrolled")


@dataclass
class Model:
    """A network with its labels, front end and card.

    Args:
        network: in evaluation mode, on the CPU, when it comes from a file. A head on vectors, which has no trunk, is read
            only where load_model is asked for one.
        labels: names of the outputs, in their order.
        frontend: settings of the features (or vectors) that it was trained on, from their manifest; {} if unknown.
        card: how it was made: command, seed, data, versions. Plain types.
        digest: of the file that it was read from, else "".
    """

    network: ResNet | VectorHead
    labels: list[str]
    frontend: dict = field(default_factory=dict)
    card: dict = field(default_factory=dict)
    digest: str = ""


def finite(module: torch.nn.Module) -> bool:
    """True if every weight and BatchNorm statistic is finite."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in module.state_dict().values()]).all())


def save_model(path: Path, model: Model) -> None:
    """Write a model file atomically."""
    content = {
        "format": HEAD_FORMAT if isinstance(model.network, VectorHead) else FORMAT,
        "network": model.network.spec.plain(),
        "labels": list(model.labels),
        "frontend": model.frontend,
        "card": model.card,
        "weights": {name: tensor.detach().cpu().contiguous() for name, tensor in model.network.state_dict().items()},
    }
    write_checked(path, content)


def load_model(path: Path, heads: bool = False) -> Model:
    """Read a model file.

    Args:
        path: the file.
        heads: True: it may be a head on vectors, which has no trunk.

    Raises:
        SertkError: not a model file, damaged, its weights do not fit its network, or a head on vectors.
    """
    content, digest = read_checked(path)
    kind = content.get("format")
    if kind not in (FORMAT, HEAD_FORMAT):
        raise SertkError(f"{path}: not a model file of this version (expected format {FORMAT!r}, found {kind!r})")
    if kind == HEAD_FORMAT and not heads:
        raise SertkError(
            f"{path}: a head on vectors, without a trunk (transfer-head none): predict-emotion takes it, with a table of"
            " such vectors"
        )
    if kind == HEAD_FORMAT:
        network = VectorHead(HeadSpec.from_plain(content["network"]))
    else:
        network = ResNet(NetworkSpec.from_plain(content["network"]))
    load_weights(network, content["weights"], path)
    return Model(network.eval(), content["labels"], content["frontend"], content["card"], digest)


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Copy weights into `module`; names and shapes must match exactly.

    Raises:
        SertkError: naming the first weight that is missing, left over or of another shape.
    """
    wanted, present = ({name: tensor.shape for name, tensor in of.items()} for of in (module.state_dict(), weights))
    for name in sorted(wanted.keys() | present.keys()):
        if wanted.get(name) != present.get(name):
            shapes = [tuple(shapes[name]) if name in shapes else "none" for shapes in (wanted, present)]
            raise SertkError(f"{path}: weights do not fit: {name}: expected {shapes[0]}, found {shapes[1]}")
    module.load_state_dict(weights)


def write_checked(path: Path, content: dict) -> None:
    """Write plain types and tensors with their digest, atomically."""
    buffer = io.BytesIO()
    torch.save({**content, "digest": digest_of(content)}, buffer)
    with atomic_file(path, "wb") as file:
        file.write(buffer.getbuffer())


def read_checked(path: Path) -> tuple[dict, str]:
    """Content and digest of a file of write_checked.

    Raises:
        SertkError: not a torch archive of plain types, or its digest does not match.
    """
    data = Path(path).read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise SertkError(f"{path}: not a model file, or cut short ({len(data)} bytes)")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        digest = content.pop("digest", None) if isinstance(content, dict) else None
        damaged = digest is not None and digest != digest_of(content)
    except Exception as error:  # torch.load raises whatever its unpickler stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SertkError(f"{path}: cannot be read as a model file: {reason[:200]}{_FOREIGN}") from None
    if digest is None:
        raise SertkError(f"{path}: not a model file of sertk{_FOREIGN}")
    if damaged:
        raise SertkError(f"{path}: damaged: its content is not what was written (sha256 differs)")
    return content, digest


def digest_of(content: Any) -> str:
    """sha256 of plain types and tensors, whatever their storage; dictionaries in the order of their keys."""
    hasher = hashlib.sha256()
    _feed(content, hasher)
    return hasher.hexdigest()


def _feed(value: Any, hasher: Any) -> None:
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        hasher.update(f"{value.dtype}{tuple(value.shape)}".encode())
        hasher.update(value.reshape(-1).view(torch.uint8).numpy() if value.numel() else b"")
    elif isinstance(value, dict):
        hasher.update(f"dict{len(value)}".encode())
        for key in sorted(value, key=lambda key: (type(key).__name__, key)):
            _feed(key, hasher)
            _feed(value[key], hasher)
    elif isinstance(value, list | tuple):
        hasher.update(f"list{len(value)}".encode())
        for item in value:
            _feed(item, hasher)
    else:
        hasher.update(f"{type(value).__name__}{json.dumps(value)};".encode())


def check_frontend(model: Model, settings: dict, model_path: Path | None, where: str) -> None:
    """Check that features were made with the model's front-end settings; unknown settings pass.

    The channel is no such setting: which one of several to take is decided where the recordings are. Nor is the list of those
    that a group's statistics are taken from (cmvn-segment --enrol).

    Args:
        model: the model.
        settings: of the features, from their manifest.
        model_path: for the message.
        where: the features, for the message.

    Raises:
        SertkError: names the first setting that differs.
    """
    flat = [
        _flat({name: value for name, value in of.items() if name not in _NOT_COMPARED})
        for of in (model.frontend, settings)
    ]
    if not all(flat):  # settings are unknown on one side: a pipe has no manifest
        return
    for name in sorted(flat[0].keys() | flat[1].keys()):
        if flat[0].get(name) != flat[1].get(name):
            raise SertkError(
                f"{where}: features with {name}={flat[1].get(name)}, but {model_path} was trained on {name}={flat[0].get(name)}"
                f"{_remedy(model_path)}"
            )


def frontend_conf(model_path: Path) -> Path:
    """Where import-resnet writes the settings with which make-fbank gives a model's features."""
    return Path(model_path).with_suffix(".fbank.conf")


def _remedy(model_path: Path | None) -> str:
    conf = model_path and frontend_conf(model_path)
    return f" (make-fbank --config {conf})" if conf and conf.is_file() else ""


def check_outputs(model: Model, path: Path) -> None:
    """Raise SertkError for a model that has no outputs: an imported network ends with its embedding."""
    if not model.labels:
        raise SertkError(
            f"{path}: an imported network without outputs: train some with transfer-head or train-resnet --init"
        )


def _flat(settings: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
