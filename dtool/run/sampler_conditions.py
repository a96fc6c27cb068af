"""The inputs of a sampler's file for conditions: what the images are told, and what guidance compares with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.conditions import LABEL, Condition, ConditionPair, Conditions, make_trial_conditions
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import OUTPUTS, SETTINGS, SamplerInputs, name_without
from dtool.run.sampler_form import SamplerForm


@dataclass(frozen=True)
class ConditionInput:
    """One array that a sampler's graph reads: `condition`, as the images are told it, or what guidance compares with.

    default: what it is where it is not given; one entry is for all images, and none is what the image itself is told.
    None: it must be given. is_input: whether it can be given.
    """

    name: str
    condition: Condition
    default: NDArray[Any] | None
    is_input: bool


def is_guidable(spec: NetworkSpec) -> bool:
    """Whether guidance can be had: there is a label that means no class, or a condition that can be another."""
    return spec.guidable or bool(spec.conditions)


def has_own_comparison(spec: NetworkSpec) -> bool:
    """Whether guidance has something to compare with where nobody says what."""
    return spec.guidable or any(one.null is not None for one in spec.conditions)


def is_guided(spec: NetworkSpec, form: SamplerForm) -> bool:
    """Whether the graph has guidance in it: not where a network without a class can only ever be run at scale 1."""
    chosen = form.is_configurable or "guidance" in (form.inputs or ())
    return form.weak or spec.guidable or (bool(spec.conditions) and (chosen or spec.guidance != 1))


def list_condition_inputs(spec: NetworkSpec, form: SamplerForm) -> list[ConditionInput]:
    """What the images are told, in the spec's order; then, in a graph with guidance, what that compares with.

    A prompt must be given: its null value is a row of tokens, and only what guidance compares with by default.
    """
    inputs = []
    for one in spec.conditions:
        has_default = one.null is not None and not isinstance(one.null, tuple)
        default = one.fill(1) if has_default and form.is_configurable else None
        inputs.append(ConditionInput(one.name, one, default, True))
    for one in spec.conditions if is_guided(spec, form) and not form.weak else ():
        default = make_default_comparison(spec, one)
        if "without" in (form.inputs or ()):
            default = None
        inputs.append(ConditionInput(name_without(one.name), one, default, default is None or form.is_configurable))
    return inputs


def make_default_comparison(spec: NetworkSpec, one: Condition) -> NDArray[Any] | None:
    """What guidance compares with by default: the null value, nothing for as it is told, None if it must be given.

    A length that varies is 1: it is spread over what the images are told.
    """
    shape = tuple(1 if n is None else n for n in one.shape)
    if one.null is not None:
        return np.full((1, *shape), one.null, dtype=one.dtype)
    return np.zeros((0, *shape), dtype=one.dtype) if has_own_comparison(spec) else None


def require_free_names(spec: NetworkSpec, edits: Sequence[str] = ()) -> None:
    """Raise UsageError for a condition that is called as another input or output of a sampler's file."""
    own = {"ids", LABEL, *SETTINGS, *OUTPUTS, *edits}
    names = [name for one in spec.conditions for name in (one.name, name_without(one.name))]
    taken = next((name for name in names if name in own or names.count(name) > 1), None)
    if taken is not None:
        raise UsageError(f"two inputs of the sampler's file would be called {taken}", "call the condition otherwise")


def make_trial_inputs(spec: NetworkSpec, inputs: SamplerInputs, count: int) -> dict[str, NDArray[Any]]:
    """Something for every input for a condition, of so many images, drawn at random."""
    random = np.random.default_rng(1)
    given, without = (make_trial_conditions(spec, count, random) for _ in range(2))
    arrays = {one.name: given[one.name] for one in spec.conditions}
    arrays |= {name_without(one.name): without[one.name] for one in spec.conditions}
    return {name: array for name, array in arrays.items() if name in inputs.takes}


def feed_conditions(spec: NetworkSpec, inputs: SamplerInputs, pair: ConditionPair) -> dict[str, NDArray[Any]]:
    """The conditions of some images as the file's inputs, their labels among them.

    Raises UsageError for what guidance compares with where the file compares with something else.
    """
    feed = {name: values for name, values in pair.given.items() if name == LABEL or name in inputs.takes}
    for one in spec.conditions:
        given = pair.given.get(one.name)
        if given is not None and one.name not in inputs.takes and not _is_null(one, given):
            raise _built_in_error(one.name, "its value")
        name, without = name_without(one.name), _get_comparison(one, pair)
        if given is None or without is None:  # the file is told what it has inside
            feed |= {} if without is None or name not in inputs.takes else {name: without}
        elif name in inputs.takes:
            _require_alike(one, given, without)
            feed[name] = without
        elif pair.without is not None and not _is_null(one, without) and not np.array_equal(without, given):
            raise _built_in_error(name, "what guidance compares with")
    return feed


def _get_comparison(one: Condition, pair: ConditionPair) -> NDArray[Any] | None:
    told: Conditions = pair.given if pair.without is None else pair.without
    array: NDArray[Any] | None = told.get(one.name)
    return array


def _is_null(one: Condition, values: NDArray[Any]) -> bool:
    return one.null is not None and bool((values == np.asarray(one.null, dtype=one.dtype)).all())


def _require_alike(one: Condition, given: NDArray[Any], without: NDArray[Any]) -> None:
    if given.shape != without.shape:
        raise UsageError(
            f"{one.name} has shape {given.shape[1:]}, and what guidance compares with {without.shape[1:]}: the file "
            "runs both together",
            "give both in one length, or run the network's own file",
        )


def _built_in_error(name: str, what: str) -> UsageError:
    return UsageError(
        f"{name} is no input of this file: {what} is built in",
        "export it with without among its --inputs, or without freeze; or run the network's own file",
    )
