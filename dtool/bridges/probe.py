"""What foreign code does to its data, watched while it runs: noise that it draws, values that it clips, precision.

A sampler of another library only adds and scales arrays. Here it does so with arrays of coefficients, float64, in which
the start, each answer of the network, each clipped value and each drawn noise is a unit vector of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dtool.errors import UsageError

_NOISE = {"randn", "randn_like"}
_CASTS = {"float", "half", "bfloat16"}
_CLIPS = {"clamp", "clip", "clamp_", "clip_"}
_NARROW = (torch.float32, torch.float16, torch.bfloat16)
_NOT_LINEAR = {
    "abs", "absolute", "norm", "quantile", "max", "min", "amax", "amin", "sqrt", "exp", "log", "pow", "__pow__", "sign",
    "std", "var", "where", "sigmoid", "tanh", "square", "vector_norm", "item", "__bool__", "round", "nan_to_num",
    "clamp_min", "clamp_max", "maximum", "minimum", "sort", "topk",
}  # fmt: skip
_PRODUCTS = {"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply", "div", "div_", "__truediv__", "true_divide"}
Interval = tuple[float, float]


@dataclass(kw_only=True)
class Events:
    """What was seen in one run: of each drawn noise the interval of its Brownian path, None if it is by itself.

    `clips`: (network calls so far, lowest, highest) of each clipped array, and `clipped` the arrays. `suspects`: by the
    number of network calls so far, functions of data that are not linear. `starts`: the calls that begin a step, if the
    levels do not say it.
    """

    calls: int = 0
    draws: list[Interval | None] = field(default_factory=list)
    clips: list[tuple[int, float, float]] = field(default_factory=list)
    clipped: list[Any] = field(default_factory=list)
    suspects: dict[int, str] = field(default_factory=dict)
    starts: set[int] | None = None


class Probe(TorchFunctionMode):
    """While it is entered, arrays of `shape` stay float64, and noise and clipped values are what it is told.

    draw(k): the k-th noise. clip(k): what the k-th clipping gives. Both are float64 of `shape`.
    """

    def __init__(self, shape: tuple[int, ...], draw: Callable[[int], Any], clip: Callable[[int], Any]) -> None:
        super().__init__()
        self.shape, self.draw, self.clip, self.events = shape, draw, clip, Events()
        self._count = prod(shape)

    def make_noise(self, interval: Interval | None = None) -> Any:
        """The next noise; of a Brownian path it is the increment over `interval`, scaled to variance 1."""
        self.events.draws.append(interval)
        return self.draw(len(self.events.draws) - 1).clone()

    def __torch_function__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What PyTorch calls in the place of each of its functions."""
        name = getattr(func, "__name__", "")
        if name not in _NOISE and not any(isinstance(one, torch.Tensor) and one.numel() == self._count for one in args):
            return func(*args, **(kwargs or {}))  # most calls are of numbers alone
        kwargs = dict(kwargs or {})
        if name in _NOISE and self._get_size(name, args, kwargs) == self.shape:
            return self.make_noise()
        data = [value for value in (*args, *kwargs.values()) if self._is_data(value)]
        if name in _NOT_LINEAR:  # of as many numbers as the data, in whatever shape
            self.events.suspects.setdefault(self.events.calls, name.strip("_"))
        if data:
            if name in _CLIPS and self._is_data(args[0]):
                return self._intercept_clip(func, args, kwargs)
            if name in _PRODUCTS and len(data) > 1:
                self.events.suspects.setdefault(self.events.calls, name.strip("_"))
            if name in _CASTS:
                return args[0]
            args = tuple(torch.float64 if _is_narrow(value) else value for value in args)
            kwargs = {key: torch.float64 if _is_narrow(value) else value for key, value in kwargs.items()}
        return func(*args, **kwargs)

    def _is_data(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and tuple(value.shape) == self.shape

    def _get_size(self, name: str, args: Any, kwargs: Any) -> tuple[int, ...]:
        """The shape of the noise that is asked for."""
        if name == "randn_like":
            return tuple(args[0].shape)
        size = kwargs.get("size", args)
        return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)

    def _intercept_clip(self, func: Any, args: Any, kwargs: Any) -> Any:
        bounds = [*args[1:], None, None]
        low, high = kwargs.get("min", bounds[0]), kwargs.get("max", bounds[1])
        if not all(isinstance(bound, int | float) for bound in (low, high)):
            self.events.suspects.setdefault(self.events.calls, "clamp to bounds that depend on x")
            return func(*args, **kwargs)
        self.events.clips.append((self.events.calls, float(low), float(high)))
        self.events.clipped.append(args[0].clone())
        return self.clip(len(self.events.clips) - 1).clone()


def _is_narrow(value: Any) -> bool:
    return isinstance(value, torch.dtype) and value in _NARROW


class BrownianPath:
    """In the place of a library's Brownian tree: it is called with the ends of an interval."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def __call__(self, one: Any, other: Any, *_: Any, **__: Any) -> Any:
        """The increment between two levels, whichever comes first."""
        low, high = sorted((float(one), float(other)))
        return self._probe.make_noise((low, high))


@contextlib.contextmanager
def replace_names(names: dict[str, Any], **values: Any) -> Iterator[None]:
    """While it is entered, those of the names that a module has, its `vars`, are these values in it."""
    before = {name: names[name] for name in values if name in names}
    try:
        names.update({name: values[name] for name in before})
        yield
    finally:
        names.update(before)


class Widened:
    """A module whose float32 is float64: tables are asked for in float32 by that name."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, "float64" if name == "float32" else name)


@contextlib.contextmanager
def widen_constants(*modules: ModuleType) -> Iterator[None]:
    """While it is entered, the tables that these modules make are float64."""
    import numpy as np

    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with contextlib.ExitStack() as stack:
            for module in modules:
                stack.enter_context(replace_names(vars(module), torch=Widened(torch), np=Widened(np)))
            yield
    finally:
        torch.set_default_dtype(default)


def require_finite(values: Any, name: str, calls: int) -> None:
    """Raise UsageError for an array with NaN or infinity, which a network would be asked about."""
    if not bool(torch.isfinite(values).all()):
        what = "at its start" if calls == 0 else f"after network call {calls}"
        raise UsageError(f"{name} gives NaN or infinity {what}", "use other options, or another number of steps")
