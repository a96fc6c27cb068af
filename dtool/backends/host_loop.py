"""The loop of `dtool.backends.loop` on numpy arrays, made fast: the same numbers, at two thirds of its cost.

A network call leaves the caches cold, and then every function, lookup and new array costs ten times what it does
elsewhere. So in a step there are none but numpy's own and the network's: what can be done before the loop, is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import add, maximum, minimum, multiply
from numpy.typing import NDArray

from dtool.backends.limit import Limit
from dtool.plan.plan import Column, Plan
from dtool.plan.table import Table, table


def run(
    plan: Plan,
    predict: Callable[[Any, Any], Any],
    x: NDArray[Any],
    times: NDArray[Any],
    noise: Iterator[NDArray[Any]],
    *,
    limit: Limit | None = None,
    called: Callable[[], None] | None = None,
) -> NDArray[Any]:
    """As `dtool.backends.loop.run`: x at the end of the plan, from x `(B, *)` at its start."""
    made, number = table(plan, limit is not None), x.dtype.type
    kept, clips = made.history + 1, limit is not None and limit.quantile is None
    low, high = (number(limit.low), number(limit.high)) if limit is not None else (number(0), number(0))
    images, entries = ([np.empty_like(x) for _ in range(kept)] for _ in range(2))
    scaled, term = _home(predict, x), np.empty_like(x)
    history: list[NDArray[Any]] = []
    saved, x = x, x.copy() if (made.c_in != 1).any() else np.positive(x, out=scaled)
    for t, (i, c_in, c_skip, c_out, a, d, f, a_saved, adds, m, m_x, save, b) in _steps(plan, made, times, number):
        said = output = predict(x if c_in is None else multiply(x, c_in, out=scaled), t)
        if limit is not None:
            said = multiply(output, c_out, out=images[i % kept])
            if c_skip is not None:
                add(said, multiply(x, c_skip, out=term), out=said)
            said = minimum(maximum(said, low, out=said), high, out=said) if clips else limit(said)
        if save:
            saved = x.copy()
        entry = said
        if kept > 1 and m is not None:
            entry = multiply(said, m, out=entries[i % kept])
            if m_x is not None:
                add(entry, multiply(x, m_x, out=term), out=entry)
        if a is None:
            multiply(said, d, out=x)
        else:
            multiply(x, a, out=x)
            if d is not None:
                add(x, multiply(said, d, out=term), out=x)
        if f is not None:
            add(x, multiply(output, f, out=term), out=x)
        for weight, past in zip(b, history, strict=False):
            if weight is not None:
                add(x, multiply(past, weight, out=term), out=x)
        if a_saved is not None:
            add(x, multiply(saved, a_saved, out=term), out=x)
        if adds:
            add(x, next(noise), out=x)
        history = [entry, *history[: kept - 2]] if kept > 1 else history
        if called is not None:
            called()
    return x.copy() if x is scaled else x


def _home(predict: Any, x: NDArray[Any]) -> NDArray[Any]:
    """The array that `predict` reads without copying it, if there is one for x; else a new one."""
    home: NDArray[Any] | None = getattr(predict, "home", None)
    return np.empty_like(x) if home is None or (home.shape, home.dtype) != (x.shape, x.dtype) else home


def _steps(
    plan: Plan, made: Table, times: NDArray[Any], number: Callable[[float], Any]
) -> list[tuple[Any, tuple[Any, ...]]]:
    """The times and rows of a run; the rows are made once a plan."""
    rows = plan.derived(("host loop", number, made.limited), lambda: _rows(made, number))
    return list(zip(times, rows, strict=True))


def _rows(made: Table, number: Callable[[float], Any]) -> list[tuple[Any, ...]]:
    """Rows of numbers in the dtype of x; None for what needs no arithmetic: a factor of 1, a summand of 0.

    `d` is the weight of what the network says, the image if it is limited and else its output, `m` that in the history.
    """

    def column(values: Column, without: float = 0.0) -> list[Any]:
        return [None if value == without else number(value) for value in values.tolist()]

    if made.limited:
        d, m, f = column(made.d), column(made.m_d, 1.0), column(made.f)
    else:  # the history has no use for the output itself: the next call overwrites it
        d, m, f = column(made.f), column(made.m_f, np.nan), [None] * len(made.c)
    # x' needs one summand at least
    a = [number(value) if value != 0 or rest is None else None for value, rest in zip(made.a.tolist(), d, strict=True)]
    return list(
        zip(
            range(len(a)), column(made.c_in, 1.0), column(made.c_skip), column(made.c_out, np.nan),
            a, d, f, column(made.a_saved), (made.c != 0).tolist(), m, column(made.m_x), made.save.tolist(),
            [column(row) for row in made.b], strict=True,
        )
    )  # fmt: skip
