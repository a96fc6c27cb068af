"""A registered function with its options bound: what spacings and guidances have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import BaseModel

from dtool.plugins.isolation import Origin
from dtool.util.options import build_options_model, check_options, format_token, list_options


@dataclass(frozen=True, kw_only=True)
class BoundFunction:
    """A function of a name, its citation, and the values of its options.

    sources: the functions whose keyword-only parameters are the options, its own first.
    """

    name: str
    function: Callable[..., Any]
    cite: str
    sources: tuple[Callable[..., Any], ...] = field(repr=False)
    options: tuple[tuple[str, Any], ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def model(self) -> type[BaseModel]:
        """The options' types, ranges, defaults and descriptions."""
        return build_options_model(*self.sources)

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def token(self) -> str:
        """It as it is written in a recipe."""
        return format_token(self.name, self.model, dict(self.options))

    def bind(self, **options: Any) -> Self:
        """The same with these options; raises UsageError for what it does not have."""
        return replace(self, options=tuple(check_options(self.name, self.model, options).items()))

    def list_arguments(self, common: Container[str]) -> dict[str, Any]:
        """The options that the function itself takes: of those that are `common` to its kind what it names."""
        own = inspect.signature(self.function).parameters
        return {name: value for name, value in self.options if name in own or name not in common}


def list_defaults(*sources: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    """The options that have a value where nobody gives one, with it."""
    options = list_options(*sources)
    return tuple((name, one.default) for name, one in options.items() if one.default is not one.empty)
