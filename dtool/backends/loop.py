"""Running a plan: the loop that numpy, PyTorch and ONNX Runtime share. It only adds and scales arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.backends.arithmetic import Arithmetic
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
    on: Arithmetic | None = None,
    steps: Steps | None = None,
    called: Callable[[], None] | None = None,
) -> Any:
    """x at the end of the plan, from x `(B, *)` at its start.

    predict(x, t): the network's output. times `(rows, B)`: what the network is told. noise(i): standard Gaussian noise
    for row i. bounds: clip every predicted image to them; ε then follows again from the clipped image.
    on: the backend's arithmetic. steps: filled in if given. called(): after every network call.
    Nothing that was given is changed.
    """
    on = on or Arithmetic()
    history: list[Any] = []
    saved: Any = None
    start_of_step = True
    noises, older = (~plan.images).tolist(), plan.history - 1
    rows = zip(times, *_columns(plan, bounds is not None), strict=True)
    for i, (t, alpha, sigma, c_in, c_skip, c_out, m_x, m_f, a, a_saved, b, b_old, f, c, save, step_end) in enumerate(
        rows
    ):
        output = predict(x if c_in == 1 else c_in * x, t)
        m = on.mix(m_f, output, m_x, x) if bounds is None else on.clip(on.mix(c_out, output, c_skip, x), *bounds)
        if steps is not None and start_of_step:
            steps.x.append(on.keep(x))
            steps.x0.append(on.keep(on.mix(c_out, output, c_skip, x) if bounds is None else m))
        if save:
            saved = on.keep(x)
        start, x = x, on.mix(b, m, a, x)
        for weight, past in zip(b_old, history, strict=False):
            if weight != 0:
                x = on.add(x, weight, past)
        if a_saved != 0:
            x = on.add(x, a_saved, saved)
        if f != 0:
            x = on.add(x, f, output)
        if c != 0:
            x = on.add(x, c, noise(i))
        if older:
            if bounds is not None and noises[i]:
                m = on.mix(1 / sigma, start, -alpha / sigma, m)
            history = [m, *history][:older]
        start_of_step = step_end
        if called is not None:
            called()
    x = on.keep(x)
    if steps is not None:
        steps.x.append(x)
    return x


def _columns(plan: Plan, clipped: bool) -> list[list[Any]]:
    """What a step is made of. With clipping, a, b and f multiply x, the clipped x0 and F: ε is (x - α x0)/σ."""
    a, b, f = plan.a, plan.b[:, 0], np.zeros(plan.rows)
    if clipped and plan.basis == "eps":
        a, b = np.where(plan.images, (a, b), (a + b / plan.sigma, -b * plan.alpha / plan.sigma))
    if clipped:
        a, b, f = a + plan.b_raw * plan.c_skip, b - plan.b_raw, plan.b_raw * plan.c_out
    columns = (
        plan.alpha, plan.sigma, plan.c_in, plan.c_skip, plan.c_out, plan.m_x, plan.m_f,
        a, plan.a_saved, b, plan.b[:, 1:], f, plan.c, plan.save, plan.step_end,
    )  # fmt: skip
    return [column.tolist() for column in columns]


def network_times(plan: Plan, batch: int, dtype: Any) -> np.ndarray[Any, Any]:
    """The network's time of every row for every image of a batch, `(rows, B)`."""
    return np.repeat(plan.time[:, None], batch, axis=1).astype(dtype)
