"""Network, plan, loop and noise in one ONNX graph, which ONNX Runtime runs: a sampler as a file.

Inputs: ids `(batch,)` uint64, the images of the seed; label `(batch,)` int64 if the network has classes, -1 for none,
which stops the run of a network that knows no such label; the network's conditions by their names, `(batch, *shape)`,
or `(1, *shape)` for all images, with their null value as default if they have one; with a text encoder inside, token
numbers, which must be given, in rows as long as the encoder reads or shorter.
The rest has defaults: seed; table, times, init (see `dtool.plan.packed`), and steps, how many rows are run; bounds
`(2,)` of predicted images; guidance, unless the network knows no label for none and no conditions; NAME_without, what
guidance compares each condition with: its null value, or, where it has none and something else changes, what the image
is told; otherwise it must be given; trace, 1 to fill the traces; micro_batch, how many images are run at a time.
In a form with `edits` also image, mask and strength: see `editing_graph`. In a form of named `inputs` those must be
given and the rest is constant; where the plan is one of them, `steps` is how many rows its table has.
Outputs: images `(batch, *shape)`; with a decoder these are pictures, and latents `(batch, *shape)` what was sampled;
of a file with defaults also trace_x and trace_x0 `(steps, batch, *shape)`, x before each row and the image predicted
in it, or empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dtool.errors import DtoolError
from dtool.export.network.opset_numbers import OLDEST_OPSET
from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.condition_graph import add_condition_inputs, add_conditions, rename_inputs
from dtool.export.sampler.decoder_graph import add_decoder, merge_functions, merge_opsets
from dtool.export.sampler.editing_graph import add_start, choose_rows, name_inside, rename_plan
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.export.sampler.guidance_graph import add_autoguidance, add_guidance
from dtool.export.sampler.hoisting import hoist
from dtool.export.sampler.noise_graph import first_counters, normals, seed_key
from dtool.export.sampler.step_graph import NETWORK, build_step
from dtool.export.sampler.text_graph import add_row_filling, add_text_encoder, replace_conditions
from dtool.models.spec import NetworkSpec
from dtool.plan.packed import COLUMNS, PackedPlan
from dtool.run.sampler_conditions import is_guided
from dtool.run.sampler_edits import MASK, make_no_edit
from dtool.run.sampler_form import UNBOUNDED, SamplerForm


def fuse(
    network: onnx.ModelProto,
    spec: NetworkSpec,
    packed: PackedPlan,
    form: SamplerForm,
    *,
    limited: bool,
    micro_batch: int,
    decoder: onnx.ModelProto | None = None,
    text: TextGraph | None = None,
    weak: onnx.ModelProto | None = None,
) -> onnx.ModelProto:
    """The sampler as one model.

    network: F(x, t[, label]) as `dtool.export` writes it. packed: the default plan, made for `limited` or not. weak:
    another such network, which guidance compares with. Raises DtoolError if the network is of an opset below 18.
    """
    opset = find_opset(network)
    if opset < OLDEST_OPSET:
        raise DtoolError(f"the network is of opset {opset}, and a sampler needs {OLDEST_OPSET}", "export it again")
    if weak is not None and find_opset(weak) != opset:
        raise DtoolError(f"the networks are of opsets {opset} and {find_opset(weak)}", "export both again")
    inner, spec = spec, replace_conditions(spec, text) if text else spec
    graph = GraphBuilder("sampler")
    if form.edits:
        choose_rows(graph, form)
    elif "table" in form.required:
        graph("Reshape", graph("Shape", "table", start=0, end=1), graph.ints(), name="steps")
    _add_batches(graph, spec, _build_batch_body(network, spec, form, inner, text, weak and weak.graph), form)
    if decoder is not None:
        assert form.picture_shape is not None
        add_decoder(graph, decoder, form.picture_shape)
    bounds = (spec.data_range if form.quantile else spec.clip_bounds) if limited else (-UNBOUNDED, UNBOUNDED)
    values = _collect_values(spec, packed, form, bounds, micro_batch)
    graph.initializers += [
        numpy_helper.from_array(np.asarray(v), name_inside(form, name))
        for name, v in values.items()
        if name not in form.required
    ]
    outputs = [make_value_info("images", np.float32, ["batch", *(form.picture_shape or spec.shape)])]
    outputs += [make_value_info("latents", np.float32, ["batch", *spec.shape])] if form.picture_shape else []
    if form.is_configurable:
        outputs += [make_value_info(n, np.float32, ["steps", "traced", *spec.shape]) for n in ("trace_x", "trace_x0")]
    whole = graph.build(_list_inputs(graph, spec, form, values), outputs)
    if form.edits:
        rename_plan(whole)
    if spec.conditions:
        rename_inputs(whole, spec)
    if text is not None:
        add_row_filling(whole, text)
    model: onnx.ModelProto = helper.make_model(
        whole,
        opset_imports=merge_opsets(network, weak, decoder, text.proto if text else None),
        ir_version=network.ir_version,
        functions=merge_functions(network, weak, decoder, text.proto if text else None),
        producer_name=network.producer_name,
        producer_version=network.producer_version,
    )
    return model


def find_opset(model: onnx.ModelProto) -> int:
    """The version of the standard operators that it is made of."""
    return int(next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")))


def _list_inputs(
    graph: GraphBuilder, spec: NetworkSpec, form: SamplerForm, values: dict[str, Any]
) -> list[onnx.ValueInfoProto]:
    """What the file can be given: ids, labels, conditions, and those of its settings that are not constant in it."""
    inputs = [make_value_info("ids", np.uint64, ["batch"])]
    inputs += [make_value_info("label", np.int64, ["batch"])] if spec.classes else []
    inputs += add_condition_inputs(graph, spec, form)
    dims: dict[str, list[Any]] = {"table": ["rows", len(form.room.columns)], "times": ["rows"], "bounds": [2]}
    dims |= {"image": ["image_or_none", *spec.shape], "mask": ["mask_or_none", 1, *spec.shape[1:]]}
    inputs += [
        make_value_info(name_inside(form, name), np.asarray(v).dtype, dims.get(name, []))
        for name, v in values.items()
        if form.is_configurable or name in form.required
    ]
    return inputs


def _collect_values(
    spec: NetworkSpec, packed: PackedPlan, form: SamplerForm, bounds: tuple[float, float], micro_batch: int
) -> dict[str, Any]:
    """What the graph reads beside the images' ids and labels, by name: a default, a constant, or what must be given."""
    values: dict[str, Any] = {
        "seed": np.uint64(form.seed), "table": packed.table, "times": packed.times, "init": packed.init,
        "steps": np.int64(len(packed.table)), "bounds": np.array(bounds, np.float32), "trace": np.int64(0),
        "micro_batch": np.int64(micro_batch),
    }  # fmt: skip
    if is_guided(spec, form):
        values["guidance"] = np.float32(spec.guidance)
    if "table" in form.required:
        del values["steps"]
    return values | make_no_edit(spec, form)


def _add_batches(graph: GraphBuilder, spec: NetworkSpec, batch_body: onnx.GraphProto, form: SamplerForm) -> None:
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
    runs = _count_shares(graph, batch, size)
    if form.even:
        size = graph("Max", _count_shares(graph, batch, graph("Max", runs, one)), one)
    filled = graph("Range", graph.constant(0, np.int64), graph("Mul", runs, size), one)
    index = graph("Min", filled, graph("Sub", batch, one))
    by_run = graph("Concat", graph.ints(-1), graph("Reshape", size, graph.ints(1)), axis=0)
    graph("Reshape", graph("Gather", "ids", index, axis=0), by_run, name="ids_by_run")
    if spec.classes:
        graph("Reshape", _read_labels(graph, spec, index), by_run, name="labels_by_run")
    if spec.conditions or form.edits:
        graph("Reshape", index, by_run, name="index_by_run")
    names = ["images_by_run", *(("x_by_run", "x0_by_run") if form.is_configurable else ())]
    graph.nodes.append(
        helper.make_node("Loop", [runs, graph.constant(True, np.bool_)], names, name="batches", body=batch_body)
    )
    last = graph("Reshape", batch, graph.ints(1))
    joined = graph("Reshape", "images_by_run", graph.ints(-1, *spec.shape))
    graph("Slice", joined, graph.ints(0), last, graph.ints(0), name="latents" if form.picture_shape else "images")
    if form.is_configurable:
        _join_traces(graph, spec, graph("Mul", runs, size), last)


def _read_labels(graph: GraphBuilder, spec: NetworkSpec, index: str) -> str:
    """The labels of these images; one that the network does not know means no class."""
    label = graph("Gather", "label", index, axis=0)
    none = graph.constant(spec.null_label, np.int64)
    outside = graph("Or", graph("Less", label, graph.constant(0, np.int64)), graph("Greater", label, none))
    classes = graph("Where", outside, none, label)
    if not spec.guidable:  # there is no row for what is outside: an index beyond the end stops the run
        classes = graph("Gather", graph.ints(*range(spec.classes)), classes, axis=0)
    return classes


def _join_traces(graph: GraphBuilder, spec: NetworkSpec, images: str, last: str) -> None:
    """trace_x and trace_x0 from those of the runs, without the padding: of so many `images`, up to the `last`."""
    traced = graph("Mul", images, "tracing")
    sizes = [graph("Reshape", n, graph.ints(1)) for n in ("steps", traced)]
    shape = graph("Concat", *sizes, graph.ints(*spec.shape), axis=0)
    for name, runs_first in (("trace_x", "x_by_run"), ("trace_x0", "x0_by_run")):
        order = [1, 0, *range(2, 3 + len(spec.shape))]
        steps_first = graph("Reshape", graph("Transpose", runs_first, perm=order), shape, allowzero=1)
        graph("Slice", steps_first, graph.ints(0), last, graph.ints(1), name=name)


def _count_shares(graph: GraphBuilder, count: str, size: str) -> str:
    """Of how many parts of at most `size` a `count` is made."""
    rest = graph("Sub", size, graph.constant(1, np.int64))
    return graph("Div", graph("Add", count, rest), size)


def _build_batch_body(
    network: onnx.ModelProto, spec: NetworkSpec, form: SamplerForm, inner: NetworkSpec, text: TextGraph | None,
    weak: onnx.GraphProto | None,
) -> onnx.GraphProto:  # fmt: skip
    """The body of the outer loop: a micro-batch from its ids to its images, by a loop over the table's rows."""
    graph = GraphBuilder("run")
    ids = graph("Gather", "ids_by_run", "run", axis=0)
    count = graph("Shape", ids, name="count")
    graph("Identity", first_counters(graph, ids, "key", spec.shape), name="counters")
    z = normals(graph, "counters", graph.constant(0, np.uint64), "key", spec.shape)
    start = graph("Mul", "init", z)
    if form.edits:
        start = add_start(graph, spec, form, z, start)
    graph("Mul", count, "tracing", name="traced")
    unnamed = None
    if form.weak:
        add_autoguidance(graph, spec, count)
    elif is_guided(spec, form):
        unnamed = add_guidance(graph, spec, count)
    else:
        graph("Identity", count, name="size")
        if spec.classes:
            graph("Gather", "labels_by_run", "run", axis=0, name="classes")
    add_conditions(graph, spec, form, unnamed)
    if text is not None:
        add_text_encoder(graph, text)
    gaps = form.gaps or 0
    blank = graph("Sub", start, start) if form.history or form.saved or gaps else ""
    carried = [start, *[blank] * (form.history + gaps + form.saved), *([z] if MASK in form.edits else [])]
    body = hoist(build_step(network.graph, inner, form, weak), graph, NETWORK, network)
    go_on = graph.constant(True, np.bool_)
    values = graph.add_node("Loop", "steps", go_on, *carried, outputs=len(carried) + 2, body=body)
    outputs = [make_value_info(graph("Identity", values[0], name="images_of_run"), np.float32, ["images", *spec.shape])]
    if form.is_configurable:
        for name, result in zip(("x_of_run", "x0_of_run"), values[-2:], strict=True):
            outputs.append(
                make_value_info(graph("Identity", result, name=name), np.float32, ["steps", "traced", *spec.shape])
            )
    graph("Identity", "go_on_running", name="running")
    inputs = [make_value_info("run", np.int64, []), make_value_info("go_on_running", np.bool_, [])]
    return graph.build(inputs, [make_value_info("running", np.bool_, []), *outputs])
