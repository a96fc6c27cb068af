"""Editing in a sampler's graph: a run may begin at an image, and keep what a mask says is known (`dtool.run.editing`).

Inputs: image `(batch, *shape)` or `(1, *shape)` for all images, or of no entry, which is none; mask the same with one
channel, from a half on 1 where it is drawn anew; strength, the share of the steps that are taken, or a negative number
for what is usual. Without an image the run is the usual one, in the same bits, and a mask stops it.
What the graphs inside know of the plan is chosen here: the rows of `given/table` that are run become `table`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from dtool.export.sampler.condition_graph import INSIDE, rename_values, spread
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.models.spec import NetworkSpec
from dtool.plan.packed import EDIT_COLUMNS
from dtool.run.editing import DRAWN, MASKED_STRENGTH, STRENGTH
from dtool.run.sampler_edits import IMAGE, MASK, SHARE, USUAL
from dtool.run.sampler_form import SamplerForm

GIVEN = "given/"  # what is given of the plan, of which a part is run
OF_PLAN = ("table", "times", "steps")
MASKED, STARTED = "is_masked", "begins_at_image"  # scalars: whether there is a mask, whether the start is an image


def name_inside(form: SamplerForm, name: str) -> str:
    """What the graph calls an input, or a constant in its place."""
    return GIVEN + name if form.edits and name in OF_PLAN else name


def choose_rows(graph: GraphBuilder, form: SamplerForm) -> None:
    """table, times and steps: the rows that are run; levels_alpha, levels_sigma `(steps + 1,)`: before each, and after.

    And whether the run begins at an image, whether it has a mask, and whether what is drawn anew begins at noise.
    """
    is_given = _has_entries(graph, IMAGE)
    has_mask = _has_entries(graph, MASK) if MASK in form.edits else graph.constant(False, np.bool_)
    masked = graph("Identity", has_mask, name=MASKED)
    usual = graph("Where", masked, graph.constant(MASKED_STRENGTH, np.float32), graph.constant(STRENGTH, np.float32))
    said = SHARE if SHARE in form.edits else graph.constant(USUAL, np.float32)
    share = graph("Where", graph("Less", said, graph.constant(0, np.float32)), usual, said)
    share = graph("Where", is_given, share, graph.constant(1, np.float32))
    below = graph("Less", share, graph.constant(1, np.float32))
    graph("Not", below, name="from_noise")
    graph("Or", below, masked, name=STARTED)  # without an image a mask stops the run
    table, times = GIVEN + "table", GIVEN + "times"
    if "table" not in form.required:
        end = graph("Reshape", GIVEN + "steps", graph.ints(1))
        table, times = (graph("Slice", each, graph.ints(0), end, graph.ints(0)) for each in (table, times))
    first, last = (_take_column(graph, form, table, name) for name in EDIT_COLUMNS[-2:])
    chosen = graph("And", graph("Not", graph("Greater", first, share)), graph("Less", share, last))
    for each, name in ((table, "table"), (times, "times")):
        graph("Compress", each, chosen, axis=0, name=name)
    graph("Reshape", graph("Shape", "table", start=0, end=1), graph.ints(), name="steps")
    for name, end_level in zip(EDIT_COLUMNS[:2], (1, 0), strict=True):
        column = _take_column(graph, form, "table", name)
        graph("Concat", column, graph.constant([end_level], np.float32), axis=0, name=f"levels_{name}")


def _has_entries(graph: GraphBuilder, name: str) -> str:
    count = graph("Reshape", graph("Shape", name, start=0, end=1), graph.ints())
    return graph("Greater", count, graph.constant(0, np.int64))


def _take_column(graph: GraphBuilder, form: SamplerForm, table: str, name: str) -> str:
    place = form.room.columns.index(name)
    column = graph("Slice", table, graph.ints(place), graph.ints(place + 1), graph.ints(1))
    return graph("Reshape", column, graph.ints(-1))


def add_start(graph: GraphBuilder, spec: NetworkSpec, form: SamplerForm, z: str, noise: str) -> str:
    """x at the first row of a micro-batch: `noise`, or the image with the noise of its level, in what is known.

    picture, drawn: the image and the mask of this micro-batch, for its steps. z: standard normal, of draw 0.
    """
    samples, masks = ["images", *spec.shape], ["images", 1, *spec.shape[1:]]
    _choose(graph, STARTED, "picture", _gather(IMAGE), _repeat(z), samples)
    if MASK in form.edits:
        _choose(graph, MASKED, "drawn", _gather_mask, _take_channel(z), masks)

    def begin(inner: GraphBuilder) -> str:
        level = _make_noised(inner, inner.constant(0, np.int64), z)
        if MASK not in form.edits:
            return level
        mixed = _mix(inner, level, noise)
        return inner("Where", "from_noise", mixed, level)

    return _choose(graph, STARTED, "start_of_run", begin, _repeat(noise), samples)


def keep_known(graph: GraphBuilder, spec: NetworkSpec, x: str, z: str) -> None:
    """next_x: x after a row, with what is known at the level of the next one; after the last, the image itself."""

    def keep(inner: GraphBuilder) -> str:
        after = inner("Add", "row", inner.constant(1, np.int64))
        return _mix(inner, _make_noised(inner, after, z), x)

    _choose(graph, MASKED, "next_x", keep, _repeat(x), ["images", *spec.shape])


def _make_noised(graph: GraphBuilder, row: str, z: str) -> str:
    """The image at the level of this row, with noise z."""
    alpha, sigma = (graph("Gather", f"levels_{name}", row, axis=0) for name in EDIT_COLUMNS[:2])
    return graph("Add", graph("Mul", alpha, "picture"), graph("Mul", sigma, z))


def _mix(graph: GraphBuilder, known: str, other: str) -> str:
    share = graph("Sub", graph.constant(1, np.float32), "drawn")
    return graph("Add", graph("Mul", share, known), graph("Mul", "drawn", other))


def _gather(name: str) -> Any:
    def gather(inner: GraphBuilder) -> str:
        index = inner("Gather", "index_by_run", "run", axis=0)
        entries = inner("Gather", name, spread(inner, name, index), axis=0)
        inner.nodes[-1].name = f"{name}: there is one entry for all images or one each"  # what a runtime says
        return entries

    return gather


def _gather_mask(inner: GraphBuilder) -> str:
    numbers = _gather(MASK)(inner)
    return inner.cast(inner("Not", inner("Less", numbers, inner.constant(DRAWN, np.float32))), np.float32)


def _repeat(name: str) -> Any:
    return lambda inner: inner("Identity", name)


def _take_channel(z: str) -> Any:
    return lambda inner: inner("Slice", z, inner.ints(0), inner.ints(1), inner.ints(1))


def _choose(graph: GraphBuilder, condition: str, name: str, yes: Any, no: Any, shape: list[Any]) -> str:
    """`name`: what `yes` computes where the condition holds, else what `no` does; nothing of the other is computed."""
    branches = []
    for word, compute in (("then", yes), ("else", no)):
        inner = GraphBuilder(f"{name}_{word}")
        result = inner("Identity", compute(inner), name=f"{name}_{word}_out")
        branches.append(inner.build([], [make_value_info(result, np.float32, shape)]))
    return graph("If", condition, name=name, then_branch=branches[0], else_branch=branches[1])


def rename_plan(graph: onnx.GraphProto) -> None:
    """Give the inputs for the plan the names that they have outside, and what is chosen of them others."""
    rename_values(graph, {GIVEN + name: name for name in OF_PLAN} | {name: INSIDE + name for name in OF_PLAN})
