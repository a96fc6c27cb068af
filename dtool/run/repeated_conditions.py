"""Prompts and arrays that the images of a run are told in turn, by their ids: encoded once, for every part of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.models.conditions import Condition, Conditions, refuse_unknown_conditions
from dtool.models.network import Network
from dtool.run.guided_conditions import (
    Prompts,
    Request,
    add_encoded,
    list_prompts,
    list_without,
    prepare_pictures,
    require_guidance,
)  # fmt: skip

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class RepeatedConditions:
    """What the images are told: that with id i gets the prompt, and the entry of each array, at i modulo their number.

    `given`, `without`: arrays by name, `(k, *shape)`, those of the prompts among them; `without` is what guidance
    compares with. `prompts`, `negatives`: the texts that some of them were made of, for a report.
    """

    given: Conditions = field(default_factory=dict)
    without: Conditions = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()

    def take(self, ids: Sequence[int] | NDArray[Any], compared: bool = True) -> dict[str, Any]:
        """The options of `dtool.sample` for the images with these ids; none if nothing is told.

        compared: whether there is guidance, which alone needs to know what to compare with.
        """
        options = {"conditions": _take_in_turn(self.given, ids)}
        if compared:
            options["without"] = _take_in_turn(self.without, ids)
        return {name: arrays for name, arrays in options.items() if arrays}

    def take_given(self, ids: Sequence[int] | NDArray[Any]) -> Arrays:
        """What the images with these ids are told, without what guidance compares with."""
        return _take_in_turn(self.given, ids)

    def take_prompts(self, ids: Sequence[int] | NDArray[Any]) -> list[str]:
        """The prompts of the images with these ids; an empty list if there are none."""
        return [self.prompts[int(i) % len(self.prompts)] for i in ids] if self.prompts else []

    def describe(self) -> dict[str, Any]:
        """As JSON can hold it: the prompts, and of each array its shape and a digest; empty if nothing is told."""
        parts: dict[str, Any] = {
            "prompts": list(self.prompts),
            "negative": list(self.negatives),
            "conditions": {name: describe_array(array) for name, array in self.given.items()},
            "without": {name: describe_array(array) for name, array in self.without.items()},
        }
        return {name: value for name, value in parts.items() if value}


NOTHING_TOLD = RepeatedConditions()


def repeat_conditions(network: Network, request: Request) -> RepeatedConditions:
    """What a request tells the images in turn: prompts and arrays of any number, as `resolve_conditions` checks them.

    Arrays are one image's, or `(k, *shape)`. Raises UsageError for what the network does not take.
    """
    scale = network.spec.guidance if request.guidance is None else request.guidance
    given = _collect(network, request.prompt, request.conditions)
    if scale == 1 or network.is_autoguided:
        require_guidance(request)
        without: Arrays = {}
    else:
        without = _collect(network, request.negative, list_without(network, request))
    return RepeatedConditions(
        given=given, without=without, prompts=_list_given(request.prompt), negatives=_list_given(request.negative)
    )


def _list_given(prompt: Prompts | None) -> tuple[str, ...]:
    return () if prompt is None else tuple(list_prompts(prompt))


def _collect(network: Network, prompt: Prompts | None, values: Mapping[str, ArrayLike] | None) -> Arrays:
    refuse_unknown_conditions(network.spec, values or {})
    known = {one.name: one for one in network.spec.conditions}
    prepared = prepare_pictures(network, values)
    arrays = {name: _read_in_turn(known[name], array) for name, array in prepared.items()}
    return add_encoded(network, prompt, arrays, list_prompts("" if prompt is None else prompt))


def _read_in_turn(condition: Condition, values: ArrayLike) -> NDArray[Any]:
    """`(k, *shape)`, from one image's array or several."""
    try:
        shape = np.shape(values)
    except (TypeError, ValueError):
        shape = ()
    several = len(shape) > 0 and shape[0] > 0 and condition.fits(shape[1:])
    return condition.read(values, shape[0] if several else 1)


def _take_in_turn(arrays: Conditions, ids: Sequence[int] | NDArray[Any]) -> Arrays:
    places = np.asarray(ids).astype(np.uint64)
    return {name: array[(places % np.uint64(len(array))).astype(np.int64)] for name, array in arrays.items()}


def describe_array(array: NDArray[Any]) -> dict[str, Any]:
    """The shape of an array, and a digest of what is in it."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return {"shape": list(array.shape), "sha256": digest.hexdigest()[:16]}


def refuse_extra_prompts(told: RepeatedConditions, count: int) -> None:
    """Raise UsageError for more prompts than images: the last ones would be told to none."""
    if len(told.prompts) > count:
        raise UsageError(f"{len(told.prompts)} prompts for {count} images", "draw more images, or give fewer prompts")
