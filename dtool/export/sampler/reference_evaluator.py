"""An exported sampler on onnx's reference evaluator: the third oracle, beside the host's loop and ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from dtool.export.report import ParityCheck
from dtool.export.sampler.assembly import FusedSampler
from dtool.export.sampler.decoder_graph import LOOP
from dtool.export.sampler.trial_feed import DistanceFunction, feed_trial, make_trial_edit
from dtool.plan.steps import make_table
from dtool.run.load import load
from dtool.run.sampler_edits import MASK, SHARE
from dtool.run.sampler_file import FusedNetwork
from dtool.run.trial_options import make_trial_options
from dtool.util.files import write_scratch_file

ROWS = 2  # of the plan: the evaluator is thousands of times slower than ONNX Runtime


def compare_on_reference(sampler: FusedSampler, far: DistanceFunction) -> Iterator[ParityCheck]:
    """The first rows of the plan on onnx's reference evaluator and on ONNX Runtime, for one image.

    Of a file whose run may begin at an image also the rows of the last steps, from one, with a mask if it takes one.
    """
    short = onnx.ModelProto()
    short.CopyFrom(sampler.model)
    rows = min(ROWS, sampler.plan.rows)
    for tensor in short.graph.initializer:
        if tensor.name == "steps":
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(np.int64(rows)), "steps"))
    yield _compare(sampler, short, far, rows, edited=False)
    if SHARE in sampler.form.edits:
        whole = onnx.ModelProto()
        whole.CopyFrom(sampler.model)
        yield _compare(sampler, whole, far, min(ROWS, sampler.plan.steps), edited=True)


def _compare(
    sampler: FusedSampler, model: onnx.ModelProto, far: DistanceFunction, count: int, *, edited: bool
) -> ParityCheck:
    """So many of the first rows, or, `edited`, of the last steps."""
    feed: dict[str, NDArray[Any]] = {"ids": np.array([4], np.uint64)}
    if sampler.spec.classes:
        feed["label"] = np.array([0])
    apart = replace(sampler, document={k: v for k, v in sampler.document.items() if k != "tokenizers"})
    with write_scratch_file(".onnx", apart.serialise(model), "the sampler") as path:
        file = load(path, device="cpu")
        assert isinstance(file, FusedNetwork)
        own = file.own_settings() | feed_trial(file, make_trial_options(file.spec, 1), slice(None))
        feed |= own
        if edited:
            given = make_trial_edit(file, 1, masked=MASK in file.form.edits, steps=count)
            feed |= {name: np.asarray(value, np.float32) for name, value in given.items()}
            feed |= {MASK: feed[MASK][None]} if MASK in feed else {}
        else:
            feed |= {name: own[name][:count] for name in ("table", "times") if name in own}
            feed |= {"steps": np.asarray(count)} if "steps" in own else {}
        output = "latents" if sampler.decoder else "images"
        [images] = file.execute([output], feed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # products of counters are meant to wrap
        _drop_traces(model.graph)
        reference = np.asarray(next(iter(ReferenceEvaluator(model).run([output], feed))))
    # where a row multiplies F by a thousand, a last bit of F is a thousand last bits of x
    table = make_table(sampler.plan, sampler.spec.clip)
    rows = slice(sampler.plan.step_starts[-count], None) if edited else slice(count)
    weights = (table.f, table.d * table.c_out, *table.b.T)
    gain = max(1.0, *(float(np.abs(column[rows]).max()) for column in weights))
    what = f"the last {count} steps, from an image, on" if edited else f"{count} calls on"
    return ParityCheck(f"{what} onnx's reference evaluator", far(images, reference) / gain)


def _drop_traces(graph: onnx.GraphProto) -> None:
    """Leave out the traces: of what a loop collects the evaluator makes one long array, and not a stack.

    And the decoder, which is compared by itself.
    """
    gone = {"x_by_run", "x0_by_run"}
    for node in [node for node in graph.node if node.name == LOOP]:
        graph.node.remove(node)
        gone |= set(node.output)
    for node in list(graph.node):
        if gone & set(node.input):
            gone |= set(node.output)
            graph.node.remove(node)
    for output in list(graph.output):
        if output.name in gone:
            graph.output.remove(output)
