"""An ONNX graph that is built node by node, without tracing."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Value = str | int | float | list[int] | np.ndarray | np.generic


class Graph:
    """Nodes and constants; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple, str] = {}

    def add(self, operator: str, *inputs: Value, name: str = "", **attributes: int | float | list[int]) -> str:
        """Add a node; inputs are names, or numbers and arrays, which become constants (integers: int64).

        Returns:
            the name of its output.
        """
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        number = len(self.nodes)
        name = name or f"{operator.lower()}_{number}"
        self.nodes.append(helper.make_node(operator, names, [name], name=f"node_{number}", **attributes))
        return name

    def constant(self, value: Value) -> str:
        """The name of a constant; equal ones are stored once."""
        array = np.ascontiguousarray(value)
        array = array.reshape(np.shape(value))  # a scalar stays one
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def size(self, value: str, axis: int) -> str:
        """The size of an axis, (1,) int64."""
        return self.add("Shape", value, start=axis, end=axis + 1)

    def range(self, stop: str) -> str:
        """0, 1, … below `stop`, a scalar or (1,)."""
        return self.add("Range", 0, self.add("Squeeze", stop), 1)

    def floats(self, value: str) -> str:
        """Integers or truth values as float32."""
        return self.add("Cast", value, to=TensorProto.FLOAT)

    def below(self, lengths: str, size: str) -> str:
        """True where a position belongs to its recording. Shape: (batch,), (1,) -> (batch, size), boolean."""
        return self.add("Less", self.range(size), self.add("Unsqueeze", lengths, [1]))
