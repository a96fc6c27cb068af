"""What a network computes of its conditions alone is computed once a run, before the loop over the rows; and put back.

Keys and values of the words of a prompt, say. The loop hands the network its conditions as they are, or, with guidance,
some rows of them, different ones from row to row of the table. What is row-wise may be computed of all of them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from dtool.export.sampler.graph_builder import GraphBuilder
from dtool.onnx.rewrite.graph import Graph, get_attribute, is_standard, list_inputs

HOISTED = "hoisted/"  # the names of nodes outside, and of those inside that take their results, begin so
ALL = "/all"  # the names of values outside end so
PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")  # without one of these it is not worth while
_EACH = ("Identity", "Cast", "Sigmoid", "Tanh", "Relu", "Gelu", "Erf", "Sqrt", "Neg", "Exp", "Softplus", "Elu")
_PAIRS = ("Add", "Sub", "Mul", "Div", "Pow")


@dataclass(frozen=True)
class _Cut:
    """Which rows of a value the loop takes: the names of first, last and axis; none of them for all rows."""

    ends: tuple[str, ...] = ()


def hoist(body: onnx.GraphProto, around: GraphBuilder, prefix: str, network: onnx.ModelProto) -> onnx.GraphProto:
    """A loop's body without the nodes of the network, whose names begin with `prefix`, that are now before the loop.

    around: the graph of the loop itself, which gets them. network: the network alone, without the prefix. The body is
    what `lower` makes of both again.
    """
    inner = {value.name for value in body.input} | {name for node in body.node for name in node.output}
    entries = {
        node.output[0]: node for node in body.node if _is_entry(node, body.name, prefix) and node.input[0] not in inner
    }
    if not entries:
        return body
    cuts = {name: _Cut(tuple(node.input[1:])) for name, node in entries.items()}
    weights, shapes = {tensor.name: tensor for tensor in body.initializer}, Graph(network)
    moved: list[onnx.NodeProto] = []
    for node in body.node:
        if node.output[0].startswith(prefix) and _is_movable(node, cuts, weights, shapes, prefix):
            moved.append(node)
            cut = next(cuts[name] for name in node.input if name in cuts)
            cuts.update(dict.fromkeys(node.output, cut))
    if any(is_standard(node, *PRODUCTS) for node in moved):
        _move(body, around, moved, cuts, {name: node.input[0] for name, node in entries.items()})
    return body


def _move(
    body: onnx.GraphProto, around: GraphBuilder, moved: list[onnx.NodeProto], cuts: Mapping[str, _Cut],
    entries: Mapping[str, str],
) -> None:  # fmt: skip
    used = {name for node in moved for name in node.input}
    weights = {tensor.name: tensor for tensor in body.initializer}
    for name in sorted(used & entries.keys()):
        around.nodes.append(onnx.helper.make_node("Identity", [entries[name]], [name + ALL], name=f"{HOISTED}{name}"))
    for name in sorted(used & weights.keys()):
        copy = onnx.TensorProto()
        copy.CopyFrom(weights[name])
        copy.name += ALL
        around.initializers.append(copy)
    for node in moved:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{HOISTED}{node.name}"
        copy.input[:] = [name and name + ALL for name in node.input]
        copy.output[:] = [name and name + ALL for name in node.output]
        around.nodes.append(copy)
    made = {name for node in moved for name in node.output}
    rest = [node for node in body.node if not any(node is one for one in moved)]
    taken = [name for name in dict.fromkeys(name for node in rest for name in list_inputs(node)) if name in made]
    bridges = [
        onnx.helper.make_node(
            "Slice" if cuts[name].ends else "Identity", [name + ALL, *cuts[name].ends], [name], name=f"{HOISTED}{name}"
        )
        for name in taken
    ]
    first = next((k for k, node in enumerate(rest) if made & {*list_inputs(node)}), len(rest))
    _replace_nodes(body, [*rest[:first], *bridges, *rest[first:]])
    needed = {name for node in body.node for name in list_inputs(node)}
    _keep_weights(body, needed)


def lower(body: onnx.GraphProto, around: onnx.GraphProto) -> onnx.GraphProto:
    """The loop's body as it was before `hoist`, from the graph around it, too."""
    whole = onnx.GraphProto()
    whole.CopyFrom(body)
    rest = [node for node in body.node if not is_hoisted(node)]
    made = {name for node in rest for name in node.output}
    back = []
    for node in around.node:
        names = [name.removesuffix(ALL) for name in node.output]
        if is_hoisted(node) and not made.intersection(names):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = node.name.removeprefix(HOISTED)
            copy.input[:] = [name.removesuffix(ALL) for name in node.input]
            copy.output[:] = names
            back.append(copy)
    given = {name for node in back for name in node.input} & made
    last = max((k for k, node in enumerate(rest) if given & {*node.output}), default=-1)
    _replace_nodes(whole, [*rest[: last + 1], *back, *rest[last + 1 :]])
    known = {tensor.name for tensor in body.initializer}
    for tensor in around.initializer:
        if tensor.name.endswith(ALL) and tensor.name.removesuffix(ALL) not in known:
            whole.initializer.append(tensor)
            whole.initializer[-1].name = tensor.name.removesuffix(ALL)
    return whole


def _is_entry(node: onnx.NodeProto, own: str, prefix: str) -> bool:
    """Whether it hands the network a value, or rows of it. own: what names of nodes around the network begin with."""
    is_own = node.name.startswith(f"{own}/") and node.output[0].startswith(prefix)
    return is_own and is_standard(node, "Identity", "Slice")


def is_hoisted(node: onnx.NodeProto) -> bool:
    """Whether a node around a loop is one that `hoist` has put there."""
    return bool(node.name.startswith(HOISTED))


def _is_movable(
    node: onnx.NodeProto, cuts: Mapping[str, _Cut], weights: Mapping[str, onnx.TensorProto], shapes: Graph, prefix: str
) -> bool:
    """Whether a node depends on values of one cut and on constants, and is row-wise if it must be."""
    varying = [name for name in node.input if name and name not in weights]
    if not varying or any(name not in cuts for name in varying) or len({cuts[name] for name in varying}) > 1:
        return False
    if any(one.HasField("g") or one.graphs for one in node.attribute) or node.op_type.startswith("Random"):
        return False
    return not cuts[varying[0]].ends or (len(varying) == 1 and _is_row_wise(node, varying[0], weights, shapes, prefix))


def _is_row_wise(
    node: onnx.NodeProto, varying: str, weights: Mapping[str, onnx.TensorProto], shapes: Graph, prefix: str
) -> bool:
    """Whether each row of the only value that varies gives one row of the result, whatever the others are."""
    place = [*node.input].index(varying)
    before, after = (shapes.get_shape(name.removeprefix(prefix)) for name in (varying, node.output[0]))
    if not before or not after or before[0] in ("", 0) or before[0] != after[0]:
        return False
    others = [[*weights[name].dims] for name in node.input if name in weights]
    if is_standard(node, *_PAIRS) and others:
        return all(len(dims) < len(before) or (len(dims) == len(before) and dims[0] == 1) for dims in others)
    if is_standard(node, "Gather"):
        return place == 1 and get_attribute(node, "axis", 0) == 0
    if is_standard(node, "MatMul"):
        return place == 0 and len(before) > 1 and len(others[0]) == 2
    if is_standard(node, "Gemm"):
        return place == 0 and not get_attribute(node, "transA", 0) and all(len(dims) < 2 for dims in others[1:])
    if is_standard(node, "Transpose"):
        return bool(get_attribute(node, "perm", [1])[0] == 0)
    if is_standard(node, "LayerNormalization"):
        return get_attribute(node, "axis", -1) not in (0, -len(before))
    if is_standard(node, "Reshape"):
        shape = shapes.get_array(node.input[1].removeprefix(prefix))
        return shape is not None and bool(shape[0] == 0 or (shape[0] == -1 and np.all(shape[1:] > 0)))
    return is_standard(node, *_EACH)


def _replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    copies = onnx.GraphProto(node=list(nodes))
    del graph.node[:]
    graph.node.extend(copies.node)


def _keep_weights(graph: onnx.GraphProto, needed: set[str]) -> None:
    kept = onnx.GraphProto(initializer=[tensor for tensor in graph.initializer if tensor.name in needed])
    del graph.initializer[:]
    graph.initializer.extend(kept.initializer)
