"""PyTorch checkpoints of other toolkits: tensors by name, read without running code.

Such a file is a pickle, which may name any function of Python to be called. Here the functions that rebuild tensors are the
only ones that it can name: every other class or function is an inert stand-in, which takes all arguments and does nothing.

>>> import io
>>> buffer = io.BytesIO()
>>> torch.save({"state_dict": {"module.w": torch.ones(2)}, "epoch": 3}, buffer)
>>> content = read_checkpoint(buffer.getvalue(), "x.pt")
>>> content["epoch"], tensors_of(content, "x.pt")["module.w"]
(3, tensor([1., 1.]))
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sertk.errors import SertkError

# Where checkpoints keep the weights, beside the state of an optimiser and the like.
WRAPPERS = ("state_dict", "model", "model_state_dict", "embedding_model", "net")
# A file of torch.save before 1.6 begins with this number, pickled.
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}  # fmt: skip


def read_checkpoint(data: bytes, name: str) -> Any:
    """The content of a file of torch.save, on the CPU; objects of other classes than tensors, dicts and lists are empty.

    Files of torch before 1.6 are read where they hold nothing else.

    Args:
        data: of the file.
        name: for messages.

    Raises:
        SertkError: not a checkpoint, or damaged.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            return _from_archive(data)
        if data.startswith(_LEGACY):
            return _from_old_file(data)
    except _NoCheckpoint as error:
        raise SertkError(f"{name}: {error}") from None
    except Exception as error:  # what a damaged pickle raises has no bounds
        reason = printable(str(error).strip().split("\n")[0])
        raise SertkError(f"{name}: a damaged checkpoint ({type(error).__name__}: {reason})") from None
    raise SertkError(f"{name}: {_what_else(data)}")


def printable(text: str) -> str:
    r"""Text of a file as it can stand in a message.

    Example:
        >>> printable("layer1.0\n\x1b[2J")
        'layer1.0\\n\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)[:120]


def tensors_of(content: Any, name: str) -> dict[str, Tensor]:
    """The tensors of a state_dict, plain or wrapped (WRAPPERS).

    Raises:
        SertkError: there are none.
    """
    while isinstance(content, Mapping):
        tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
        inside = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inside is None or len(tensors) > 1:
            if tensors:
                return tensors
            break
        content = inside
    raise SertkError(f"{name}: no tensors by name in it: torch.save(model.state_dict(), FILE) writes them")


class _NoCheckpoint(Exception):
    """What a file is instead."""


def _from_old_file(data: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise _NoCheckpoint(
            "a file of torch before 1.6 with more than tensors in it, or damaged: load it there, and torch.save its state_dict"
        ) from None


def _from_archive(data: bytes) -> Any:
    """The content of a zip archive of torch.save: a pickle, and a file for each storage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        inside = [member.filename for member in members]
        if any(member.endswith("constants.pkl") for member in inside):
            raise _NoCheckpoint("a TorchScript program and not weights: give the checkpoint that it was made from")
        pickled = next((member for member in inside if member.rpartition("/")[2] == "data.pkl"), None)
        if pickled is None:
            raise _NoCheckpoint("a zip archive, and not a PyTorch checkpoint")
        if sum(member.file_size for member in members) > len(data):
            raise _NoCheckpoint("a compressed archive, which torch.save does not write")
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in inside and archive.read(f"{folder}byteorder") != b"little":
            raise _NoCheckpoint("written by a big-endian machine")
        content = archive.read(pickled)
        # The unpickler's table of references is as long as the largest number in it.
        if any(
            "PUT" in code.name and arg is not None and arg > len(content)
            for code, arg, _ in pickletools.genops(content)
        ):
            raise ValueError("a reference out of range")
        return _Unpickler(io.BytesIO(content), lambda key: archive.read(f"{folder}data/{key}")).load()


def _what_else(data: bytes) -> str:
    if data[257:262] == b"ustar" or data[:2] == b"\x1f\x8b":
        return (
            "a tar archive, as NeMo's (TitaNet): its networks are not imported. Compute the embeddings there and bring"
            " them as an ark: transfer-head takes any vectors"
        )
    if data[8:9] == b"{" and b"data_offsets" in data[:4096]:
        return "a safetensors file, expected a PyTorch checkpoint (torch.save)"
    if (data[:1] == b"\x08" and b"onnx" in data[:4096].lower()) or b"pytorch" in data[:64]:
        return "an ONNX graph: give the PyTorch checkpoint that it was exported from"
    return f"not a PyTorch checkpoint, or cut short ({len(data)} bytes)"


class _Unpickler(pickle.Unpickler):
    """Builds tensors, and nothing else that a pickle names.

    What it can name is made anew for each file: whatever the pickle sets on these objects is gone with them.

    Args:
        file: the pickle.
        read: function from a storage's key to its bytes.
    """

    def __init__(self, file: io.BytesIO, read: Callable[[str], bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self._read, self._storages = read, {}

        class Ordered(dict):
            """An OrderedDict, which may be given attributes."""

        def rebuild_tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
            last = offset + sum((count - 1) * step for count, step in zip(size, stride))
            if len(size) != len(stride) or min((offset, *size, *stride)) < 0 or math.prod(size) > len(storage):
                raise ValueError(f"a tensor of shape {size} in {len(storage)} numbers")
            if math.prod(size) and last >= len(storage):
                raise ValueError(f"a tensor that ends at {last} of {len(storage)} numbers")
            return storage.as_strided(size, stride, offset).clone()

        def rebuild_parameter(data: Any, *_: Any) -> Any:
            return data

        def rebuild_subclass(function: Any, kind: Any, args: tuple, state: Any) -> Any:
            return function(*args)

        self._known = {
            ("collections", "OrderedDict"): Ordered,
            ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
            ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
            ("torch._tensor", "_rebuild_from_type_v2"): rebuild_subclass,
        }

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in, but for what tensors are rebuilt with."""
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        return self._known.get((module, name)) or _standin()

    def persistent_load(self, reference: Any) -> Tensor:
        """The storage that the pickle refers to, as a flat tensor."""
        kind, dtype, key, _, count = reference
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise ValueError(f"a reference to {kind!r}")
        if (key, dtype) not in self._storages:
            content = bytearray(self._read(key))
            empty = torch.empty(0, dtype=dtype)
            self._storages[key, dtype] = torch.frombuffer(content, dtype=dtype) if content else empty
        storage = self._storages[key, dtype]
        if count > len(storage):
            raise ValueError(f"storage {key} has {len(storage)} numbers of {count}")
        return storage


def _standin() -> type:
    """A class in place of any class or function: takes every call that a pickle can make, and does nothing.

    It keeps what is set in it as in a dict, for the sake of subclasses of dict (Lightning's hyper-parameters).
    """

    class Standin(dict):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return dict.__new__(cls)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            pass

        def __hash__(self) -> int:
            return id(self)

        def __eq__(self, other: object) -> bool:
            return self is other

        def __setstate__(self, state: Any) -> None:
            pass

        def append(self, item: Any) -> None:
            pass

        extend = add = append

    return Standin
