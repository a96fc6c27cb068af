"""Writing an ONNX graph by hand: one call a node, which gives back the name of what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class GraphBuilder:
    """Nodes and constants in the making. Names begin with the graph's own, so that graphs can be nested."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def __call__(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """One node with one output, called `name` if that matters."""
        return self.add_node(op, *inputs, outputs=1, names=[name] if name else None, **attributes)[0]

    def add_node(
        self, op: str, *inputs: str, outputs: int = 1, names: Sequence[str] | None = None, **attributes: Any
    ) -> list[str]:
        """One node with several outputs, called `names` if that matters."""
        number = len(self.nodes)
        plain = [f"{self.name}/{op.lower()}_{number}" + f".{i}" * (outputs > 1) for i in range(outputs)]
        names = plain if names is None else list(names)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{self.name}/{op}_{number}", **attributes))
        return names

    def constant(self, value: Any, dtype: Any) -> str:
        """A constant; equal ones are one."""
        array = np.array(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"{self.name}/constant_{len(self._constants)}"
            self.initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def ints(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.constant(values, np.int64)

    def cast(self, name: str, dtype: Any) -> str:
        """The same numbers in another type."""
        return self("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def total(self, *terms: str) -> str:
        """The sum of all terms, from the left."""
        result = terms[0]
        for term in terms[1:]:
            result = self("Add", result, term)
        return result

    def build(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.GraphProto:
        """The graph."""
        return helper.make_graph(self.nodes, self.name, inputs, outputs, self.initializers)


def make_value_info(name: str, dtype: Any, shape: Sequence[Any] | None) -> onnx.ValueInfoProto:
    """An input or output of a graph; dims may be names."""
    kind: int = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, shape)
