"""Running a plan: the loop, for any backend. It only adds and scales arrays. `host_loop` is the same, made fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.backends.arithmetic import add, mix
from dtool.backends.limit import Limit
from dtool.plan.plan import Plan
from dtool.plan.table import Row, table


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
    noise: Iterator[Any],
    *,
    limit: Limit | None = None,
    steps: Steps | None = None,
    called: Callable[[], None] | None = None,
) -> Any:
    """x at the end of the plan, from x `(B, *)` at its start: the steps that `dtool.plan.table.Table` describes.

    predict(x, t): the network's output. times `(rows, B)`: what the network is told. noise: c·z for each row whose c is
    not 0, z standard Gaussian. limit: what every predicted image is kept to; ε then follows again from what it gives.
    steps: filled in if given. called(): after every network call. Nothing that was given is changed.
    """
    made = table(plan, limit is not None)
    rows = made.rows()  # all of them now: a network call leaves the caches cold, and then each costs ten times as much
    history: list[Any] = []
    saved = image = None
    start_of_step = True
    for t, row in zip(times, rows, strict=True):
        output = predict(x if row.c_in == 1 else row.c_in * x, t)
        traced = steps is not None and start_of_step
        if limit is not None or traced:
            image = mix(row.c_out, output, row.c_skip, x)
        if limit is not None:
            image = limit(image)
        if steps is not None and traced:
            steps.x.append(x)
            steps.x0.append(image)
        if row.save:
            saved = x
        start, x = x, mix(row.a, x, row.f, output) if row.d == 0 else mix(row.d, image, row.a, x)
        if row.d != 0 and row.f != 0:
            x = add(x, row.f, output)
        for weight, past in zip(row.b, history, strict=False):
            if weight != 0:
                x = add(x, weight, past)
        if row.a_saved != 0:
            x = add(x, row.a_saved, saved)
        if row.c != 0:
            x += next(noise)
        if made.history:
            entry = image if row.m_d == 1 else _entry(row, start, output, image)
            history = [entry, *history][: made.history]
        start_of_step = row.step_end
        if called is not None:
            called()
    if steps is not None:
        steps.x.append(x)
    return x


def _entry(row: Row, x: Any, output: Any, image: Any) -> Any:
    """What the history remembers of a row, where that is not the image itself."""
    return mix(row.m_f, output, row.m_x, x) if row.m_d == 0 else mix(row.m_d, image, row.m_x, x)


def network_times(plan: Plan, batch: int, dtype: Any) -> np.ndarray[Any, Any]:
    """The network's time of every row for every image of a batch, `(rows, B)`."""
    return np.repeat(plan.time[:, None], batch, axis=1).astype(dtype)
