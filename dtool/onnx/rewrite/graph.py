"""A graph as the rewritings see it: who makes and who uses a value, its shape, its numbers; nodes are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SMALL = 1 << 10  # numbers of a constant that shapes may follow from
Shape = tuple[int | str, ...]  # a number, or a name for what varies; "" where nothing is known of it
Read = Callable[[onnx.TensorProto], bytes | None]  # the numbers of a tensor that are kept elsewhere, if they can be had


class Graph:
    """The outermost graph of a model, to be changed in place; graphs inside nodes only count as users.

    A replaced node's inputs may then be of no use: `finish` drops what nothing uses.
    """

    def __init__(self, model: onnx.ModelProto, read: Read | None = None) -> None:
        """read: gives the numbers of constants that are kept in other files."""
        self.model, self.proto, self._read = model, model.graph, read
        self.constants = {tensor.name: tensor for tensor in self.proto.initializer}
        self.results = {value.name for value in self.proto.output}
        self.inputs = [value.name for value in self.proto.input if value.name not in self.constants]
        for value in self.proto.input:  # its default is no constant
            self.constants.pop(value.name, None)
        self._taken = {name for node in self.proto.node for name in node.output} | self.constants.keys()
        self._taken |= {value.name for value in self.proto.input}
        self.infer_shapes()
        self._index()

    def _index(self) -> None:
        """Look at all nodes, after any were replaced."""
        self.makers = {name: node for node in self.proto.node for name in node.output if name}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.proto.node:
            for name in list_inputs(node):
                self.users.setdefault(name, []).append(node)
        self._replacements: dict[int, list[onnx.NodeProto]] = {}
        self._other_names: dict[str, str] = {}

    def infer_shapes(self) -> None:
        """Find out anew what shapes follow; what was known of a value before its node was replaced is still true."""
        self._shapes, self._is_fresh = _infer_shapes(self.model), True

    def find(self, kind: str) -> list[onnx.NodeProto]:
        """The standard nodes of this operator."""
        return [node for node in self.proto.node if is_standard(node, kind)]

    def get_maker(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The standard node that makes a value, if it is of one of these operators and was not replaced."""
        node = self.makers.get(name)
        return node if node is not None and is_standard(node, *kinds) and id(node) not in self._replacements else None

    def get_only_maker(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The same, if that value has one user alone and is no result."""
        return self.get_maker(name, *kinds) if self.has_one_user(name) else None

    def get_only_user(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The standard node that alone uses a value, if it is of one of these operators and was not replaced."""
        if not self.has_one_user(name):
            return None
        [node] = self.users[name]
        return node if is_standard(node, *kinds) and id(node) not in self._replacements else None

    def has_one_user(self, name: str) -> bool:
        """Whether one input of one node is all that uses a value."""
        return len(self.users.get(name, ())) == 1 and name not in self.results

    def get_shape(self, name: str) -> Shape | None:
        """A value's shape; None if even its rank is not known."""
        if name not in self._shapes and not self._is_fresh:
            self.infer_shapes()
        return self._shapes.get(name)

    def get_array(self, name: str) -> NDArray[Any] | None:
        """The values of a constant; None of what is none, or is kept in another file and cannot be read."""
        tensor = self.constants.get(name)
        if tensor is None:
            node = self.get_maker(name, "Constant")
            tensor = get_attribute(node, "value", None) if node is not None else None
        if tensor is None:
            return None
        if tensor.data_location != TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
        numbers = self._read(tensor) if self._read is not None and tensor.data_type == TensorProto.FLOAT else None
        return None if numbers is None else np.frombuffer(numbers, "<f4").reshape(tensor.dims)

    def split_constant(self, node: onnx.NodeProto) -> tuple[str, NDArray[Any]] | None:
        """(the other input, the numbers) of a node that takes a value and a constant, in either order."""
        for value, other in (node.input, node.input[::-1]):
            numbers = self.get_array(other)
            if numbers is not None and numbers.dtype == np.float32 and self.get_array(value) is None:
                return value, numbers
        return None

    def add_constant(self, array: NDArray[Any], name: str) -> str:
        """A constant of these numbers; returns its name, which begins with `name`."""
        name = self.make_name(name)
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.proto.initializer.append(tensor)
        self.constants[name] = self.proto.initializer[-1]
        return name

    def make_name(self, name: str) -> str:
        """A name that no value has, from this one."""
        made, count = name, 0
        while made in self._taken:
            count += 1
            made = f"{name}_{count}"
        self._taken.add(made)
        return made

    def make_node(self, kind: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any) -> Any:
        """A node of these outputs, ready for `replace`."""
        outputs = [output] if isinstance(output, str) else list(output)
        return helper.make_node(kind, list(inputs), outputs, name=self.make_name(f"{kind}/{outputs[0]}"), **attributes)

    def replace(self, node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto]) -> None:
        """Put `nodes` in the place of a node, of which they make every output that is used."""
        self._replacements[id(node)] = list(nodes)

    def bypass(self, node: onnx.NodeProto, source: str) -> None:
        """Have what a node makes be `source`, which is equal."""
        [name] = node.output
        if name in self.results or any(name not in user.input for user in self.users.get(name, [])):
            self.replace(node, [self.make_node("Identity", [source], name)])  # graphs inside nodes know it by its name
        else:
            self.replace(node, [])
            self._other_names[name] = source

    def finish(self) -> None:
        """Make the replacements, and drop the nodes and weights that nothing uses."""
        nodes = [new for node in self.proto.node for new in self._replacements.get(id(node), [node])]
        for node in nodes if self._other_names else ():
            node.input[:] = [self._find_source(name) for name in node.input]
        needed, kept = set(self.results), []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                needed.update(list_inputs(node))
                kept.append(node)
        kept = [_copy(node) for node in reversed(kept)]
        del self.proto.node[:]
        self.proto.node.extend(kept)
        for position in reversed(range(len(self.proto.initializer))):
            tensor = self.proto.initializer[position]
            if tensor.name not in needed:
                self.constants.pop(tensor.name, None)
                del self.proto.initializer[position]
        self._is_fresh = False
        self._index()

    def _find_source(self, name: str) -> str:
        while name in self._other_names:
            name = self._other_names[name]
        return name


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def is_standard(node: onnx.NodeProto, *kinds: str) -> bool:
    """Whether a node is ONNX's own operator, of one of these names."""
    return node.op_type in kinds and node.domain in ("", "ai.onnx")


def list_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, the graphs inside it included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            for inner in graph.node:
                yield from list_inputs(inner)
            yield from (value.name for value in graph.output)


def get_attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node."""
    found = next((one for one in node.attribute if one.name == name), None)
    value = default if found is None else helper.get_attribute_value(found)
    return value.decode() if isinstance(value, bytes) else value


def _infer_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """The shapes of all values, as far as they follow; without the larger constants, which none follows from."""
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    bare.graph.name = "bare"
    bare.graph.node.extend(model.graph.node)
    bare.graph.input.extend(model.graph.input)
    bare.graph.output.extend(model.graph.output)
    bare.graph.value_info.extend(model.graph.value_info)
    known = {value.name for value in bare.graph.input}
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) <= SMALL:
            bare.graph.initializer.append(tensor)
        elif tensor.name not in known:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except Exception:  # it has errors of its own; then nothing follows
        inferred = bare
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            shapes[value.name] = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param for d in dims)
    return shapes
