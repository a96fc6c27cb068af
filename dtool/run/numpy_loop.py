"""The loop of `dtool.run.loop` on numpy arrays, made fast: the same numbers, at two thirds of its cost.

A network call leaves the caches cold, and then every function, lookup and new array costs ten times what it does
elsewhere. So in a step there are none but numpy's own and the network's: what can be done before the loop, is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import add, maximum, minimum, multiply
from numpy.typing import NDArray

from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.steps import Table, make_table
from dtool.run import loop
from dtool.run.clipping import Clipping


def run(
    plan: Plan,
    predict: Callable[[Any, Any], Any] | Sequence[Callable[[Any, Any], Any]],
    x: NDArray[Any],
    times: NDArray[Any],
    noise: Iterator[NDArray[Any]],
    *,
    limit: Clipping | None = None,
    keep: Callable[[Any], Any] | None = None,
    on_call: Callable[[], None] | None = None,
) -> NDArray[Any]:
    """As `dtool.run.loop.run`: x at the end of the plan, from x `(B, *)` at its start."""
    if plan.compares.any() or keep is not None:  # rare, and their arithmetic costs little
        return np.asarray(loop.run(plan, predict, x, times, noise, limit=limit, keep=keep, on_call=on_call))
    table, number = make_table(plan, limit is not None), x.dtype.type
    calls = loop.list_calls(predict, plan)
    ring, clips = table.history + 1, limit is not None and limit.quantile is None
    low, high = (number(limit.low), number(limit.high)) if limit is not None else (number(0), number(0))
    images, entries = ([np.empty_like(x) for _ in range(ring)] for _ in range(2))
    scaled, term = _find_input_buffer(calls, x), np.empty_like(x)
    history: list[NDArray[Any]] = []
    saved, x = x, x.copy() if (table.c_in != 1).any() else np.positive(x, out=scaled)
    steps = _join_steps(plan, table, times, calls, number)
    for t, call, (i, c_in, c_skip, c_out, a, d, f, a_saved, adds, m, m_x, save, b) in steps:
        image = output = call(x if c_in is None else multiply(x, c_in, out=scaled), t)
        if limit is not None:
            image = multiply(output, c_out, out=images[i % ring])
            if c_skip is not None:
                add(image, multiply(x, c_skip, out=term), out=image)
            image = minimum(maximum(image, low, out=image), high, out=image) if clips else limit(image)
        if save:
            saved = x.copy()
        entry = image
        if ring > 1 and m is not None:
            entry = multiply(image, m, out=entries[i % ring])
            if m_x is not None:
                add(entry, multiply(x, m_x, out=term), out=entry)
        if a is None:
            multiply(image, d, out=x)
        else:
            multiply(x, a, out=x)
            if d is not None:
                add(x, multiply(image, d, out=term), out=x)
        if f is not None:
            add(x, multiply(output, f, out=term), out=x)
        for weight, past in zip(b, history, strict=False):
            if weight is not None:
                add(x, multiply(past, weight, out=term), out=x)
        if a_saved is not None:
            add(x, multiply(saved, a_saved, out=term), out=x)
        if adds:
            add(x, next(noise), out=x)
        history = [entry, *history[: ring - 2]] if ring > 1 else history
        if on_call is not None:
            on_call()
    return x.copy() if x is scaled else x


def _find_input_buffer(calls: Sequence[Any], x: NDArray[Any]) -> NDArray[Any]:
    """The array that the calls read without copying it, if there is one for x; else a new one."""
    homes = (getattr(call, "home", None) for call in dict.fromkeys(calls))
    home: NDArray[Any] | None = next((one for one in homes if one is not None), None)
    return np.empty_like(x) if home is None or (home.shape, home.dtype) != (x.shape, x.dtype) else home


def _join_steps(
    plan: Plan, table: Table, times: NDArray[Any], calls: Sequence[Any], number: Callable[[float], Any]
) -> list[tuple[Any, Any, tuple[Any, ...]]]:
    """The times, calls and rows of a run; the rows are made once a plan."""
    rows = plan.get_or_compute(("host loop", number, table.limited), lambda: _convert_rows(table, number))
    return list(zip(times, calls, rows, strict=True))


def _convert_rows(table: Table, number: Callable[[float], Any]) -> list[tuple[Any, ...]]:
    """Rows of numbers in the dtype of x; None for what needs no arithmetic: a factor of 1, a summand of 0.

    `d` is the weight of what the network says, the image if it is limited and else its output, `m` that in the history.
    """

    def column(values: Column, without: float = 0.0) -> list[Any]:
        return [None if value == without else number(value) for value in values.tolist()]

    if table.limited:
        d, m, f = column(table.d), column(table.m_d, 1.0), column(table.f)
    else:  # the history has no use for the output itself: the next call overwrites it
        d, m, f = column(table.f), column(table.m_f, np.nan), [None] * len(table.c)
    # x' needs one summand at least
    a = [number(value) if value != 0 or rest is None else None for value, rest in zip(table.a.tolist(), d, strict=True)]
    return list(
        zip(
            range(len(a)), column(table.c_in, 1.0), column(table.c_skip), column(table.c_out, np.nan),
            a, d, f, column(table.a_saved), (table.c != 0).tolist(), m, column(table.m_x), table.save.tolist(),
            [column(row) for row in table.b], strict=True,
        )
    )  # fmt: skip
