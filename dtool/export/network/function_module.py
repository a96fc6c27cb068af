"""A function of tensors as a module, for the exporter; the modules that it calls are copies."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

from torch import nn


class FunctionModule(nn.Module):
    """A function, a method or an object that is called with tensors.

    The modules that it calls, as far as they are seen (in its closure, its globals, its object), lie in `inner`. They
    are copies: what is done to them, as to compute in float32, does not reach the user's.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function, found = _copy_function(function) if inspect.isfunction(function) else _copy_object(function)
        self.inner = nn.ModuleDict({name: part for name, part in found.items() if isinstance(part, nn.Module)})

    def forward(self, *arguments: Any, **others: Any) -> Any:
        """What the function returns."""
        return self.function(*arguments, **others)


def _copy_function(function: FunctionType) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A function over copies of the modules that it names, and these by their names."""
    names = inspect.getclosurevars(function)
    copies = {name: _copy_module(value) for name, value in {**names.globals, **names.nonlocals}.items()}
    free = function.__code__.co_freevars
    cells = tuple(
        CellType(copies.get(name, cell.cell_contents))
        for name, cell in zip(free, function.__closure__ or (), strict=True)
    )
    outside = function.__globals__ | {name: copies[name] for name in names.globals}
    other = FunctionType(function.__code__, outside, function.__name__, function.__defaults__, cells or None)
    other.__kwdefaults__ = function.__kwdefaults__
    return other, copies


def _copy_object(function: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A copy of a method, with its object, or of an object that can be called; and what it holds."""
    other = copy.deepcopy(function)
    held = getattr(other, "__self__", other)
    return other, {"self": held} if isinstance(held, nn.Module) else {**vars(held)}


def _copy_module(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, nn.Module) else value
