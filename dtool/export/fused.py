"""Network, plan, loop and noise in one ONNX graph, which ONNX Runtime runs: a sampler as a file.

Inputs: ids `(batch,)` uint64, the images of the seed; label `(batch,)` int64 if the network has classes, -1 for none,
which stops the run of a network that knows no such label. The rest has defaults: seed; table, times, init (see
`dtool.plan.packed`), and steps, how many rows are run; bounds `(2,)` of predicted images; guidance, unless the network
knows no label for none; trace, 1 to fill the traces; micro_batch, how many images are run at a time.
In a form of named `inputs` those must be given and the rest is constant; where the plan is one of them, `steps` is how
many rows its table has. Outputs: images `(batch, *shape)`; of a file with defaults also trace_x and trace_x0
`(steps, batch, *shape)`, x before each row and the image predicted in it, or empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dtool.backends.fused import FREE, Form
from dtool.errors import DtoolError
from dtool.export.builder import Graph, value
from dtool.export.noise_graph import first_counters, normals, seed_key
from dtool.export.step_graph import body
from dtool.networks.spec import NetworkSpec
from dtool.plan.packed import COLUMNS, Packed

OLDEST_OPSET = 18


def fuse(
    network: onnx.ModelProto, spec: NetworkSpec, packed: Packed, form: Form, *, limited: bool, micro_batch: int
) -> onnx.ModelProto:
    """The sampler as one model.

    network: F(x, t[, label]) as `dtool.export` writes it. packed: the default plan, made for `limited` or not.
    Raises DtoolError if the network is of an opset below 18.
    """
    opset = next(o.version for o in network.opset_import if o.domain in ("", "ai.onnx"))
    if opset < OLDEST_OPSET:
        raise DtoolError(f"the network is of opset {opset}, and a sampler needs {OLDEST_OPSET}", "export it again")
    graph = Graph("sampler")
    if "table" in form.required:
        graph("Reshape", graph("Shape", "table", start=0, end=1), graph.ints(), name="steps")
    _batches(graph, spec, _one_batch(network.graph, spec, form), form)
    bounds = spec.data_range if limited else (-FREE, FREE)
    values: dict[str, Any] = {
        "seed": np.uint64(form.seed), "table": packed.table, "times": packed.times, "init": packed.init,
        "steps": np.int64(len(packed.table)), "bounds": np.array(bounds, np.float32), "trace": np.int64(0),
        "micro_batch": np.int64(micro_batch),
    }  # fmt: skip
    if spec.guidable:
        values["guidance"] = np.float32(spec.guidance)
    if "table" in form.required:
        del values["steps"]
    graph.initializers += [
        numpy_helper.from_array(np.asarray(v), name) for name, v in values.items() if name not in form.required
    ]
    inputs = [value("ids", np.uint64, ["batch"])]
    inputs += [value("label", np.int64, ["batch"])] if spec.classes else []
    dims: dict[str, list[Any]] = {"table": ["rows", len(COLUMNS) + form.history], "times": ["rows"], "bounds": [2]}
    inputs += [
        value(name, np.asarray(v).dtype, dims.get(name, []))
        for name, v in values.items()
        if form.open or name in form.required
    ]
    outputs = [value("images", np.float32, ["batch", *spec.shape])]
    if form.open:
        outputs += [value(n, np.float32, ["steps", "traced", *spec.shape]) for n in ("trace_x", "trace_x0")]
    model: onnx.ModelProto = helper.make_model(
        graph.made(inputs, outputs),
        opset_imports=[
            helper.make_opsetid("" if o.domain == "ai.onnx" else o.domain, o.version) for o in network.opset_import
        ],
        ir_version=network.ir_version,
        functions=network.functions,
        producer_name=network.producer_name,
        producer_version=network.producer_version,
    )
    return model


def _batches(graph: Graph, spec: NetworkSpec, batch_body: onnx.GraphProto, form: Form) -> None:
    """All images, `micro_batch` at a time, the last ones padded: so that an image's bits do not depend on the batch.

    Where they are known not to, in an even form, the images are shared out evenly, and padded by one a run at most.
    """
    graph("Identity", seed_key(graph, "seed"), name="key")
    graph("Cast", graph.cast("trace", np.bool_), to=onnx.TensorProto.INT64, name="tracing")
    noise_scale = graph(
        "Slice", "table", graph.ints(COLUMNS.index("c")), graph.ints(COLUMNS.index("c") + 1), graph.ints(1)
    )
    zero = graph.constant(0, np.float32)
    graph("Reshape", graph("Not", graph("Equal", noise_scale, zero)), graph.ints(-1), name="noisy")
    for k, name in enumerate(("low", "high")):
        graph("Gather", "bounds", graph.ints(k), axis=0, name=name)
    batch = graph("Reshape", graph("Shape", "ids"), graph.ints())  # a scalar
    one = graph.constant(1, np.int64)
    size = graph("Max", graph("Min", "micro_batch", graph.constant(2**31 - 1, np.int64)), one)
    runs = _shares(graph, batch, size)
    if form.even:
        size = graph("Max", _shares(graph, batch, graph("Max", runs, one)), one)
    filled = graph("Range", graph.constant(0, np.int64), graph("Mul", runs, size), one)
    index = graph("Min", filled, graph("Sub", batch, one))
    by_run = graph("Concat", graph.ints(-1), graph("Reshape", size, graph.ints(1)), axis=0)
    graph("Reshape", graph("Gather", "ids", index, axis=0), by_run, name="ids_by_run")
    if spec.classes:
        label = graph("Gather", "label", index, axis=0)
        none = graph.constant(spec.classes, np.int64)
        outside = graph("Or", graph("Less", label, graph.constant(0, np.int64)), graph("Greater", label, none))
        known = graph("Where", outside, none, label)
        if not spec.guidable:  # there is no row for what is outside: an index beyond the end stops the run
            known = graph("Gather", graph.ints(*range(spec.classes)), known, axis=0)
        graph("Reshape", known, by_run, name="labels_by_run")
    names = ["images_by_run", *(("x_by_run", "x0_by_run") if form.open else ())]
    graph.nodes.append(
        helper.make_node("Loop", [runs, graph.constant(True, np.bool_)], names, name="batches", body=batch_body)
    )
    last = graph("Reshape", batch, graph.ints(1))
    joined = graph("Reshape", "images_by_run", graph.ints(-1, *spec.shape))
    graph("Slice", joined, graph.ints(0), last, graph.ints(0), name="images")
    if not form.open:
        return
    traced = graph("Mul", graph("Mul", runs, size), "tracing")
    sizes = [graph("Reshape", n, graph.ints(1)) for n in ("steps", traced)]
    shape = graph("Concat", *sizes, graph.ints(*spec.shape), axis=0)
    for name, runs_first in (("trace_x", "x_by_run"), ("trace_x0", "x0_by_run")):
        order = [1, 0, *range(2, 3 + len(spec.shape))]
        steps_first = graph("Reshape", graph("Transpose", runs_first, perm=order), shape, allowzero=1)
        graph("Slice", steps_first, graph.ints(0), last, graph.ints(1), name=name)


def _shares(graph: Graph, count: str, size: str) -> str:
    """Of how many parts of at most `size` a `count` is made."""
    rest = graph("Sub", size, graph.constant(1, np.int64))
    return graph("Div", graph("Add", count, rest), size)


def _one_batch(network: onnx.GraphProto, spec: NetworkSpec, form: Form) -> onnx.GraphProto:
    """The body of the outer loop: a micro-batch from its ids to its images, by a loop over the table's rows."""
    graph = Graph("run")
    ids = graph("Gather", "ids_by_run", "run", axis=0)
    count = graph("Shape", ids, name="count")
    graph("Identity", first_counters(graph, ids, "key", spec.shape), name="counters")
    start = graph("Mul", "init", normals(graph, "counters", graph.constant(0, np.uint64), "key", spec.shape))
    graph("Mul", count, "tracing", name="traced")
    if spec.guidable:
        _guided(graph, spec, count)
    elif spec.classes:
        graph("Gather", "labels_by_run", "run", axis=0, name="classes")
        graph("Identity", count, name="size")
    else:
        graph("Identity", count, name="size")
    blank = graph("Sub", start, start) if form.history or form.saved else ""
    carried = [start, *[blank] * (form.history + form.saved)]
    results = graph.several("Loop", "steps", graph.constant(True, np.bool_), *carried, outputs=len(carried) + 2,
                            body=body(network, spec, form))  # fmt: skip
    samples = ["images", *spec.shape]
    outputs = [value(graph("Identity", results[0], name="images_of_run"), np.float32, samples)]
    if form.open:
        for name, result in zip(("x_of_run", "x0_of_run"), results[-2:], strict=True):
            outputs.append(value(graph("Identity", result, name=name), np.float32, ["steps", "traced", *spec.shape]))
    graph("Identity", "go_on_running", name="running")
    inputs = [value("run", np.int64, []), value("go_on_running", np.bool_, [])]
    return graph.made(inputs, [value("running", np.bool_, []), *outputs])


def _guided(graph: Graph, spec: NetworkSpec, count: str) -> None:
    """size: how many rows the network sees, from row `named` on with their class; rows: which image each is; classes.

    Guided (arXiv:2207.12598), every image twice, first with no class. At scale 1 and at 0 once suffices.
    """
    label = graph("Gather", "labels_by_run", "run", axis=0)
    plain = [graph("Equal", "guidance", graph.constant(scale, np.float32)) for scale in (0, 1)]
    twice = graph.cast(graph("Not", graph("Or", *plain)), np.int64)
    extra = graph("Mul", count, twice, name="named")
    size = graph("Add", count, extra, name="size")
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    place = graph("Range", zero, graph("Reshape", size, graph.ints()), one)
    rows = graph("Mod", place, count, name="rows")
    unnamed = graph("Or", graph("Less", place, extra), plain[0])
    none = graph.constant(spec.classes, np.int64)
    graph("Where", unnamed, none, graph("Gather", label, rows, axis=0), name="classes")
