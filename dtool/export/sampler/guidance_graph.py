"""Guidance in a sampler's graph: which evaluations a row makes, and what is made of them.

It compares with what the network says of no class, or of other conditions, in one call of twice the batch, or with
another network, the weak one, which is called in the rows that compare and in no others (`dtool.models.guidance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.export.sampler.network_nodes import insert_network
from dtool.models.spec import NetworkSpec
from dtool.plan.packed import COLUMNS

WEAK = "weak/"
BRANCH = "weak_network"
CALLS_WEAK = "calls_weak"  # (rows,): whether a row of the table evaluates the weak network


def add_guidance(graph: GraphBuilder, spec: NetworkSpec, count: str) -> str:
    """size: how many rows the network may see, from row `named` on with a class; rows: which image each is; classes.

    Guided (arXiv:2207.12598), every image twice, first with no class. What no row of the table needs is left out.
    weights: the scale of every row; starts, ends: which of the network's rows each row of the table runs. Returns which
    rows are told no class, or what guidance compares with.
    """
    label = graph("Gather", "labels_by_run", "run", axis=0) if spec.classes else ""
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    twice, needs_without, needs_given = _find_needs(graph)
    extra = graph("Mul", count, _any(graph, needs_without), name="named")
    size = graph("Add", extra, graph("Mul", count, _any(graph, needs_given)), name="size")
    graph("Where", needs_without, graph.ints(0), extra, name="starts")
    reach = graph("Mul", count, graph("Add", graph.ints(1), graph.cast(twice, np.int64)))
    graph("Add", "starts", reach, name="ends")
    place = graph("Range", zero, graph("Reshape", size, graph.ints()), one)
    rows = graph("Mod", place, count, name="rows")
    unnamed = graph("Less", place, extra)
    if spec.guidable:
        none = graph.constant(spec.null_label, np.int64)
        graph("Where", unnamed, none, graph("Gather", label, rows, axis=0), name="classes")
    elif spec.classes:
        graph("Gather", label, rows, axis=0, name="classes")
    return unnamed


def add_autoguidance(graph: GraphBuilder, spec: NetworkSpec, count: str) -> None:
    """size, classes: of each image once, as both networks are told it; weights, and which rows call the weak one."""
    _, needs_without, _ = _find_needs(graph)
    graph("Identity", needs_without, name=CALLS_WEAK)
    graph("Identity", count, name="size")
    if spec.classes:
        graph("Gather", "labels_by_run", "run", axis=0, name="classes")


def _find_needs(graph: GraphBuilder) -> tuple[str, str, str]:
    """(twice, without, given): which rows of the table evaluate the network both ways, or in each; and `weights`."""
    ones, zeros = graph.constant(1, np.float32), graph.constant(0, np.float32)

    def column(name: str) -> str:
        place = COLUMNS.index(name)
        return graph("Reshape", graph("Slice", "table", graph.ints(place), graph.ints(place + 1), graph.ints(1)),
                     graph.ints(-1))  # fmt: skip

    guided = column("guided")
    weights = graph("Add", graph("Mul", guided, "guidance"), graph("Sub", ones, guided), name="weights")
    given = graph("Not", graph("Equal", weights, zeros))
    changes = graph(
        "Or", graph("Not", graph("Equal", weights, ones)), graph("Not", graph("Equal", column("compares"), zeros))
    )
    twice = graph("And", given, changes)
    return twice, graph("Or", twice, graph("Not", given)), given


def _any(graph: GraphBuilder, flags: str) -> str:
    """1 if any of the flags is set, else 0."""
    numbers = graph("Concat", graph.cast(flags, np.int64), graph.ints(0), axis=0)  # a run may have no row at all
    return graph("ReduceMax", numbers, graph.ints(0), keepdims=1)


def call_weak(graph: GraphBuilder, weak: onnx.GraphProto, spec: NetworkSpec, sources: Sequence[Any], given: str) -> str:
    """The weak network's output where this row compares with it, and `given`, the other's, where it does not.

    sources: see `insert_network`. Its weights lie in the branch: see `step_graph.build_step`.
    """
    branch, other = GraphBuilder(BRANCH), GraphBuilder("no_weak_network")
    outputs = ["images", *spec.output_shape]
    branch("Identity", insert_network(branch, weak, WEAK, spec, sources), name="weak_output")
    other("Identity", given, name="no_weak_output")
    return graph(
        "If",
        graph("Gather", CALLS_WEAK, "row", axis=0),
        then_branch=branch.build([], [make_value_info("weak_output", np.float32, outputs)]),
        else_branch=other.build([], [make_value_info("no_weak_output", np.float32, outputs)]),
    )


def find_weak(step: onnx.GraphProto) -> onnx.GraphProto | None:
    """The branch with the weak network in it, of a step that has one."""
    branches = (a.g for node in step.node if node.op_type == "If" for a in node.attribute if a.name == "then_branch")
    return next((branch for branch in branches if branch.name == BRANCH), None)


def mix(graph: GraphBuilder, without: str, given: str, share: str | None, spec: NetworkSpec) -> str:
    """without + weight·(given - without), the weight this row's; share: how much of it is rescaled, if anything."""
    weight = graph("Gather", "weights", "row", axis=0)
    output = graph("Add", without, graph("Mul", weight, graph("Sub", given, without)))
    return output if share is None else _rescale(graph, output, given, share, spec)


def _rescale(graph: GraphBuilder, output: str, given: str, share: str, spec: NetworkSpec) -> str:
    """That `share` of the output has, image by image, the standard deviation of the unguided one."""

    def deviate(values: str) -> str:
        flat = graph("Flatten", values, axis=1)
        centred = graph("Sub", flat, graph("ReduceMean", flat, graph.ints(1), keepdims=1))
        squares = graph("ReduceMean", graph("Mul", centred, centred), graph.ints(1), keepdims=1)
        return graph("Sqrt", squares)

    one = graph.constant(1, np.float32)
    ratio = graph("Div", deviate(given), deviate(output))
    factor = graph("Add", graph("Mul", share, ratio), graph("Sub", one, share))
    return graph("Mul", output, graph("Reshape", factor, graph.ints(-1, *[1] * len(spec.shape))))
