"""The options of foreign functions: their parameters that are numbers, words or truth values."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal, Union

from pydantic import BaseModel, ConfigDict, create_model

_SIMPLE = (bool, int, float, str)


def build_model(name: str, functions: Iterable[Callable[..., Any]], skipped: Iterable[str]) -> type[BaseModel]:
    """The options of all these functions together; of one name in several it is the first's.

    skipped: parameters that are none: what the functions are given in any case.
    """
    fields: dict[str, Any] = {}
    left_out = {*skipped, "self", "return"}
    for function in functions:
        hints = _read_hints(function)
        for parameter in inspect.signature(function).parameters.values():
            kind = _simplify(hints.get(parameter.name, type(parameter.default)))
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if not named or kind is None or parameter.name in left_out or parameter.name.startswith("_"):
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            fields.setdefault(parameter.name, (kind | None if default is None else kind, default))
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    model: type[BaseModel] = create_model(name, __config__=config, **fields)
    return model


def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's annotations, none where they cannot be read."""
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # names that exist for type checkers alone
        return {}


def _simplify(annotation: Any) -> Any:
    """The part of an annotation that one can type: a number, a word, a truth value; None if there is none."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        simple = [part for part in parts if _simplify(part) is not None]
        return simple[0] if len(parts) == 1 and simple else _join_numbers(parts)
    if typing.get_origin(annotation) is Literal:
        return annotation
    return annotation if annotation in _SIMPLE else None


def _join_numbers(parts: list[Any]) -> Any:
    """`float` for int | float; None for a mixture that has other things in it."""
    return float if set(parts) == {int, float} else None
