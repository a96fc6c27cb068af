"""Random options of anything registered, by their types and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dtool.errors import UsageError
from dtool.util.options import parse_option

T = TypeVar("T")


def try_options(make: Callable[[], T]) -> T | None:
    """What `make` returns; None where it raises a UsageError, which then tells the cause and the remedy."""
    try:
        return make()
    except UsageError as error:
        refusal = error
    assert str(refusal), "a refusal tells the cause"
    assert refusal.hint, f"a refusal tells a remedy: {refusal}"
    return None


def random_options(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the options that such a model has, each with a value that its own type and range take."""
    known = {
        name: values for name, field in model.model_fields.items() if (values := _random_values(field)) is not None
    }

    def is_taken(options: dict[str, Any]) -> bool:
        try:
            return all(parse_option(model, name, value) == value for name, value in options.items())
        except ValidationError:
            return False

    return st.fixed_dictionaries({}, optional=known).filter(is_taken)


def _random_values(field: FieldInfo) -> st.SearchStrategy[Any] | None:
    """Values of an option's type and range; None for texts, whose grammar only the option knows."""
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    bounds = {name: getattr(m, name) for m in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind is bool:
        return st.booleans()
    if kind is int:
        low = 0 if low is None else low + ("gt" in bounds)
        return st.integers(low, min(low + 200, math.inf if high is None else high))
    if kind is float:
        low, high = -10.0 if low is None else float(low), 100.0 if high is None else float(high)
        return st.floats(low, high, exclude_min="gt" in bounds, exclude_max="lt" in bounds, width=64)
    return None
