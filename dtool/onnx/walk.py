"""A walk through the protobuf of an ONNX model: graphs inside graphs, functions, tensors wherever they are.

Reads the few fields that matter, so that nothing but ONNX Runtime is needed to sample. Field numbers are those of
onnx.proto (IR 13). The walk keeps its own list of what is left: no file is too deep for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dtool.onnx.external_tensor import ExternalTensor, parse_external
from dtool.onnx.protobuf import decode_text, read_fields, read_messages

FunctionId = tuple[str, str, str]  # domain, name, overload
STANDARD = {"", "ai.onnx", "com.microsoft"}
FLOATS: dict[object, str] = {1: "<f4", 10: "<f2", 11: "<f8"}  # by onnx's number of the type
_BOOL = 9


@dataclass(frozen=True)
class ValueInfo:
    """An input or output. `kind`: onnx's number of its element type, 0 for what is no tensor.

    `dims`: a number, or a name where it may be any; None if the file does not say how many there are.
    """

    name: str
    kind: int
    dims: tuple[int | str, ...] | None


@dataclass(kw_only=True)
class OnnxFile:
    """What was found in a file."""

    metadata: dict[str, str] = field(default_factory=dict)
    inputs: list[ValueInfo] = field(default_factory=list)  # those without a default
    optional: list[ValueInfo] = field(default_factory=list)  # those with one
    outputs: list[ValueInfo] = field(default_factory=list)
    defaults: set[str] = field(default_factory=set)  # the outermost graph's weights, which inputs may replace
    calls: dict[FunctionId | None, Counter[FunctionId]] = field(default_factory=dict)  # by the function they are in
    training: list[str] = field(default_factory=list)  # operators that learn from the batch while they run
    dropouts: list[str] = field(default_factory=list)  # what tells each whether it drops
    false: set[str] = field(default_factory=set)  # constants that are False
    external: list[ExternalTensor] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    depth: int = 0  # of graphs inside graphs

    @property
    def operators(self) -> set[tuple[str, str]]:
        """(domain, name) of every operator that the file does not define itself; nobody defines a standard one."""
        calls = {call for inside in self.calls.values() for call in inside}
        return {call[:2] for call in calls if call not in self.calls or call[0] in STANDARD}

    @property
    def loops(self) -> bool:
        """Whether it may run without end."""
        return any(name in ("Loop", "Scan") for _, name in self.operators)


def walk(data: memoryview, file: OnnxFile) -> bool:
    """Note what the model in `data` holds; False if it has no graph. Raises ValueError or IndexError if cut off."""
    file.calls[None] = Counter()
    whole = False
    for number, value in read_fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == 7:
            whole = True
            _walk_graphs(value, file, None)
        elif number == 14:
            pair = dict(read_fields(value))
            file.metadata[decode_text(pair.get(1))] = decode_text(pair.get(2))
        elif number == 25:
            _walk_function(value, file)
    file.optional = [value for value in file.inputs if value.name in file.defaults]
    file.inputs = [value for value in file.inputs if value.name not in file.defaults]
    return whole


def _parse_value(data: memoryview) -> ValueInfo:
    parts = dict(read_fields(data))
    declared = parts.get(2)
    tensor = next(read_messages(declared, 1), None) if isinstance(declared, memoryview) else None
    if tensor is None:
        return ValueInfo(decode_text(parts.get(1)), 0, None)
    kind, shape = (dict(read_fields(tensor)).get(number) for number in (1, 2))
    dims = tuple(map(_parse_dim, read_messages(shape, 1))) if isinstance(shape, memoryview) else None
    return ValueInfo(decode_text(parts.get(1)), kind if isinstance(kind, int) else 0, dims)


def _parse_dim(data: memoryview) -> int | str:
    parts = dict(read_fields(data))
    size = parts.get(1)
    return size if isinstance(size, int) and 0 < size < 1 << 63 else decode_text(parts.get(2)) or "?"


def _walk_function(data: memoryview, file: OnnxFile) -> None:
    parts = dict(read_fields(data))
    name = (decode_text(parts.get(10)), decode_text(parts.get(1)), decode_text(parts.get(13)))
    file.calls.setdefault(name, Counter())
    for node in read_messages(data, 7):
        for graph in _walk_node(node, file, name):
            _walk_graphs(graph, file, name, depth=1)
    for attribute in read_messages(data, 11):
        for graph in _walk_attribute(attribute, file):
            _walk_graphs(graph, file, name, depth=1)


def _walk_graphs(data: memoryview, file: OnnxFile, inside: FunctionId | None, depth: int = 0) -> None:
    """A graph, and all inside it; what it calls counts for the function that it is in."""
    left = [(data, depth)]
    outermost = data if inside is None else None
    while left:
        graph, depth = left.pop()
        file.depth = max(file.depth, depth)
        for number, value in read_fields(graph):
            if not isinstance(value, memoryview):
                continue
            if number == 1:
                left += [(inner, depth + 1) for inner in _walk_node(value, file, inside)]
            elif number == 5:
                name = _walk_tensor(value, file, is_initializer=inside is None)
                if graph is outermost:
                    file.defaults.add(name)
            elif number == 15:
                _walk_sparse(value, file)
            elif number in (11, 12) and graph is outermost:
                (file.inputs if number == 11 else file.outputs).append(_parse_value(value))


def _walk_node(data: memoryview, file: OnnxFile, inside: FunctionId | None) -> list[memoryview]:
    """Note a node; returns the graphs in its attributes."""
    inputs: list[str] = []
    texts = {4: "", 7: "", 8: ""}
    graphs: list[memoryview] = []
    attributes: list[memoryview] = []
    for number, value in read_fields(data):
        if number in texts:
            texts[number] = decode_text(value)
        elif number == 5 and isinstance(value, memoryview):
            attributes.append(value)
            graphs += _walk_attribute(value, file)
        elif number == 1:
            inputs.append(decode_text(value))
    name, domain, overload = texts.values()
    file.calls[inside][domain, name, overload] += 1
    if name == "Constant":
        tensors = [dict(read_fields(tensor)) for attribute in attributes for tensor in read_messages(attribute, 5)]
        if any(map(_is_false, tensors)):
            file.false.update(decode_text(output) for output in read_messages(data, 2))
    elif name == "BatchNormalization":
        outputs = sum(bool(decode_text(output)) for output in read_messages(data, 2))
        if outputs > 1 or any(map(_is_training, attributes)):
            file.training.append(name)
    elif name == "Dropout" and len(inputs) > 2 and inputs[2]:
        file.dropouts.append(inputs[2])
    return graphs


def _walk_attribute(data: memoryview, file: OnnxFile) -> Iterator[memoryview]:
    """Note the tensors of an attribute; gives its graphs."""
    for number, value in read_fields(data):
        if not isinstance(value, memoryview):
            continue
        if number in (6, 11):
            yield value
        elif number in (5, 10):
            _walk_tensor(value, file)
        elif number in (22, 23):
            _walk_sparse(value, file)


def _is_training(attribute: memoryview) -> bool:
    """Whether an attribute is a `training_mode` that is on, or that a function's caller may turn on."""
    parts = dict(read_fields(attribute))
    return decode_text(parts.get(1)) == "training_mode" and (parts.get(3, 0) != 0 or 21 in parts)


def _walk_sparse(data: memoryview, file: OnnxFile) -> None:
    for number in (1, 2):
        for tensor in read_messages(data, number):
            _walk_tensor(tensor, file)


def _walk_tensor(data: memoryview, file: OnnxFile, *, is_initializer: bool = False) -> str:
    """Note a tensor; returns its name."""
    parts = dict(read_fields(data))
    name = decode_text(parts.get(8))
    if parts.get(14) == 1 or 13 in parts:
        file.external.append(parse_external(data, parts, is_initializer))
    if _is_false(parts):
        file.false.add(name)
    kind = FLOATS.get(parts.get(2))
    for number in (4, 9, 10) if kind else ():
        raw = parts.get(number)
        if raw and isinstance(raw, memoryview) and not any(is_usable(np.frombuffer(raw, kind))):
            file.not_finite.append(name)
    return name


def is_usable(values: NDArray[np.floating]) -> tuple[bool, bool]:
    """Whether all are finite, and whether they are a mask for attention: 0 and -infinity."""
    mask = bool(np.isin(values[:1], (0, -np.inf)).all()) and bool(((values == 0) | (values == -np.inf)).all())
    return bool(np.isfinite(values).all()), mask


def _is_false(tensor: dict[int, int | memoryview]) -> bool:
    """Whether a tensor, given by its fields, is a bool, or several, and none is true."""
    if tensor.get(2) != _BOOL:
        return False
    payloads = [tensor[number] for number in (5, 9) if number in tensor]
    return bool(payloads) and not any(v.tobytes().strip(b"\0") if isinstance(v, memoryview) else v for v in payloads)
