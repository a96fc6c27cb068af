"""One row of a plan as ONNX nodes: the body of an exported sampler's loop, with the network in it."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, prod
from typing import Any

import numpy as np
import onnx

from dtool.export.sampler.condition_graph import NOW
from dtool.export.sampler.editing_graph import keep_known
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.export.sampler.guidance_graph import call_weak, mix
from dtool.export.sampler.network_nodes import insert_network
from dtool.export.sampler.noise_graph import normals
from dtool.models.spec import NetworkSpec
from dtool.run.sampler_conditions import is_guided
from dtool.run.sampler_edits import MASK
from dtool.run.sampler_form import UNBOUNDED, SamplerForm

NETWORK = "network/"


def build_step(
    network: onnx.GraphProto, spec: NetworkSpec, form: SamplerForm, weak: onnx.GraphProto | None = None
) -> onnx.GraphProto:
    """The loop's body: (row, go on, x, older predictions, gaps, kept x, z) ↦ (go on, the same, x and x0 for the trace).

    z, the noise that was drawn last, is carried where a mask may say what is known.

    It reads from the graphs around it: table, noisy, times, low, high, key, counters, traced, size; classes if the
    network has any; the conditions as it is told them; rows, starts, ends, weights and count if it can be guided. The
    network's weights lie in this graph: elsewhere ONNX Runtime would not lay them out for its blocked convolutions.
    """
    graph = GraphBuilder("step")
    row = graph("Gather", "table", "row", axis=0)
    columns = form.room.columns
    parts = graph.add_node("Split", row, outputs=len(columns), axis=0, num_outputs=len(columns))
    at = dict(zip(columns, parts, strict=True))
    answer = _add_network(graph, network, spec, form, at, weak)
    image = _predict_image(graph, answer.output, spec, form, at)
    gap = None
    if form.gaps is not None:
        gap = graph("Sub", image, _predict_image(graph, answer.without or answer.output, spec, form, at))
    older = [f"older{k}" for k in range(form.history)]
    gaps = [f"older_gap{k}" for k in range(form.gaps or 0)]
    kept = graph.total("x", graph("Mul", at["shift"], gap)) if gap else "x"
    saved = graph("Where", graph.cast(at["save"], np.bool_), kept, "saved") if form.saved else None
    terms = [("a", "x"), ("f", answer.output), ("d", image), *((f"b{k}", name) for k, name in enumerate(older))]
    terms += [("g", gap), *((f"b_without{k}", name) for k, name in enumerate(gaps))] if gap else []
    terms += [("a_saved", saved)] if saved else []
    next_x = graph.total(*(graph("Mul", at[weight], what) for weight, what in terms))
    masked = MASK in form.edits
    _add_noise(graph, next_x, at, spec, answer.variance, results=["unkept_x", "next_z"] if masked else ["next_x"])
    if masked:
        keep_known(graph, spec, "unkept_x", "next_z")
    carried = ["next_x"]
    if form.history:
        entries = [("m_x", "x"), ("m_f", answer.output), ("m_d", image), *([("m_g", gap)] if gap else [])]
        entry = graph.total(*(graph("Mul", at[weight], what) for weight, what in entries))
        carried += [graph("Identity", what, name=f"next_older{k}") for k, what in enumerate([entry, *older[:-1]])]
    if gap and gaps:
        carried += [graph("Identity", what, name=f"next_gap{k}") for k, what in enumerate([gap, *gaps[:-1]])]
    if saved:
        carried.append(graph("Identity", saved, name="next_saved"))
    carried += ["next_z"] if masked else []
    traces = [
        graph("Slice", what, graph.ints(0), "traced", graph.ints(0), name=name)
        for name, what in (("seen_x", "x"), ("seen_x0", image))
    ]
    graph("Identity", "go_on", name="going_on")
    samples = ["images", *spec.shape]
    inputs = [make_value_info("row", np.int64, []), make_value_info("go_on", np.bool_, [])]
    states = ["x", *older, *gaps, *(["saved"] if saved else []), *(["z"] if masked else [])]
    inputs += [make_value_info(name, np.float32, samples) for name in states]
    outputs = [
        make_value_info("going_on", np.bool_, []),
        *(make_value_info(name, np.float32, samples) for name in carried),
    ]
    return graph.build(
        inputs, [*outputs, *(make_value_info(name, np.float32, ["traced_images", *spec.shape]) for name in traces)]
    )


@dataclass(frozen=True)
class _Answer:
    """What the network says: guided if it is, of the variance, and without conditions if that is asked for too."""

    output: str
    variance: str | None = None
    without: str | None = None


def _predict_image(graph: GraphBuilder, output: str, spec: NetworkSpec, form: SamplerForm, at: dict[str, str]) -> str:
    """The image that an output predicts, within its bounds."""
    image = graph.total(graph("Mul", at["c_out"], output), graph("Mul", at["c_skip"], "x"))
    return _clip_image(graph, image, spec, form)


def _add_network(
    graph: GraphBuilder,
    network: onnx.GraphProto,
    spec: NetworkSpec,
    form: SamplerForm,
    at: dict[str, str],
    weak: onnx.GraphProto | None,
) -> _Answer:
    """The network's nodes, guided if it can be."""
    told = [*(["classes"] if spec.classes else []), *(NOW + one.name for one in spec.conditions)]
    scaled = graph("Mul", at["c_in"], "x")
    time = graph("Gather", "times", "row", axis=0)
    share = at["rescale"] if form.rescales else None
    if not is_guided(spec, form) or form.weak:
        sources = [("Identity", scaled), ("Expand", time, "size"), *(("Identity", name) for name in told)]
        output = insert_network(graph, network, NETWORK, spec, sources)
        if weak is None:
            return _Answer(*_split_variance(graph, output, spec))
        other = call_weak(graph, weak, spec, sources, output)
        given, variance = _split_variance(graph, output, spec)
        without, weak_variance = _split_variance(graph, other, spec)
        if variance and weak_variance:  # a row of weight 0 is the weak network's alone
            alone = graph("Equal", graph("Gather", "weights", "row", axis=0), graph.constant(0, np.float32))
            variance = graph("Where", alone, weak_variance, variance)
        return _Answer(mix(graph, without, given, share, spec), variance, without)
    # Of the network's rows those that this row of the table runs.
    ends = [graph("Reshape", graph("Gather", name, "row", axis=0), graph.ints(1)) for name in ("starts", "ends")]
    size = graph("Sub", ends[1], ends[0])
    rows = graph("Slice", "rows", *ends, graph.ints(0))
    slices = [("Slice", name, *ends, graph.ints(0)) for name in told]
    by_row: list[tuple[Any, ...]] = [("Gather", scaled, rows, {"axis": 0}), ("Expand", time, size), *slices]
    output, variance = _split_variance(graph, insert_network(graph, network, NETWORK, spec, by_row), spec)
    # Both ways: the first half of the batch had no class. One way: both slices are the whole batch, and equal.
    first, last = graph("Sub", size, "count"), size
    without = graph("Slice", output, graph.ints(0), "count", graph.ints(0))
    given = graph("Slice", output, first, last, graph.ints(0))
    if variance:
        variance = graph("Slice", variance, first, last, graph.ints(0))
    return _Answer(mix(graph, without, given, share, spec), variance, without)


def _split_variance(graph: GraphBuilder, output: str, spec: NetworkSpec) -> tuple[str, str | None]:
    """The prediction, and what is said of the variance, if anything is."""
    if not spec.learned_variance:
        return output, None
    prediction, variance = graph.add_node("Split", output, outputs=2, axis=1, num_outputs=2)
    return prediction, variance


def _clip_image(graph: GraphBuilder, image: str, spec: NetworkSpec, form: SamplerForm) -> str:
    """The predicted image within the bounds: see `dtool.run.clipping.Clipping`."""
    low, high = "low", "high"
    if form.quantile is None:
        return graph("Max", graph("Min", image, high), low)
    far = graph.constant(UNBOUNDED, np.float32)  # so that their distance is still a float32
    low, high = graph("Max", low, graph("Neg", far)), graph("Min", high, far)
    half = graph.constant(0.5, np.float32)
    middle, reach = graph("Mul", graph("Add", low, high), half), graph("Mul", graph("Sub", high, low), half)
    image = graph("Sub", image, middle)
    elements = prod(spec.shape)
    place = form.quantile * (elements - 1)
    above = elements - floor(place)
    flat = graph("Reshape", graph("Abs", image), graph.ints(0, elements))
    largest = graph.add_node("TopK", flat, graph.ints(above), outputs=2, axis=1)[0]
    lower = graph("Slice", largest, graph.ints(above - 1), graph.ints(above), graph.ints(1))
    upper = graph("Slice", largest, graph.ints(max(above - 2, 0)), graph.ints(max(above - 1, 1)), graph.ints(1))
    between = graph("Mul", graph.constant(place - floor(place), np.float32), graph("Sub", upper, lower))
    size = graph("Max", graph("Add", lower, between), reach)
    if form.most is not None:
        size = graph("Min", size, graph("Mul", graph.constant(form.most, np.float32), reach))
    size = graph("Reshape", size, graph.ints(0, *[1] * len(spec.shape)))
    bounded = graph("Max", graph("Min", image, size), graph("Neg", size))
    return graph("Add", graph("Mul", bounded, graph("Div", reach, size)), middle)


def _add_noise(
    graph: GraphBuilder, x: str, at: dict[str, str], spec: NetworkSpec, variance: str | None, results: list[str]
) -> None:
    """x + c·z in rows that have noise, and z itself if a second result is wanted; in the others nothing is drawn."""
    drawn, still = GraphBuilder("drawn"), GraphBuilder("still")
    draw = drawn("Add", drawn.cast("row", np.uint64), drawn.constant(1, np.uint64))
    z = normals(drawn, "counters", draw, "key", spec.shape)
    noise = drawn("Mul", at["c"], z)
    if variance:  # c_low^(1-f)·c^f with f = (v+1)/2
        share = drawn("Mul", drawn("Sub", drawn.constant(1, np.float32), variance), drawn.constant(0.5, np.float32))
        noise = drawn("Mul", noise, drawn("Exp", drawn("Mul", share, drawn("Log", at["ratio"]))))
    drawn("Add", x, noise, name="drawn_x")
    still("Identity", x, name="still_x")
    if len(results) > 1:
        drawn("Identity", z, name="drawn_z")
        still("Identity", "z", name="still_z")
    noisy = graph("Gather", "noisy", "row", axis=0)
    branches = {
        f"{branch}_branch": builder.build(
            [], [make_value_info(f"{builder.name}_{what}", np.float32, ["images", *spec.shape])
                 for what, _ in zip("xz", results, strict=False)],
        )
        for branch, builder in (("then", drawn), ("else", still))
    }  # fmt: skip
    graph.add_node("If", noisy, names=results, **branches)
