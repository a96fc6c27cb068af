"""The options of a sampler, each value that its type names, one at a time."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from dtool.samplers import get_sampler


def list_variants(token: str) -> list[str]:
    """The sampler with each notable value of each of its options, the others at their default.

    Notable are the choices of a Literal, both truths, the whole numbers of a bounded range, and the ends and the
    middle of a bounded range of real numbers.
    """
    fields = get_sampler(token).model.model_fields
    return [f"{token}:{key}={value}" for key, f in fields.items() for value in _notable_values(f) if value != f.default]


def _notable_values(field: Any) -> list[Any]:
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    if field.annotation is bool:
        return [False, True]
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    if low is None or high is None:
        return []
    if field.annotation is int:
        return list(range(low, high + 1)) if high - low < 10 else [low, high]
    return [low, (low + high) / 2, high] if field.annotation is float else []
