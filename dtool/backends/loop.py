"""Running a plan: the loop that numpy, PyTorch and ONNX Runtime share. It only adds and scales arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.plan.plan import Plan


@dataclass
class Steps:
    """What the steps looked like: `x` at the start of each and at the end, `x0` predicted at the start of each."""

    x: list[Any] = field(default_factory=list)
    x0: list[Any] = field(default_factory=list)


def run(
    plan: Plan,
    predict: Callable[[Any, Any], Any],
    x: Any,
    times: Any,
    noise: Callable[[int], Any],
    *,
    bounds: tuple[float, float] | None = None,
    steps: Steps | None = None,
    called: Callable[[], None] | None = None,
) -> Any:
    """x at the end of the plan, from x `(B, *)` at its start.

    predict(x, t): the network's output. times `(rows, B)`: what the network is told. noise(i): standard Gaussian noise
    for row i. bounds: clip every predicted image to them; ε then follows again from the clipped image. steps: filled in
    if given. called(): after every network call.
    """
    history: list[Any] = []
    saved: Any = None
    start_of_step = True
    rows = zip(*(getattr(plan, name).tolist() for name in _COLUMNS), strict=True)
    for i, (alpha, sigma, c_in, c_skip, c_out, m_x, m_f, a, a_saved, b, c, save, step_end) in enumerate(rows):
        output = predict(x if c_in == 1 else c_in * x, times[i])
        if bounds is None:
            m = output if m_x == 0 and m_f == 1 else m_x * x + m_f * output
        else:
            x0 = (c_skip * x + c_out * output).clip(*bounds)
            m = x0 if plan.basis == "x0" else (x - alpha * x0) / sigma
        if steps is not None and start_of_step:
            steps.x.append(x)
            steps.x0.append(c_skip * x + c_out * output if bounds is None else x0)
        history = [m, *history[: plan.history - 1]]
        if save:
            saved = x
        total = b[0] * m if a == 0 else a * x + b[0] * m
        for weight, older in zip(b[1:], history[1:], strict=False):
            if weight != 0:
                total = total + weight * older
        if a_saved != 0:
            total = total + a_saved * saved
        if c != 0:
            total = total + c * noise(i)
        x, start_of_step = total, step_end
        if called is not None:
            called()
    if steps is not None:
        steps.x.append(x)
    return x


def network_times(plan: Plan, batch: int, dtype: Any) -> np.ndarray[Any, Any]:
    """The network's time of every row for every image of a batch, `(rows, B)`."""
    return np.repeat(plan.time[:, None], batch, axis=1).astype(dtype)


_COLUMNS = (
    "alpha", "sigma", "c_in", "c_skip", "c_out", "m_x", "m_f", "a", "a_saved", "b", "c", "save", "step_end",
)  # fmt: skip
