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
    walk = Walk(plan, limit)
    for call, t in zip(list_calls(predict, plan), times, strict=True):
        output = call(walk.scale(x), t)
        traced = steps is not None and walk.begins_step
        before, x = x, walk.advance(x, output, noise, traced=traced)
        if steps is not None and traced:
            steps.x.append(before)
            steps.x0.append(walk.image)
        if keep is not None:
            x = keep(x)
        if on_call is not None:
            on_call()
    if steps is not None:
        steps.x.append(x)
    return x


class Walk:
    """The rows of a plan, one after another: what happens to x between two calls of the network.

    `at`: how many rows are done. `image`: the image predicted in the last row, kept to the limit if there is one, if it
    was needed or asked for.
    """

    def __init__(self, plan: Plan, limit: Clipping | None = None) -> None:
        table = make_table(plan, limit is not None)
        self._limit, self._length = limit, table.history
        # all of them now: a network call leaves the caches cold, and then each costs ten times as much
        self._rows = table.rows()
        self._history: list[Any] = []
        self._gaps: list[Any] = []
        self._saved: Any = None
        self.at, self.begins_step = 0, True
        self.image: Any = None

    @property
    def row(self) -> TableRow:
        """The row that comes next."""
        return self._rows[self.at]

    def scale(self, x: Any) -> Any:
        """What the network is given for x `(B, *)` in the next row."""
        row = self.row
        return x if row.c_in == 1 else row.c_in * x

    def advance(self, x: Any, output: Any, noise: Iterator[Any], *, traced: bool = False) -> Any:
        """x `(B, *)` after the next row, of what the network answers in it; as `run` says. traced: keep the image."""
        row, limit = self.row, self._limit
        image: Any = None
        without: Any = None
        gap: Any = None
        if row.compares:
            output, without = output
        if limit is not None or traced:
            image = mix(row.c_out, output, row.c_skip, x)
        if limit is not None:
            image = limit(image)
        if row.compares:
            gap = 0 * x if without is None else _compare(row, x, output, image, without, limit)
        if row.save:
            self._saved = x if row.shift == 0 else x + row.shift * gap
        after = self._combine(row, x, output, image, gap)
        if row.c != 0:
            after += next(noise)
        if self._length:
            entry = image if row.m_d == 1 else _make_entry(row, x, output, image)
            entry = entry if row.m_g == 0 else add(entry, row.m_g, gap)
            self._history = [entry, *self._history][: self._length]
        self._gaps = [gap, *self._gaps][: len(row.b_without)]
        self.image, self.begins_step = image, row.step_end
        self.at += 1
        return after

    def _combine(self, row: TableRow, x: Any, output: Any, image: Any, gap: Any) -> Any:
        """x', but for its noise: the sum of what the row weighs."""
        after = mix(row.a, x, row.f, output) if row.d == 0 else mix(row.d, image, row.a, x)
        if row.d != 0 and row.f != 0:
            after = add(after, row.f, output)
        for weight, past in zip(row.b, self._history, strict=False):
            if weight != 0:
                after = add(after, weight, past)
        if row.g != 0:
            after = add(after, row.g, gap)
        for weight, past in zip(row.b_without, self._gaps, strict=False):
            if weight != 0:
                after = add(after, weight, past)
        return after if row.a_saved == 0 else add(after, row.a_saved, self._saved)


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
