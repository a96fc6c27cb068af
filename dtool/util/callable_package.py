"""Packages that can be called: `dtool.plan` is both the package and the function of that name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Let `module(...)` mean `function(...)`, with its signature and docstring."""

    class CallableModule(ModuleType):
        __call__ = staticmethod(function)

    CallableModule.__doc__ = function.__doc__
    sys.modules[module].__class__ = CallableModule
