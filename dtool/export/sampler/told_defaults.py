"""Conditions that are built into a sampler's file: defaults of its inputs, or constants where it has no defaults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from dtool.errors import DtoolError
from dtool.export.built_in import ToldArrays
from dtool.export.network.sources import SourceNetwork
from dtool.export.report import TOLERANCE, ParityCheck
from dtool.export.sampler.assembly import FusedSampler, build
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import name_without
from dtool.run.load import load
from dtool.run.sampler_conditions import make_default_comparison
from dtool.run.sampling import sample
from dtool.util.files import write_scratch_file

Arrays = dict[str, NDArray[Any]]
IMAGES = 2  # that are compared


def build_in(sampler: FusedSampler, given: Arrays, without: Arrays) -> FusedSampler:
    """The sampler with these arrays `(1, *shape)` for what it is not told, by the names of its conditions."""
    spec, form = sampler.file_spec, sampler.form
    model = onnx.ModelProto()
    model.CopyFrom(sampler.model)
    values = given | {name_without(name): array for name, array in without.items()}
    values |= _compare_with_themselves(spec, model.graph, values, every=bool(without))
    for name, array in values.items():
        _set_default(model.graph, name, array, is_input=form.is_configurable)
    form = form.model_copy(update={"told": tuple(one.name for one in spec.conditions if one.name in given)})
    document = sampler.document | {"form": form.to_fields()}
    return replace(sampler, model=model, form=form, document=document)


def build_in_and_check(
    source: SourceNetwork, sampler: FusedSampler, told: ToldArrays, decoder: onnx.ModelProto | None, *, check: bool
) -> tuple[FusedSampler, tuple[ParityCheck, ...]]:
    """`build_in`, and where it is asked for the comparison with a file that is told the same."""
    done = build_in(sampler, told.given, told.without)
    if not check:
        return done, ()
    twin = sampler
    if not sampler.form.is_configurable:
        form = sampler.form.model_copy(update={"frozen": False, "inputs": None})
        twin = build(source.proto, source.spec, sampler.plan, form, decoder=decoder, weak=source.weak)
    return done, (check_built_in(twin, done, told.given, told.without),)


def _compare_with_themselves(spec: NetworkSpec, graph: onnx.GraphProto, values: Arrays, *, every: bool) -> Arrays:
    """What guidance compares conditions with, where that had to be given: as the image is told them.

    Of those that are built in, or, where it compares with something else, of every one.
    """
    taken = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    others = [one for one in spec.conditions if name_without(one.name) in taken - values.keys()]
    others = [one for one in others if every or one.name in values]
    shapes = {name_without(one.name): [1 if n is None else n for n in one.shape] for one in others}
    kinds = {name_without(one.name): one.dtype for one in others if make_default_comparison(spec, one) is None}
    return {name: np.zeros((0, *shapes[name]), dtype=kind) for name, kind in kinds.items()}


def _set_default(graph: onnx.GraphProto, name: str, array: NDArray[Any], *, is_input: bool) -> None:
    """An initializer called as the input is, in the place of one that is there; of no input any more, a constant."""
    kept = [tensor for tensor in graph.initializer if tensor.name != name]
    inputs = [value for value in graph.input if is_input or value.name != name]
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend([*kept, numpy_helper.from_array(np.ascontiguousarray(array), name)])
    graph.input.extend(inputs)


def check_built_in(twin: FusedSampler, sampler: FusedSampler, given: Arrays, without: Arrays) -> ParityCheck:
    """Compare the file that is told nothing with its `twin`, of which everything may be given, told these arrays.

    Raises DtoolError if they differ.
    """
    made = []
    plan, seed = sampler.plan, sampler.form.seed
    labels: Any = 0 if sampler.spec.classes else None
    for one, told in ((twin, True), (sampler, False)):
        with write_scratch_file(".onnx", one.content([]), "the sampler") as file:
            network = load(file, device="cpu")
            options: dict[str, Any] = {"conditions": _fill_rest(network.spec, given if told else {}, set(given))}
            if told and without:
                options["without"] = without
            made.append(sample(network, plan, n=IMAGES, labels=labels, seed=seed, **options).x0)
    far = float(np.abs(made[0] - made[1]).max() / max(1.0, np.abs(made[0]).max()))
    if not far <= TOLERANCE:
        raise DtoolError(f"what is built in gives other images ({far:.1e})", "report this with the network's shape")
    return ParityCheck(f"told no {', '.join(given)}: what is built in", far)


def _fill_rest(spec: NetworkSpec, given: Arrays, built_in: set[str]) -> Arrays:
    """The conditions that are not built in are told anything: all 0."""
    rest = [one for one in spec.conditions if one.name not in built_in and one.null is None]
    zeros = {one.name: np.zeros([1 if n is None else n for n in one.shape], dtype=one.dtype) for one in rest}
    return given | zeros
