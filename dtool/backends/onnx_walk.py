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

from dtool.backends.protobuf import fields, messages, text

Function = tuple[str, str, str]  # domain, name, overload
STANDARD = {"", "ai.onnx", "com.microsoft"}
_FLOATS: dict[object, str] = {1: "<f4", 10: "<f2", 11: "<f8"}  # by onnx's number of the type
_BOOL = 9


@dataclass(frozen=True)
class Value:
    """An input or output. `kind`: onnx's number of its element type, 0 for what is no tensor.

    `dims`: a number, or a name where it may be any; None if the file does not say how many there are.
    """

    name: str
    kind: int
    dims: tuple[int | str, ...] | None


@dataclass
class OnnxFile:
    """What was found in a file."""

    metadata: dict[str, str] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)  # those without a default
    optional: list[Value] = field(default_factory=list)  # those with one
    outputs: list[Value] = field(default_factory=list)
    defaults: set[str] = field(default_factory=set)  # the outermost graph's weights, which inputs may replace
    calls: dict[Function | None, Counter[Function]] = field(default_factory=dict)  # by the function they are in
    training: list[str] = field(default_factory=list)  # operators that learn from the batch while they run
    dropouts: list[str] = field(default_factory=list)  # what tells each whether it drops
    false: set[str] = field(default_factory=set)  # constants that are False
    external: list[str] = field(default_factory=list)
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


def walk(data: memoryview, found: OnnxFile) -> bool:
    """Note what the model in `data` holds; False if it has no graph. Raises ValueError or IndexError if cut off."""
    found.calls[None] = Counter()
    whole = False
    for number, value in fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == 7:
            whole = True
            _graphs(value, found, None)
        elif number == 14:
            pair = dict(fields(value))
            found.metadata[text(pair.get(1))] = text(pair.get(2))
        elif number == 25:
            _function(value, found)
    found.optional = [value for value in found.inputs if value.name in found.defaults]
    found.inputs = [value for value in found.inputs if value.name not in found.defaults]
    return whole


def _value(data: memoryview) -> Value:
    parts = dict(fields(data))
    declared = parts.get(2)
    tensor = next(messages(declared, 1), None) if isinstance(declared, memoryview) else None
    if tensor is None:
        return Value(text(parts.get(1)), 0, None)
    kind, shape = (dict(fields(tensor)).get(number) for number in (1, 2))
    dims = tuple(map(_dim, messages(shape, 1))) if isinstance(shape, memoryview) else None
    return Value(text(parts.get(1)), kind if isinstance(kind, int) else 0, dims)


def _dim(data: memoryview) -> int | str:
    parts = dict(fields(data))
    size = parts.get(1)
    return size if isinstance(size, int) and 0 < size < 1 << 63 else text(parts.get(2)) or "?"


def _function(data: memoryview, found: OnnxFile) -> None:
    parts = dict(fields(data))
    name = (text(parts.get(10)), text(parts.get(1)), text(parts.get(13)))
    found.calls.setdefault(name, Counter())
    for node in messages(data, 7):
        for graph in _node(node, found, name):
            _graphs(graph, found, name, depth=1)
    for attribute in messages(data, 11):
        for graph in _attribute(attribute, found):
            _graphs(graph, found, name, depth=1)


def _graphs(data: memoryview, found: OnnxFile, inside: Function | None, depth: int = 0) -> None:
    """A graph, and all inside it; what it calls counts for the function that it is in."""
    left = [(data, depth)]
    outermost = data if inside is None else None
    while left:
        graph, depth = left.pop()
        found.depth = max(found.depth, depth)
        for number, value in fields(graph):
            if not isinstance(value, memoryview):
                continue
            if number == 1:
                left += [(inner, depth + 1) for inner in _node(value, found, inside)]
            elif number == 5:
                name = _tensor(value, found)
                if graph is outermost:
                    found.defaults.add(name)
            elif number == 15:
                _sparse(value, found)
            elif number in (11, 12) and graph is outermost:
                (found.inputs if number == 11 else found.outputs).append(_value(value))


def _node(data: memoryview, found: OnnxFile, inside: Function | None) -> list[memoryview]:
    """Note a node; returns the graphs in its attributes."""
    inputs: list[str] = []
    named = {4: "", 7: "", 8: ""}
    graphs: list[memoryview] = []
    attributes: list[memoryview] = []
    for number, value in fields(data):
        if number in named:
            named[number] = text(value)
        elif number == 5 and isinstance(value, memoryview):
            attributes.append(value)
            graphs += _attribute(value, found)
        elif number == 1:
            inputs.append(text(value))
    name, domain, overload = named.values()
    found.calls[inside][domain, name, overload] += 1
    if name == "Constant":
        tensors = [dict(fields(tensor)) for attribute in attributes for tensor in messages(attribute, 5)]
        if any(map(_is_false, tensors)):
            found.false.update(text(output) for output in messages(data, 2))
    elif name == "BatchNormalization":
        outputs = sum(bool(text(output)) for output in messages(data, 2))
        if outputs > 1 or any(map(_is_training, attributes)):
            found.training.append(name)
    elif name == "Dropout" and len(inputs) > 2 and inputs[2]:
        found.dropouts.append(inputs[2])
    return graphs


def _attribute(data: memoryview, found: OnnxFile) -> Iterator[memoryview]:
    """Note the tensors of an attribute; gives its graphs."""
    for number, value in fields(data):
        if not isinstance(value, memoryview):
            continue
        if number in (6, 11):
            yield value
        elif number in (5, 10):
            _tensor(value, found)
        elif number in (22, 23):
            _sparse(value, found)


def _is_training(attribute: memoryview) -> bool:
    """Whether an attribute is a `training_mode` that is on, or that a function's caller may turn on."""
    parts = dict(fields(attribute))
    return text(parts.get(1)) == "training_mode" and (parts.get(3, 0) != 0 or 21 in parts)


def _sparse(data: memoryview, found: OnnxFile) -> None:
    for number in (1, 2):
        for tensor in messages(data, number):
            _tensor(tensor, found)


def _tensor(data: memoryview, found: OnnxFile) -> str:
    """Note a tensor; returns its name."""
    parts = dict(fields(data))
    name = text(parts.get(8))
    if parts.get(14) == 1 or 13 in parts:
        found.external.append(name)
    if _is_false(parts):
        found.false.add(name)
    kind = _FLOATS.get(parts.get(2))
    for number in (4, 9, 10) if kind else ():
        raw = parts.get(number)
        if raw and isinstance(raw, memoryview) and not _usable(np.frombuffer(raw, kind)):
            found.not_finite.append(name)
    return name


def _usable(values: NDArray[np.floating]) -> bool:
    """Whether all are finite, or they are a mask for attention: 0 and -infinity."""
    return bool(np.isfinite(values).all()) or bool(((values == 0) | (values == -np.inf)).all())


def _is_false(tensor: dict[int, int | memoryview]) -> bool:
    """Whether a tensor, given by its fields, is a bool, or several, and none is true."""
    if tensor.get(2) != _BOOL:
        return False
    held = [tensor[number] for number in (5, 9) if number in tensor]
    return bool(held) and not any(v.tobytes().strip(b"\0") if isinstance(v, memoryview) else v for v in held)
