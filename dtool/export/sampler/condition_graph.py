"""Conditions in a sampler's graph: each micro-batch is told its images' own, and with guidance what that compares with.

The graphs inside call the inputs `told/NAME` and `without/NAME`. What they are called outside may be anything, a name
of a value inside too: such a value is renamed in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.export.sampler.noise_graph import first_counters, normals
from dtool.models.conditions import Condition
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import name_without
from dtool.run.condition_noise import HIGHEST
from dtool.run.noise import number_last_draw
from dtool.run.sampler_conditions import is_guided, list_condition_inputs
from dtool.run.sampler_form import SamplerForm

TOLD, WITHOUT = "told/", "without/"  # an input of the file, as the graphs call it
NOW = "now/"  # a condition as the network is told it, one entry for each of its rows
INSIDE = "inside/"


def add_condition_inputs(graph: GraphBuilder, spec: NetworkSpec, form: SamplerForm) -> list[onnx.ValueInfoProto]:
    """The inputs for the conditions; their defaults and what is constant become initializers."""
    inputs = []
    for one in list_condition_inputs(spec, form):
        name = _name_inside(spec, one.name)
        if one.default is not None:
            graph.initializers.append(numpy_helper.from_array(one.default, name))
        lengths = [f"{one.condition.name}_length{k or ''}" if n is None else n
                   for k, n in enumerate(one.condition.shape)]  # fmt: skip
        if one.is_input:
            inputs.append(make_value_info(name, np.dtype(one.condition.dtype), ["batch_or_one", *lengths]))
    return inputs


def _name_inside(spec: NetworkSpec, name: str) -> str:
    if any(one.name == name for one in spec.conditions):
        return TOLD + name
    return WITHOUT + next(one.name for one in spec.conditions if name_without(one.name) == name)


def add_conditions(graph: GraphBuilder, spec: NetworkSpec, form: SamplerForm, unnamed: str | None) -> None:
    """Every condition as the network is told it in this micro-batch, NOW + its name.

    Reads run, index_by_run and, with guidance, count and rows: which image each row of the network's batch is, of which
    those that are `unnamed` are told what guidance compares with.
    """
    for one in spec.conditions:
        index = graph("Gather", "index_by_run", "run", axis=0)
        source = TOLD + one.name
        given = graph("Gather", source, spread(graph, source, index), axis=0)
        if unnamed is None or not is_guided(spec, form):
            graph("Identity", _add_noise(graph, spec, one, given, index, False), name=NOW + one.name)
            continue
        without = _find_comparison(graph, one, given, index)
        given, without = (
            _add_noise(graph, spec, one, values, index, is_without)
            for values, is_without in ((given, False), (without, True))
        )
        both = graph("Concat", given, without, axis=0)
        half = graph("Mul", "count", graph.cast(unnamed, np.int64))
        graph("Gather", both, graph("Add", "rows", half), axis=0, name=NOW + one.name)


def _add_noise(
    graph: GraphBuilder, spec: NetworkSpec, one: Condition, values: str, index: str, is_without: bool
) -> str:
    """`values` of the images at `index`, with the noise of their level: see `dtool.run.condition_noise`."""
    if one.noised_by is None:
        return values
    level = next(other for other in spec.conditions if other.name == one.noised_by)
    source = TOLD + level.name
    share = graph("Gather", source, spread(graph, source, index), axis=0)
    share = _find_comparison(graph, level, share, index) if is_without else share
    share = graph("Clip", share, graph.constant(0, np.float32), graph.constant(HIGHEST, np.float32))
    shape = tuple(n for n in one.shape if n is not None)
    share = graph("Reshape", share, graph.ints(-1, *[1] * len(shape)))
    kept = graph("Sqrt", graph("Sub", graph.constant(1, np.float32), graph("Mul", share, share)))
    counters = first_counters(graph, graph("Gather", "ids_by_run", "run", axis=0), "key", shape)
    z = normals(graph, counters, graph.constant(number_last_draw(shape), np.uint64), "key", shape)
    return graph("Add", graph("Mul", kept, values), graph("Mul", share, z))


def spread(graph: GraphBuilder, source: str, index: str) -> str:
    """`index`, or where there is one entry for all images that one's: beyond the last one the run stops."""
    several = graph("Not", graph("Equal", graph("Shape", source, start=0, end=1), graph.ints(1)))
    return graph("Mul", index, graph.cast(several, np.int64))


def _find_comparison(graph: GraphBuilder, one: Condition, given: str, index: str) -> str:
    """What guidance compares with for each image: its own entry, that for all, or if there is none what it is told."""
    source = WITHOUT + one.name
    entries = graph("Shape", source, start=0, end=1)
    if None in one.shape:
        shape = graph("Concat", entries, graph("Shape", given, start=1), axis=0)
        whole = graph("Expand", source, shape)
    else:
        whole = source
    place = graph("Add", spread(graph, source, index), "count")
    zero, one_more = graph.constant(0, np.int64), graph.constant(1, np.int64)
    itself = graph("Range", zero, graph("Reshape", "count", graph.ints()), one_more)
    chosen = graph("Where", graph("Equal", entries, graph.ints(0)), itself, place)
    return graph("Gather", graph("Concat", given, whole, axis=0), chosen, axis=0)


def rename_inputs(graph: onnx.GraphProto, spec: NetworkSpec) -> None:
    """Give the inputs for conditions the names that they have outside, and whatever is called so inside another."""
    names = {TOLD + one.name: one.name for one in spec.conditions}
    names |= {WITHOUT + one.name: name_without(one.name) for one in spec.conditions}
    rename_values(graph, names | {outside: INSIDE + outside for outside in names.values()})


def rename_values(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give the values that are called so, in the graph and in those inside it, other names."""
    for inner in _walk_graphs(graph):
        for value in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            value.name = names.get(value.name, value.name)
        for node in inner.node:
            for field in (node.input, node.output):
                field[:] = [names.get(name, name) for name in field]


def _walk_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.type in (5, 10) else ():
                yield from _walk_graphs(inner)
