"""What public functions are given: plain arguments are checked by type before anything is done, in one way for all."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import core_schema

from dtool.errors import UsageError, format_value

P = ParamSpec("P")
R = TypeVar("R")
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text", types.NoneType: "None"}
MAX_BITS = 256  # bits of a whole number; what is beyond could not even be written into an error


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, refusing arguments of another type than its annotations say: UsageError, before anything is done.

    A number is no text and no truth value, a fraction no whole number; numpy's numbers are numbers, and arrive as
    Python's. Looked at are plain types, literals, paths, functions and classes, alone or as alternatives; where one of
    them is a sequence, an array or Any, the argument is the function's own to check.
    """
    signature = inspect.signature(function)

    @functools.cache
    def get_adapter(name: str) -> tuple[TypeAdapter[Any], str] | None:
        return _make_adapter(get_hints().get(name, Any))

    @functools.cache
    def get_hints() -> dict[str, Any]:
        return typing.get_type_hints(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            is_default = value is signature.parameters[name].default  # for which no adapter need be made
            if not is_default and (check := get_adapter(name)) is not None:
                bound.arguments[name] = _check_argument(name, value, *check)
        return function(*bound.args, **bound.kwargs)

    return wrapper


def _check_argument(name: str, value: object, adapter: TypeAdapter[Any], expected: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        hint = f"give {expected}; this is of type {type(value).__name__}"
        if callable(value) and type(value).__name__.endswith("Maker"):  # what a decorator made: a schedule with options
            hint = f"call it: {getattr(value, 'name', 'it')}()"
        raise UsageError(f"{name}={format_value(value)} is not {expected}", hint) from error


def as_integers(name: str, values: object) -> NDArray[np.int64]:
    """A whole number or a list of them as int64 `()` or `(n,)`: of a list, an array or a tensor.

    Raises UsageError for anything else: fractions and truth values are not rounded, sets have no order.
    """
    refused = UsageError(f"{name}={format_value(values)} is not whole numbers", "give one, or a list: [0, 1, 2]")
    listed = hasattr(values, "__len__") or np.isscalar(values) or hasattr(values, "__array__")
    if isinstance(values, (str, bytes, Mapping, AbstractSet)) or not listed:
        raise refused
    try:
        array = np.asarray(getattr(values, "cpu", lambda: values)())  # a tensor may be anywhere
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise refused from error
    array = array.astype(np.int64) if array.size == 0 and array.ndim == 1 else array
    if array.dtype.kind not in "iu" or array.ndim > 1 or (array.dtype == np.uint64 and (array >= 1 << 63).any()):
        raise refused
    return array.astype(np.int64)


def as_numbers(name: str, values: object, shape: str, *, whole: bool = False) -> NDArray[Any]:
    """An array of finite floating-point numbers, or with `whole` of any real ones; raises UsageError for anything else.

    shape: as an error names it.
    """
    kind = "" if whole else "floating-point "
    refused = UsageError(f"{name}={format_value(values)} is no array of {kind}numbers", f"give an array {shape}")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise refused from error
    if array.dtype.kind not in ("fiub" if whole else "f") or array.ndim == 0:
        raise refused
    require_finite(name, not array.size or bool(np.isfinite(array.min()) and np.isfinite(array.max())))
    return array


def require_finite(name: str, finite: bool) -> None:
    """Raise UsageError unless all numbers of an array are finite."""
    if not finite:
        raise UsageError(f"{name} holds numbers that are not finite", "look at where it comes from")


def _make_adapter(hint: Any) -> tuple[TypeAdapter[Any], str] | None:
    """What checks an annotation, and how it is called; None for what is not looked at here."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    alternatives = [_parse_alternative(part) for part in parts]
    if not all(alternatives):
        return None
    kinds, words = [each[0] for each in alternatives if each], [each[1] for each in alternatives if each]
    union: Any = functools.reduce(lambda a, b: a | b, kinds)
    whole: Any = typing.Annotated[union, BeforeValidator(_to_python)]
    words = [word for word in words if word != "None"] or ["None"]
    expected = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
    return TypeAdapter(whole, config=ConfigDict(strict=True, arbitrary_types_allowed=True)), expected


def _parse_alternative(hint: Any) -> tuple[Any, str] | None:
    """One alternative of an annotation as pydantic takes it, and in words; None if it is not plain."""
    if hint in _WORDS or hint is None:
        return hint, _WORDS[hint or types.NoneType]
    origin = typing.get_origin(hint)
    if origin is Literal:
        return str, "a text"  # which one, is for the function to say: it knows what they mean
    if origin is collections.abc.Callable:
        return Callable, "a function"
    if hint is Path:
        return _instance_of(Path), "a path"
    if getattr(hint, "__name__", "") == "Network":
        return _instance_of(hint), "a Network (what dtool.load and dtool.network make)"
    own = isinstance(hint, type) and hint.__module__.partition(".")[0] == "dtool" and not _is_protocol_class(hint)
    return (_instance_of(hint), f"a {hint.__name__}") if own else None


def _is_protocol_class(hint: type) -> bool:
    return bool(getattr(hint, "_is_protocol", False))


@dataclass(frozen=True)
class _IsInstance:
    """Only an instance is let through; pydantic's own class for that also reads every field of the kind."""

    kind: type

    def __get_pydantic_core_schema__(self, *_: Any) -> Any:
        return core_schema.is_instance_schema(self.kind)


def _instance_of(kind: type) -> Any:
    return typing.Annotated[Any, _IsInstance(kind)]


def _to_python(value: Any) -> Any:
    """A number of numpy's, or a tensor of one number, as Python's own; raises ValueError for one beyond all use."""
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("too many digits")
    return value
