"""One row of a plan as ONNX nodes: the body of an exported sampler's loop, with the network in it."""

from __future__ import annotations

from math import floor, prod

import numpy as np
import onnx
from onnx import compose

from dtool.backends.fused import FREE, Form
from dtool.errors import DtoolError
from dtool.export.builder import Graph, value
from dtool.export.noise_graph import normals
from dtool.networks.spec import NetworkSpec
from dtool.plan.packed import COLUMNS

NETWORK = "network/"


def body(network: onnx.GraphProto, spec: NetworkSpec, form: Form) -> onnx.GraphProto:
    """The loop's body: (row, go on, x, older predictions, kept x) ↦ (go on, the same, x and x0 for the trace).

    It reads from the graphs around it: table, noisy, times, low, high, key, counters, traced, size; classes if the
    network has any; rows, guidance, count and named if it can be guided. Weights lie in this graph: elsewhere ONNX
    Runtime would not lay them out for its blocked convolutions.
    """
    graph = Graph("step")
    columns = [*COLUMNS, *(f"b{k}" for k in range(form.history))]
    row = graph("Gather", "table", "row", axis=0)
    parts = graph.several("Split", row, outputs=len(columns), axis=0, num_outputs=len(columns))
    at = dict(zip(columns, parts, strict=True))
    output, variance = _called(graph, network, spec, at)
    image = graph.total(graph("Mul", at["c_out"], output), graph("Mul", at["c_skip"], "x"))
    image = _limited(graph, image, spec, form)
    older = [f"older{k}" for k in range(form.history)]
    saved = graph("Where", graph.cast(at["save"], np.bool_), "x", "saved") if form.saved else None
    terms = [("a", "x"), ("f", output), ("d", image), *((f"b{k}", name) for k, name in enumerate(older))]
    terms += [("a_saved", saved)] if saved else []
    next_x = graph.total(*(graph("Mul", at[weight], what) for weight, what in terms))
    _with_noise(graph, next_x, at, spec, variance)
    carried = ["next_x"]
    if form.history:
        entry = [graph("Mul", at[w], what) for w, what in (("m_x", "x"), ("m_f", output), ("m_d", image))]
        for k, what in enumerate([graph.total(*entry), *older[:-1]]):
            carried.append(graph("Identity", what, name=f"next_older{k}"))
    if saved:
        carried.append(graph("Identity", saved, name="next_saved"))
    traces = [
        graph("Slice", what, graph.ints(0), "traced", graph.ints(0), name=name)
        for name, what in (("seen_x", "x"), ("seen_x0", image))
    ]
    graph("Identity", "go_on", name="going_on")
    samples = ["images", *spec.shape]
    inputs = [value("row", np.int64, []), value("go_on", np.bool_, [])]
    inputs += [value(n, np.float32, samples) for n in ("x", *older, *(("saved",) if saved else ()))]
    outputs = [value("going_on", np.bool_, []), *(value(name, np.float32, samples) for name in carried)]
    return graph.made(inputs, [*outputs, *(value(name, np.float32, ["traced_images", *spec.shape]) for name in traces)])


def _called(graph: Graph, network: onnx.GraphProto, spec: NetworkSpec, at: dict[str, str]) -> tuple[str, str | None]:
    """The network's nodes, guided if it has classes; returns its prediction, and what it says of the variance."""
    weights = {tensor.name for tensor in network.initializer}
    names = [node.name for node in network.input if node.name not in weights]
    if len(names) != (3 if spec.classes else 2) or len(network.output) != 1:
        has = f"the inputs {', '.join(names)} and the outputs {', '.join(node.name for node in network.output)}"
        raise DtoolError(f"the network has {has}", "export the network with dtool export")
    inside: onnx.GraphProto = onnx.GraphProto()
    inside.CopyFrom(network)
    # Of initializers that graphs inside nodes read it must be told; it finds them too late by itself.
    known = {name: NETWORK + name for name in weights}
    compose.add_prefix_graph(inside, NETWORK, inplace=True, name_map=known)
    x, t, *label = (NETWORK + name for name in names)
    scaled = graph("Mul", at["c_in"], "x")
    graph("Gather", scaled, "rows", axis=0, name=x) if spec.guidable else graph("Identity", scaled, name=x)
    graph("Expand", graph("Gather", "times", "row", axis=0), "size", name=t)
    if label:
        graph("Identity", "classes", name=label[0])
    graph.nodes.extend(inside.node)
    graph.initializers.extend(inside.initializer)
    output, variance = inside.output[0].name, None
    if spec.learned_variance:
        output, variance = graph.several("Split", output, outputs=2, axis=1, num_outputs=2)
    if not spec.guidable:
        return output, variance
    # Guided: the first half of the batch had no class. Not guided: both slices are the whole batch, and equal.
    without = graph("Slice", output, graph.ints(0), "count", graph.ints(0))
    given = graph("Slice", output, "named", "size", graph.ints(0))
    if variance:
        variance = graph("Slice", variance, "named", "size", graph.ints(0))
    return graph("Add", without, graph("Mul", "guidance", graph("Sub", given, without))), variance


def _limited(graph: Graph, image: str, spec: NetworkSpec, form: Form) -> str:
    """The predicted image within the bounds: see `dtool.backends.limit.Limit`."""
    low, high = "low", "high"
    if form.quantile is None:
        return graph("Max", graph("Min", image, high), low)
    far = graph.constant(FREE, np.float32)  # so that their distance is still a float32
    low, high = graph("Max", low, graph("Neg", far)), graph("Min", high, far)
    half = graph.constant(0.5, np.float32)
    middle, reach = graph("Mul", graph("Add", low, high), half), graph("Mul", graph("Sub", high, low), half)
    image = graph("Sub", image, middle)
    elements = prod(spec.shape)
    place = form.quantile * (elements - 1)
    above = elements - floor(place)
    flat = graph("Reshape", graph("Abs", image), graph.ints(0, elements))
    largest = graph.several("TopK", flat, graph.ints(above), outputs=2, axis=1)[0]
    lower = graph("Slice", largest, graph.ints(above - 1), graph.ints(above), graph.ints(1))
    upper = graph("Slice", largest, graph.ints(max(above - 2, 0)), graph.ints(max(above - 1, 1)), graph.ints(1))
    between = graph("Mul", graph.constant(place - floor(place), np.float32), graph("Sub", upper, lower))
    size = graph("Reshape", graph("Max", graph("Add", lower, between), reach), graph.ints(0, *[1] * len(spec.shape)))
    kept = graph("Max", graph("Min", image, size), graph("Neg", size))
    return graph("Add", graph("Mul", kept, graph("Div", reach, size)), middle)


def _with_noise(graph: Graph, x: str, at: dict[str, str], spec: NetworkSpec, variance: str | None) -> None:
    """next_x: x + c·z in rows that have noise; in the others nothing is drawn."""
    drawn, still = Graph("drawn"), Graph("still")
    draw = drawn("Add", drawn.cast("row", np.uint64), drawn.constant(1, np.uint64))
    noise = drawn("Mul", at["c"], normals(drawn, "counters", draw, "key", spec.shape))
    if variance:  # c_low^(1-f)·c^f with f = (v+1)/2
        share = drawn("Mul", drawn("Sub", drawn.constant(1, np.float32), variance), drawn.constant(0.5, np.float32))
        noise = drawn("Mul", noise, drawn("Exp", drawn("Mul", share, drawn("Log", at["ratio"]))))
    drawn("Add", x, noise, name="drawn_x")
    still("Identity", x, name="still_x")
    shape = ["images", *spec.shape]
    noisy = graph("Gather", "noisy", "row", axis=0)
    graph(
        "If",
        noisy,
        name="next_x",
        then_branch=drawn.made([], [value("drawn_x", np.float32, shape)]),
        else_branch=still.made([], [value("still_x", np.float32, shape)]),
    )
