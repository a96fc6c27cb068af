"""A network in half precision: fp16 weights and arithmetic, float32 at its inputs and outputs, and where fp16 fails.

ONNX Runtime's own converter (`onnxruntime.transformers.float16`) is not used: it casts t itself to fp16, and every
value between two nodes that it was told to leave alone, so that cos(t) is taken of an angle with three digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.inliner import inline_local_functions

from dtool.errors import DtoolError

FLOAT, FLOAT16 = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)
SUFFIX = {FLOAT: "float", FLOAT16: "half"}
LARGEST = float(np.finfo(np.float16).max)
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul"})
WAVES = frozenset({"Sin", "Cos", "Tan"})
# Sums of squares overflow above 256, an eps of 1e-8 is zero; the rest make float32 whatever they are given.
DELICATE = WAVES | {
    "Cast", "CastLike", "Constant", "ConstantOfShape", "CumSum", "DequantizeLinear", "EyeLike", "Exp", "Log", "Pow",
    "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean",
    "ReduceProd", "ReduceSum", "ReduceSumSquare", "Sqrt",
}  # fmt: skip
BETWEEN = frozenset({"Abs", "Add", "Div", "Max", "Min", "Mul", "Neg", "Sub", "Sum", "Reshape", "Squeeze", "Unsqueeze"})
FLOAT_INPUTS = {("Resize", 1), ("Resize", 2)}  # scales are float32 whatever is resized; where to cut (roi) may be
TIME = 1  # the network's inputs are x, t[, label]


def convert_to_half(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto`, a network `F(x, t[, label])` on float32, with weights and arithmetic in fp16; it is not changed itself.

    Inputs, outputs, names and metadata stay. Still float32: what comes of t alone until it meets a product of matrices,
    sines and cosines wherever they are (t reaches 1000, where fp16 counts in halves), powers, roots, sums, and nodes
    that hold graphs of their own. Raises DtoolError for weights that fp16 does not hold, or a graph without types.
    """
    half = onnx.ModelProto()
    half.CopyFrom(inline_local_functions(proto))
    graph = half.graph
    _hoist_constants(graph)
    floats = _find_floats(half)
    _HalfPrecisionWriter(graph, floats).write(_choose_float32_nodes(graph, floats))
    del graph.value_info[:]
    onnx.checker.check_model(half, full_check=True)
    return half


def _hoist_constants(graph: onnx.GraphProto) -> None:
    """Constant nodes become initializers."""
    nodes = []
    for node in graph.node:
        tensor = node.attribute[0].t if node.op_type == "Constant" and node.attribute[0].name == "value" else None
        if tensor is None:
            nodes.append(node)
        else:
            graph.initializer.add().CopyFrom(tensor)
            graph.initializer[-1].name = node.output[0]
    del graph.node[:]
    graph.node.extend(nodes)


def _find_floats(proto: onnx.ModelProto) -> set[str]:
    """The names of all float32 values of the outer graph, weights included."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise DtoolError(f"the types of the graph's values cannot be told ({reason})", "export it again") from error
    values = (*graph.input, *graph.output, *graph.value_info)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    unknown = next((name for node in graph.node for name in node.output if name and not kinds.get(name)), None)
    if unknown is not None:
        raise DtoolError(
            f"the type of {unknown!r} is not known: an operator outside of ONNX's own makes it",
            "export the network with standard operators only",
        )
    return {name for name, kind in kinds.items() if kind == FLOAT}


def _choose_float32_nodes(graph: onnx.GraphProto, floats: set[str]) -> list[bool]:
    """Which nodes stay in float32."""
    fixed = {tensor.name for tensor in graph.initializer}
    is_float32 = _find_time_nodes(graph)
    for i, node in enumerate(graph.node):
        holds = any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute)
        is_float32[i] |= node.op_type in DELICATE or holds
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output}
    users = _find_users(graph)
    changed = True
    while changed:  # a sum between a mean of squares and its root is as delicate as they are
        changed = False
        for i, node in enumerate(graph.node):
            before = [makers.get(name) for name in node.input if name in floats and name not in fixed]
            after = [user for name in node.output for user in users.get(name, [None])]
            near = [*before, *after]
            if not is_float32[i] and node.op_type in BETWEEN and all(j is not None and is_float32[j] for j in near):
                is_float32[i] = changed = True
    return is_float32


def _find_time_nodes(graph: onnx.GraphProto) -> list[bool]:
    """The nodes that see t and not x, up to the first product of matrices; up to the last sine if one follows it."""
    t = graph.input[TIME].name
    seen: dict[str, set[str]] = {value.name: {value.name} for value in graph.input}
    past: dict[str, bool] = {}
    early, alone = [], []
    for node in graph.node:
        sources = set() if node.op_type in ("Shape", "Size") else set().union(*(seen.get(n, set()) for n in node.input))
        later = node.op_type in PRODUCTS or any(past.get(name, False) for name in node.input)
        alone.append(sources == {t})
        early.append(alone[-1] and not later)
        seen |= dict.fromkeys(node.output, sources)
        past |= dict.fromkeys(node.output, later and sources == {t})
    needed: set[str] = set()
    for i, node in reversed(list(enumerate(graph.node))):
        if alone[i] and (node.op_type in WAVES or not needed.isdisjoint(node.output)):
            early[i] = True
            needed.update(node.input)
    return early


def _find_users(graph: onnx.GraphProto) -> dict[str, list[int | None]]:
    """Who reads a value: nodes by number, None for the world outside."""
    users: dict[str, list[int | None]] = {}
    for i, node in enumerate(graph.node):
        for name in _list_inputs(node):
            users.setdefault(name, []).append(i)
    for value in graph.output:
        users.setdefault(value.name, []).append(None)
    return users


def _list_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """The names that a node reads, those read inside its graphs too."""
    yield from node.input
    for graph in _list_subgraphs(node):
        for inner in graph.node:
            yield from _list_inputs(inner)
        yield from (value.name for value in graph.output)


def _list_subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.type == attribute.GRAPH else attribute.graphs


def _rename(graph: onnx.GraphProto, rename: Callable[[str], str]) -> None:
    """Give what a graph inside a node reads from outside its new names."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = rename(name)
        for inner in _list_subgraphs(node):
            _rename(inner, rename)
    for value in graph.output:
        value.name = rename(value.name)


class _HalfPrecisionWriter:
    """Writes the graph: every value in the precision in which its node makes it, casts where it is wanted otherwise."""

    def __init__(self, graph: onnx.GraphProto, floats: set[str]) -> None:
        self.graph, self.floats = graph, floats
        inputs = {value.name for value in graph.input}
        self.weights = {t.name: t for t in graph.initializer if t.name in floats - inputs}
        self.tensors: list[onnx.TensorProto] = []
        self.kinds: dict[str, int] = dict.fromkeys(inputs & floats, FLOAT)
        self.names = {name for node in graph.node for name in (*_list_inputs(node), *node.output)}
        self.versions: dict[tuple[str, int], str] = {}
        self.inner: dict[str, str] = {}  # what is an output of the graph outside, and another value inside
        self.nodes: list[onnx.NodeProto] = []

    def write(self, is_float32: list[bool]) -> None:
        """Replace the nodes and weights of the graph."""
        outputs = {value.name for value in self.graph.output}
        for node, float32 in zip(self.graph.node, is_float32, strict=True):
            kind = FLOAT if float32 else FLOAT16
            for i, name in enumerate(node.input):
                node.input[i] = self.get(name, FLOAT if (node.op_type, i) in FLOAT_INPUTS else kind)
            for graph in _list_subgraphs(node):
                _rename(graph, lambda name: self.get(name, FLOAT))
            for i, name in enumerate(node.output):
                if name in outputs & self.floats and kind == FLOAT16:
                    node.output[i] = self.inner[name] = self.make_name(f"{name}_half")
                if name in self.floats:
                    self.kinds[node.output[i]] = kind
            self.nodes.append(node)
        for name, inside in self.inner.items():
            self.nodes.append(_make_cast(inside, name, FLOAT))
        rest = [tensor for tensor in self.graph.initializer if tensor.name not in self.weights]
        nodes = self.nodes
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend([*rest, *self.tensors])

    def get(self, name: str, kind: int) -> str:
        """The name under which a value is to be had in this precision; anything but a float as it is."""
        if name not in self.floats:
            return name
        name = self.inner.get(name, name)
        if self.kinds.get(name) == kind:
            return name
        if (name, kind) not in self.versions:
            self.versions[name, kind] = self.weight(name, kind) if name in self.weights else self.cast(name, kind)
        return self.versions[name, kind]

    def weight(self, name: str, kind: int) -> str:
        """A weight in this precision: under its own name, unless it has that in the other."""
        taken = any(tensor.name == name for tensor in self.tensors)
        own = self.make_name(f"{name}_{SUFFIX[kind]}") if taken else name
        values = numpy_helper.to_array(self.weights[name])
        if kind == FLOAT16:
            largest = float(np.abs(values).max(initial=0))
            if not largest <= LARGEST:
                cause = f"the weights {name} reach {largest:.3g}, and half precision ends at {LARGEST:.0f}"
                raise DtoolError(cause, "export the network without --half")
            values = values.astype(np.float16)
        self.tensors.append(numpy_helper.from_array(values, own))
        return own

    def cast(self, name: str, kind: int) -> str:
        """A value, once more, in this precision."""
        other = self.make_name(f"{name}_{SUFFIX[kind]}")
        self.nodes.append(_make_cast(name, other, kind))
        return other

    def make_name(self, name: str) -> str:
        """A name that nothing has yet."""
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name


def _make_cast(name: str, other: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [other], name=f"{other}_cast", to=kind)
