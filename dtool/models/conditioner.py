"""A conditioner: from the words that a user types for a condition to its array."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dtool.models.conditions import Condition
from dtool.plugins.isolation import Origin

MakeArray = Callable[[str, Condition], Any]


@dataclass(frozen=True, kw_only=True)
class Conditioner:
    """Makes the array of a condition from words: `--condition NAME=CONDITIONER:WORDS`.

    make(words, condition): the array, of `condition.shape` for all images or with an axis of images before it.
    """

    name: str
    make: MakeArray = field(repr=False)
    summary: str = ""
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.make.__doc__ or "")


def conditioner(name: str, *, summary: str = "") -> Callable[[MakeArray], Conditioner]:
    """Make a conditioner out of a function `(words, condition) -> array`. See `Conditioner`.

    >>> @dtool.conditioner("ramp", summary="a ramp of this height")
    ... def ramp(words, condition):
    ...     return [float(words) * i for i in range(condition.shape[0])]
    >>> ramp.name
    'ramp'
    """

    def wrap(function: MakeArray) -> Conditioner:
        return Conditioner(name=name, make=function, summary=summary)

    return wrap
