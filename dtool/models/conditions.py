"""What a network is told besides x and the time: arrays by name, one entry per image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dtool.errors import UsageError, did_you_mean, format_value

if TYPE_CHECKING:
    from dtool.models.spec import NetworkSpec

LABEL = "label"
RESERVED = ("x", "t", LABEL)
TRIAL_LENGTH = 8  # of a length that varies, where any will do
MAX_ROW = 1 << 16  # numbers of a null value
Conditions = Mapping[str, Any]  # the backend's arrays by name, `(B, *shape)`


class Condition(BaseModel):
    """An array that a network takes for each image: an embedded text, an image, a vector, a number.

    shape: of one image's, e.g. (77, 768) for a text; None is a length that varies, () a single number.
    null: what fills the array of an image without this condition: a number, or a row of numbers as long as the last
    axis, such as the empty prompt's tokens. None: the network was not trained to do without it, and guidance needs to
    be told what to compare with. noised_by: the name of a number, the level in 0 … 0.99 of the noise that a run puts on
    this array before the network is told it (`dtool.run.condition_noise`). built_in: whether a sampler's file
    is told it where nobody says it, which its form says: it is no part of a spec's JSON.

    >>> from dtool.models.conditions import Condition
    >>> Condition(name="text", shape=(None, 768)).describe()
    'text float32 (…, 768)'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_./:-]*$")
    shape: tuple[Annotated[int, Field(ge=1)] | None, ...] = Field(default=(), max_length=8)
    dtype: Literal["float32", "int64", "int32", "bool"] = "float32"
    null: FiniteFloat | Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=MAX_ROW)] | None = None
    noised_by: str | None = Field(default=None, max_length=100)
    built_in: bool = Field(default=False, exclude=True)

    @model_serializer(mode="wrap")
    def _leave_out(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `noised_by` where it says nothing, so that versions which do not know it can read the rest."""
        fields: dict[str, Any] = dump(self)
        if fields.get("noised_by") is None:
            fields.pop("noised_by", None)
        return fields

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.null, tuple) and self.shape[-1:] != (len(self.null),):
            raise ValueError(f"its null value is a row of {len(self.null)} numbers, and its shape is {self.shape}")
        if self.null is not None:
            try:
                self._cast(np.asarray(self.null))
            except UsageError as error:
                raise ValueError(f"its null value is refused: {error}") from error
        return self

    def describe(self) -> str:
        """The condition as errors and listings name it: `text float32 (…, 768)`."""
        return f"{self.name} {self.dtype} ({', '.join('…' if n is None else str(n) for n in self.shape)})"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of one image may have this shape; a length that varies is 1 at least."""
        if len(shape) != len(self.shape):
            return False
        return all(n >= 1 if own is None else n == own for own, n in zip(self.shape, shape, strict=True))

    def fill(self, count: int, like: NDArray[Any] | None = None) -> NDArray[Any]:
        """The null value for `count` images, of the shape of `like` `(count, *shape)` where a length varies."""
        assert self.null is not None, "asked for where there is none"
        shape = tuple(TRIAL_LENGTH if n is None else n for n in self.shape) if like is None else like.shape[1:]
        return np.full((count, *shape), self.null, dtype=self.dtype)

    def read(self, values: ArrayLike, count: int) -> NDArray[Any]:
        """`values` as an array `(count, *shape)`: one for all images, or one each. Raises UsageError for others."""
        try:
            array = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{self.name}={format_value(values)} is not an array", f"give {self.describe()}"
            ) from error
        if array.dtype.kind not in "fiub" or (self.dtype.startswith("int") and array.dtype.kind == "f"):
            raise UsageError(f"{self.name} is of type {array.dtype}", f"give {self.describe()}")
        array = self._cast(array)
        if self.fits(array.shape):
            return np.repeat(array[None], count, axis=0)
        if array.ndim and self.fits(array.shape[1:]) and len(array) in (1, count):
            return np.repeat(array, count, axis=0) if len(array) != count else array
        raise UsageError(
            f"{self.name} has shape {array.shape} for {count} images; the network takes {self.describe()} for each",
            "give one for all, or one each along the first axis",
        )

    def _cast(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array` in the condition's type; raises UsageError for a number that is another one there."""
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{self.name} holds NaN or infinity", "give finite numbers")
        with np.errstate(over="ignore", invalid="ignore"):
            own = array.astype(self.dtype, copy=False)
        wrong = array[~np.isfinite(own)] if self.dtype == "float32" else array[own != array]
        if wrong.size:
            raise UsageError(
                f"{self.name} holds {wrong[0].item()}, which is no {self.dtype}", f"give {self.describe()}"
            )
        return own


@dataclass(frozen=True)
class ConditionPair:
    """What the images of a run are told, and what guidance compares with; arrays on the host, one entry per image."""

    given: Conditions
    without: Conditions | None = None

    def take(self, index: Any) -> ConditionPair:
        """Those of the images at `index`."""
        return ConditionPair(
            take_entries(self.given, index), None if self.without is None else take_entries(self.without, index)
        )


def take_entries(conditions: Conditions, index: Any) -> Conditions:
    """The entries at `index` of every condition."""
    return {name: values[index] for name, values in conditions.items()}


def as_conditions(conditions: Any) -> Conditions:
    """Conditions by name; the labels alone, or None, are made so."""
    if conditions is None:
        return {}
    return conditions if isinstance(conditions, Mapping) else {LABEL: conditions}


def split_label(conditions: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The labels, if there are any, and the other conditions by name: how a function is called with them."""
    others = dict(as_conditions(conditions))
    return ((others.pop(LABEL),) if LABEL in others else ()), others


def read_conditions(spec: NetworkSpec, values: Mapping[str, ArrayLike], count: int) -> dict[str, NDArray[Any]]:
    """The user's arrays as the network takes them, `(count, *shape)` each; raises UsageError for others.

    A condition that is not given is the null value of every image, if it has one, and is left out where it is built
    into the network's file. The label is not among them.
    """
    refuse_unknown_conditions(spec, values)
    known = {one.name: one for one in spec.conditions}
    arrays = {}
    for name, condition in known.items():
        if name in values:
            arrays[name] = condition.read(values[name], count)
        elif condition.built_in:
            continue
        elif condition.null is not None:
            arrays[name] = condition.fill(count)
        else:
            raise UsageError(
                f"the network needs {condition.describe()} for each image",
                f"give --condition {name}=FILE.npy (conditions={{{name!r}: …}})",
            )
    return arrays


def refuse_unknown_conditions(spec: NetworkSpec, names: Iterable[str]) -> None:
    """Raise UsageError for a name that is none of the network's conditions; it says which there are."""
    known = [one.name for one in spec.conditions]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) if known else "it takes x and a time alone"
            if name == LABEL and spec.classes:
                hint = "its classes are given by --class (labels=)"
            raise UsageError(f"the network takes no condition {format_value(name)}", hint)


def make_null_conditions(
    spec: NetworkSpec, given: Conditions, values: Mapping[str, ArrayLike] | None, count: int
) -> dict[str, NDArray[Any]]:
    """What guidance compares with: `values`, else the null value of each condition that has one.

    A condition without a null value stays as it is given, as long as another one changes. Raises UsageError where there
    is nothing to compare with.
    """
    known = {one.name: one for one in spec.conditions}
    named = read_conditions(spec, {**{k: v for k, v in given.items() if k in known}, **(values or {})}, count)
    changed = set(values or ())
    for name, condition in known.items():
        if name not in changed and condition.built_in:  # what the file compares with is in it, too
            named.pop(name, None)
            changed.add(name)
        elif name not in changed and condition.null is not None:
            named[name] = condition.fill(count, given[name])
            changed.add(name)
    if spec.guidable and LABEL in given:
        named[LABEL] = np.full(count, spec.null_label, dtype=np.int64)
        changed.add(LABEL)
    elif LABEL in given:
        named[LABEL] = given[LABEL]
    if not changed:
        raise UsageError(
            "guidance compares with no condition, and this network was not trained to know a value for that",
            "leave out guidance, or say what to compare with (--negative, without=)",
        )
    return named


def assume_null_conditions(spec: NetworkSpec, count: int) -> dict[str, NDArray[Any]]:
    """The null value of every condition, where none can be told; raises UsageError for one that has none."""
    for one in spec.conditions:
        if one.null is None:
            raise UsageError(
                f"the network needs {one.describe()} for each image, and is told none here",
                "wrap it: dtool.network(lambda x, t: network.predict(x, t, conditions), …)",
            )
    return {one.name: one.fill(count) for one in spec.conditions}


def make_trial_conditions(
    spec: NetworkSpec, count: int, random: np.random.Generator, length: int = TRIAL_LENGTH
) -> dict[str, NDArray[Any]]:
    """Something for every condition, where it only matters that it is there: labels and numbers drawn at random.

    length: of one that varies.
    """
    return dict(_iterate_trial(spec, count, random, length))


def _iterate_trial(
    spec: NetworkSpec, count: int, random: np.random.Generator, length: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    if spec.classes:
        yield LABEL, random.integers(0, spec.labels, count)
    levels = {one.noised_by for one in spec.conditions}
    for one in spec.conditions:
        shape = (count, *(length if n is None else n for n in one.shape))
        values = random.standard_normal(shape, dtype=np.float32) if one.dtype == "float32" else np.ones(shape)
        values = np.abs(np.sin(values)) / 2 if one.name in levels else values
        yield one.name, values.astype(one.dtype)
