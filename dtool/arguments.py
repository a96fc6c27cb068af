"""What public functions are given: plain arguments are checked by type before anything is done, in one way for all."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, InstanceOf, TypeAdapter, ValidationError

from dtool.errors import UsageError, shown

P = ParamSpec("P")
R = TypeVar("R")
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text", types.NoneType: "None"}
LARGEST = 256  # bits of a whole number; what is beyond could not even be written into an error


def checks_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, refusing arguments of another type than its annotations say: UsageError, before anything is done.

    A number is no text and no truth value, a fraction no whole number; numpy's numbers are numbers, and arrive as
    Python's. Looked at are plain types, literals, paths, functions and classes, alone or as alternatives; where one of
    them is a sequence, an array or Any, the argument is the function's own to check.
    """
    signature = inspect.signature(function)

    @functools.cache
    def known() -> dict[str, tuple[TypeAdapter[Any], str]]:
        hints = typing.get_type_hints(function)
        return {name: made for name in signature.parameters if (made := _adapter(hints.get(name, Any))) is not None}

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        for name, (adapter, expected) in known().items():
            if name in given.arguments:
                given.arguments[name] = _checked(name, given.arguments[name], adapter, expected)
        return function(*given.args, **given.kwargs)

    return wrapper


def _checked(name: str, value: object, adapter: TypeAdapter[Any], expected: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        hint = f"give {expected}; this is of type {type(value).__name__}"
        raise UsageError(f"{name}={shown(value)} is not {expected}", hint) from error


def whole_numbers(name: str, values: object) -> NDArray[np.int64]:
    """A whole number or a list of them as int64 `()` or `(n,)`: of a list, an array or a tensor.

    Raises UsageError for anything else: fractions and truth values are not rounded, sets have no order.
    """
    refused = UsageError(f"{name}={shown(values)} is not whole numbers", "give one, or a list: [0, 1, 2]")
    listed = hasattr(values, "__len__") or np.isscalar(values) or hasattr(values, "__array__")
    if isinstance(values, (str, bytes, Mapping, AbstractSet)) or not listed:
        raise refused
    try:
        found = np.asarray(getattr(values, "cpu", lambda: values)())  # a tensor may be anywhere
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise refused from error
    found = found.astype(np.int64) if found.size == 0 and found.ndim == 1 else found
    if found.dtype.kind not in "iu" or found.ndim > 1 or (found.dtype == np.uint64 and (found >= 1 << 63).any()):
        raise refused
    return found.astype(np.int64)


def numbers(name: str, values: object, shape: str, *, whole: bool = False) -> NDArray[Any]:
    """An array of finite floating-point numbers, or with `whole` of any real ones; raises UsageError for anything else.

    shape: as an error names it.
    """
    kind = "" if whole else "floating-point "
    refused = UsageError(f"{name}={shown(values)} is no array of {kind}numbers", f"give an array {shape}")
    try:
        found = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise refused from error
    if found.dtype.kind not in ("fiub" if whole else "f") or found.ndim == 0:
        raise refused
    require_finite(name, not found.size or bool(np.isfinite(found.min()) and np.isfinite(found.max())))
    return found


def require_finite(name: str, finite: bool) -> None:
    """Raise UsageError unless all numbers of an array are finite."""
    if not finite:
        raise UsageError(f"{name} holds numbers that are not finite", "look at where it comes from")


def _adapter(hint: Any) -> tuple[TypeAdapter[Any], str] | None:
    """What checks an annotation, and how it is called; None for what is not looked at here."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    made = [_part(part) for part in parts]
    if not all(made):
        return None
    kinds, words = [each[0] for each in made if each], [each[1] for each in made if each]
    union: Any = functools.reduce(lambda a, b: a | b, kinds)
    whole: Any = typing.Annotated[union, BeforeValidator(_plain)]
    words = [word for word in words if word != "None"] or ["None"]
    expected = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
    return TypeAdapter(whole, config=ConfigDict(strict=True, arbitrary_types_allowed=True)), expected


def _part(hint: Any) -> tuple[Any, str] | None:
    """One alternative of an annotation as pydantic takes it, and in words; None if it is not plain."""
    if hint in _WORDS or hint is None:
        return hint, _WORDS[hint or types.NoneType]
    origin = typing.get_origin(hint)
    if origin is Literal:
        return str, "a text"  # which one, is for the function to say: it knows what they mean
    if origin is collections.abc.Callable:
        return Callable, "a function"
    if hint is Path:
        return _instance(Path), "a path"
    if getattr(hint, "__name__", "") == "Network":
        return _instance(hint), "a Network (what dtool.load and dtool.network make)"
    own = isinstance(hint, type) and hint.__module__.partition(".")[0] == "dtool" and not _protocol(hint)
    return (_instance(hint), f"a {hint.__name__}") if own else None


def _protocol(hint: type) -> bool:
    return bool(getattr(hint, "_is_protocol", False))


def _instance(kind: type) -> Any:
    return InstanceOf[kind]  # type: ignore[misc, valid-type]


def _plain(value: Any) -> Any:
    """A number of numpy's, or a tensor of one number, as Python's own; raises ValueError for one beyond all use."""
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, int) and value.bit_length() > LARGEST:
        raise ValueError("too many digits")
    return value
