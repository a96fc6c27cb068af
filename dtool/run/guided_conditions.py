"""What the images of a run are told and what guidance compares with, from the user's classes, prompts and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError, format_value
from dtool.models.conditions import (
    LABEL,
    ConditionPair,
    make_null_conditions,
    read_conditions,
    refuse_unknown_conditions,
)
from dtool.models.labels import Labels, assign_classes, resolve_labels
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import has_comparison
from dtool.run.noise import check_ids

Prompts = str | Sequence[str]
MAX_PROMPTS, MAX_LETTERS = 10_000, 10_000  # of a run, and of one of them


class ToldOptions(TypedDict, total=False):
    """The fields of `Request` besides classes and guidance, for functions that take them by keyword."""

    prompt: Prompts | None
    negative: Prompts | None
    conditions: Mapping[str, ArrayLike] | None
    without: Mapping[str, ArrayLike] | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asks for: classes, prompts, arrays by name, and the same of what guidance compares with.

    guidance: the scale, in the rows of `plan`, if one is known, as strong as they say. weak: whether guidance compares
    with another network.
    """

    labels: Any = None
    prompt: Prompts | None = None
    negative: Prompts | None = None
    conditions: Mapping[str, ArrayLike] | None = None
    without: Mapping[str, ArrayLike] | None = None
    guidance: float | None = None
    plan: Plan | None = None
    weak: bool = False

    @property
    def length(self) -> int | None:
        """How many images the prompts are for, where there is one for each."""
        return None if self.prompt is None or isinstance(self.prompt, str) else len(self.prompt)


def resolve_conditions(
    network: Network, request: Request, ids: Sequence[int] | None, count: int
) -> tuple[ConditionPair | None, Labels | None, float]:
    """The conditions of `count` images, their labels among them, and the guidance scale; None if there are none.

    Raises UsageError for what the network does not take, and for guidance with nothing to compare with.
    """
    spec = network.spec
    labels = _resolve_labels(network, request.labels, ids, count)
    scale = spec.guidance if request.guidance is None else request.guidance
    if not 0 <= scale < inf:
        raise UsageError(f"guidance {scale:g} is no scale", "use 0 or more; 1 is none")
    plan = request.plan
    compares = scale != 1 if plan is None else has_comparison(plan, scale)
    asked = request.guidance not in (None, spec.guidance) or bool(plan and plan.guidance)
    if asked and compares and not spec.is_conditional and not request.weak:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    given = _gather(network, request.prompt, request.conditions, count)
    if not spec.is_conditional:
        _gather(network, request.negative, request.without, count)
        _refuse(network, request)
        return None, None, scale
    told: dict[str, NDArray[Any]] = read_conditions(spec, given, count)
    if labels is not None:
        told[LABEL] = labels
    if not compares or request.weak:
        require_guidance(request)
        return ConditionPair(told), labels, scale
    if labels is not None and not spec.conditions:
        network.require_null_class(f"guidance {scale:g} compares with no class")
    without = _gather(network, request.negative, list_without(network, request), count)
    if labels is not None and not network.has_null_class:
        spec = spec.model_copy(update={"null_class": False})  # the class stays, and the other conditions change
    return ConditionPair(told, make_null_conditions(spec, told, without, count)), labels, scale


def _resolve_labels(network: Network, labels: Any, ids: Sequence[int] | None, count: int) -> Labels | None:
    """The labels of the images, as the network takes them; by default each class in turn, by the images' ids."""
    if labels is None and network.classes:
        return assign_classes(network, range(count) if ids is None else check_ids(ids))
    return resolve_labels(network, labels, count)


def require_guidance(request: Request) -> None:
    """Raise UsageError if it is said what guidance compares with, where there is no guidance."""
    if request.negative is not None or request.without:
        raise UsageError("what to compare with is given, but no guidance", "give --guidance (guidance=)")


def _gather(
    network: Network, prompt: Prompts | None, values: Mapping[str, ArrayLike] | None, count: int
) -> dict[str, ArrayLike]:
    """The user's arrays, and those that the network's own text encoder makes of the prompts, or of the empty one."""
    prepared = prepare_pictures(network, values)
    return add_encoded(network, prompt, prepared, check_prompts("" if prompt is None else prompt, count))


def prepare_pictures(network: Network, values: Mapping[str, ArrayLike] | None) -> dict[str, Any]:
    """The user's arrays, those that are pictures as the network takes them: see `PictureConditions`."""
    return dict(values or {}) if network.pictures is None else network.pictures.prepare(values or {})


def add_encoded(
    network: Network, prompt: Prompts | None, values: Mapping[str, Any], texts: Sequence[str]
) -> dict[str, Any]:
    """`values`, and what the network's own text encoder makes of `texts`: the prompts, or those in the place of none.

    Raises UsageError for a prompt that the network cannot be told.
    """
    arrays = dict(values)
    if network.text is None:
        if prompt is not None:
            raise UsageError(
                "this network takes no prompt: it has no text encoder",
                "give what it is told as arrays, --condition NAME=FILE.npy (conditions=)",
            )
        return arrays
    if prompt is None and set(network.text.names) <= set(arrays):
        return arrays
    distinct = list(dict.fromkeys(texts))
    encoded = network.text.encode(distinct)
    places = np.array([distinct.index(text) for text in texts])
    for name, array in encoded.items():
        if name in arrays and prompt is not None and name not in network.text.constants:
            raise UsageError(f"{name} is given, and a prompt that makes it too", "give one of them")
        arrays.setdefault(name, array[places])
    return arrays


def list_without(network: Network, request: Request) -> dict[str, Any]:
    """What guidance compares with, as far as arrays say it: those that the user gives for that, and the user's own
    values of what is the same for every prompt, as the encoder says.
    """
    if network.text is None:
        return dict(request.without or {})
    kept = {name: value for name, value in (request.conditions or {}).items() if name in network.text.constants}
    return {**network.text.contrast(kept), **(request.without or {})}


def check_prompts(prompt: Prompts, count: int) -> list[str]:
    """A prompt for each of `count` images, from one for all or one each; raises UsageError for others."""
    texts = list_prompts(prompt)
    if len(texts) == 1:
        texts *= count
    if len(texts) != count:
        raise UsageError(f"{len(texts)} prompts for {count} images", "give one for all, or one each")
    return texts


def list_prompts(prompt: Prompts) -> list[str]:
    """The prompts, one or several, as a list; raises UsageError for what is no text, too long, or none."""
    texts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"prompt={format_value(prompt)} is not text", "give a text, or a list of them")
    longest = max(texts, key=len)
    if len(longest) > MAX_LETTERS:
        raise UsageError(
            f"a prompt of {len(longest)} letters ({longest[:40]!r} …) is too long", f"at most {MAX_LETTERS} are taken"
        )
    if len(texts) > MAX_PROMPTS:
        raise UsageError(f"{len(texts)} prompts are too many", f"give at most {MAX_PROMPTS} at a time")
    return texts


def _refuse(network: Network, request: Request) -> None:
    """Refuse conditions of a network that takes none."""
    refuse_unknown_conditions(network.spec, {**(request.conditions or {}), **(request.without or {})})
