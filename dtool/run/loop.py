"""Running a plan: the loop, for any backend. It only adds and scales arrays. `numpy_loop` is the same, made fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.plan.compiled_plan import Plan
from dtool.plan.steps import TableRow, make_table
from dtool.run.arithmetic import add, mix
from dtool.run.clipping import Clipping


@dataclass
class StepRecord:
    """What the steps looked like: `x` at the start of each and at the end, `x0` predicted at the start of each."""

    x: list[Any] = field(default_factory=list)
    x0: list[Any] = field(default_factory=list)


def run(
    plan: Plan,
    predict: Callable[[Any, Any], Any] | Sequence[Callable[[Any, Any], Any]],
    x: Any,
    times: Any,
    noise: Iterator[Any],
    *,
    limit: Clipping | None = None,
    steps: StepRecord | None = None,
    keep: Callable[[Any], Any] | None = None,
    on_call: Callable[[], None] | None = None,
) -> Any:
    """x at the end of the plan, from x `(B, *)` at its start: the steps that `dtool.plan.steps.Table` describes.

    predict(x, t): the network's output; one function for all rows, or one each. In a row that compares it is a pair,
    with the output without conditions, or None where that is the same. times `(rows, B)`: what the network is told.
    noise: c·z for each row whose c is not 0, z standard Gaussian. limit: what every predicted image is kept to; ε then
    follows again from what it gives. steps: filled in if given. keep(x): x after every row, with what must stay as it
    is (`dtool.run.editing`). on_call(): after every network call. Nothing that was given is changed.
    """
    table = make_table(plan, limit is not None)
    rows = table.rows()  # all of them now: a network call leaves the caches cold, and then each costs ten times as much
    history: list[Any] = []
    gaps: list[Any] = []
    saved = image = without = None
    gap: Any = None
    start_of_step = True
    for call, t, row in zip(list_calls(predict, plan), times, rows, strict=True):
        output = call(x if row.c_in == 1 else row.c_in * x, t)
        if row.compares:
            output, without = output
        traced = steps is not None and start_of_step
        if limit is not None or traced:
            image = mix(row.c_out, output, row.c_skip, x)
        if limit is not None:
            image = limit(image)
        if steps is not None and traced:
            steps.x.append(x)
            steps.x0.append(image)
        if row.compares:
            gap = 0 * x if without is None else _compare(row, x, output, image, without, limit)
        if row.save:
            saved = x if row.shift == 0 else x + row.shift * gap
        start, x = x, mix(row.a, x, row.f, output) if row.d == 0 else mix(row.d, image, row.a, x)
        if row.d != 0 and row.f != 0:
            x = add(x, row.f, output)
        for weight, past in zip(row.b, history, strict=False):
            if weight != 0:
                x = add(x, weight, past)
        if row.g != 0:
            x = add(x, row.g, gap)
        for weight, past in zip(row.b_without, gaps, strict=False):
            if weight != 0:
                x = add(x, weight, past)
        if row.a_saved != 0:
            x = add(x, row.a_saved, saved)
        if row.c != 0:
            x += next(noise)
        if keep is not None:
            x = keep(x)
        if table.history:
            entry = image if row.m_d == 1 else _make_entry(row, start, output, image)
            entry = entry if row.m_g == 0 else add(entry, row.m_g, gap)
            history = [entry, *history][: table.history]
        gaps = [gap, *gaps][: len(row.b_without)]
        start_of_step = row.step_end
        if on_call is not None:
            on_call()
    if steps is not None:
        steps.x.append(x)
    return x


def list_calls(
    predict: Callable[[Any, Any], Any] | Sequence[Callable[[Any, Any], Any]], plan: Plan
) -> Sequence[Callable[[Any, Any], Any]]:
    """The function of every row; one that is for all of them, which knows of no conditions, compares with nothing."""
    if isinstance(predict, Sequence):
        return predict
    alone = predict
    return [(lambda x, t: (alone(x, t), None)) if compares else alone for compares in plan.compares.tolist()]


def _compare(row: TableRow, x: Any, output: Any, image: Any, without: Any, limit: Clipping | None) -> Any:
    """By how much the predicted image is another without the conditions."""
    if limit is None:
        return row.c_out * (output - without)
    return image - limit(mix(row.c_out, without, row.c_skip, x))


def _make_entry(row: TableRow, x: Any, output: Any, image: Any) -> Any:
    """What the history remembers of a row, where that is not the image itself."""
    return mix(row.m_f, output, row.m_x, x) if row.m_d == 0 else mix(row.m_d, image, row.m_x, x)


def repeat_times(times: NDArray[np.float64], batch: int, dtype: Any) -> NDArray[Any]:
    """What the network is told at every row `(rows,)`, for every image of a batch, `(rows, B)`."""
    return np.repeat(times[:, None], batch, axis=1).astype(dtype)
