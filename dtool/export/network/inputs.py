"""How a module is called by the exporter: its inputs in one order, examples of them, and one tensor as its output."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor, nn

from dtool.models.conditions import LABEL, make_trial_conditions
from dtool.models.spec import NetworkSpec
from dtool.run.returned_arrays import extract_array

BATCH = "batch"


def unwrap_output(module: nn.Module, spec: NetworkSpec) -> nn.Module:
    """`module`, or where it returns an object or a tuple with the tensor in it, a module that returns that tensor."""
    if spec.conditions:  # it is called through another module then, which does that
        return module
    try:
        with torch.no_grad():
            output = module(*make_example_inputs(spec, batch=3))
        if isinstance(output, Tensor):
            return module
        extract_array(output, Tensor, "a tensor")
    except Exception:  # told where it is exported
        return module
    return _UnwrappedOutput(module).eval()


class _UnwrappedOutput(nn.Module):
    """A module's prediction without what it is wrapped in."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The tensor in what the module returns."""
        output = self.inner(x, t) if label is None else self.inner(x, t, label)
        tensor: Tensor = extract_array(output, Tensor, "a tensor")
        return tensor


class ByPosition(nn.Module):
    """A module that takes conditions by their names, called with all inputs in the order of `list_inputs`."""

    def __init__(self, inner: nn.Module, spec: NetworkSpec) -> None:
        super().__init__()
        self.inner = inner
        self.labels = min(spec.classes, 1)
        self.names = [one.name for one in spec.conditions]

    def forward(self, x: Tensor, t: Tensor, *told: Tensor) -> Tensor:
        """The tensor in what the module returns."""
        others = dict(zip(self.names, told[self.labels :], strict=True))
        tensor: Tensor = extract_array(self.inner(x, t, *told[: self.labels], **others), Tensor, "a tensor")
        return tensor


def list_inputs(spec: NetworkSpec) -> tuple[str, ...]:
    """The inputs of a network's graph, in their order."""
    return ("x", "t", *((LABEL,) if spec.classes else ()), *(one.name for one in spec.conditions))


def make_example_inputs(spec: NetworkSpec, batch: int) -> tuple[Tensor, ...]:
    """Inputs as the network gets them: x `(B, *shape)` and t `(B,)` float32, label `(B,)` int64 if it has classes.

    Then its conditions, in their order.
    """
    x = torch.randn((batch, *spec.shape), generator=torch.Generator().manual_seed(0))
    t = torch.arange(batch, dtype=torch.float32)
    label = ((spec.labels - 1 - torch.arange(batch)) % spec.labels,) if spec.classes else ()
    told = make_trial_conditions(spec, batch, np.random.default_rng(0))
    return (x, t, *label, *(torch.from_numpy(told[one.name]) for one in spec.conditions))


def name_dynamic_axes(spec: NetworkSpec) -> list[dict[int, str]]:
    """For each input the axes of which the graph takes any size, and what they are called there."""
    axes: list[dict[int, str]] = [{0: BATCH} for _ in list_inputs(spec)]
    for one, own in zip(reversed(spec.conditions), reversed(axes), strict=False):
        plain = re.sub(r"\W", "_", one.name)
        own |= {1 + k: f"{plain}_length{k or ''}" for k, size in enumerate(one.shape) if size is None}
    return axes
