"""What every table must satisfy before it is run: shapes, finiteness, and nothing read before it was written."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, get_args

import numpy as np

from dtool.errors import CompileError, UsageError
from dtool.plan.parametrization import parse_sigma_data
from dtool.samplers.rule import Basis

if TYPE_CHECKING:
    from dtool.plan.compiled_plan import Plan


def require_sound(plan: Plan, columns: Collection[str], wide: Collection[str]) -> None:
    """Raise CompileError for a table that cannot be right. wide: which of its columns have several numbers a row."""
    if plan.alpha.size == 0:
        raise CompileError("the plan has no rows", "give a grid of at least two points")
    for name in columns:
        _check_column(plan, name, 2 if name in wide else 1)
    _check_words(plan)
    _check_scales(plan)
    _check_history(plan)
    _check_noise(plan)


def _check_column(plan: Plan, name: str, axes: int) -> None:
    """Its shape, and that its numbers are finite."""
    n, column = plan.alpha.size, getattr(plan, name)
    if column.shape[:1] != (n,) or column.ndim != axes:
        raise CompileError(f"column {name} has shape {column.shape}, not {n} rows", "make the plan with compile()")
    finite = ~np.isinf(column) if name == "t" else np.isfinite(column)  # NaN: a point without a time
    bad = np.flatnonzero(~finite.reshape(n, -1).all(axis=1))
    if bad.size:
        level = f"alpha={plan.alpha[bad[0]]:.3g}, sigma={plan.sigma[bad[0]]:.3g}"
        hint = "the rule divides by something that vanishes there"
        if name in ("m_x", "m_f") and plan.sigma[bad[0]] == 0:
            hint = "an x0 network says nothing of the noise in an image that has none: give the grid end=0"
        if name in ("c_skip", "c_out"):
            hint = "an eps network cannot tell the image where alpha = 0: use prediction v or x0, or another schedule"
        raise CompileError(f"row {bad[0]}: {name} is not finite (at {level})", hint)


def _check_words(plan: Plan) -> None:
    """What the network predicts, and what is remembered."""
    try:
        parse_sigma_data(plan.prediction)
    except UsageError as error:
        raise CompileError(f"unknown prediction {plan.prediction!r}", error.hint) from error
    if plan.basis not in get_args(Basis):
        raise CompileError(f"unknown basis {plan.basis!r}", "x0 or eps")


def _check_scales(plan: Plan) -> None:
    """Of the start, and of guidance."""
    if not (np.isfinite(plan.init) and plan.init > 0):
        raise CompileError(f"the initial scale is {plan.init}", "it is the standard deviation of x at the first point")
    if not (plan.scale is None or 0 <= plan.scale < np.inf) or not 0 <= plan.rescale <= 1:
        raise CompileError(
            f"guidance of scale {plan.scale}, rescaled by {plan.rescale}", "a scale is at least 0, a share 0 to 1"
        )


def _check_history(plan: Plan) -> None:
    """Predictions and saved images are used after they were made, and the last row ends a step."""
    for weights in (plan.b, plan.b_without):
        row, back = np.nonzero(weights)
        if (back > row).any():
            first = int(np.argmax(back > row))
            raise CompileError(f"row {row[first]} uses a prediction {back[first]} rows back", "there is none yet")
    if not plan.step_end[-1]:
        raise CompileError("the last row does not end a step", "make the plan with compile()")
    if ((plan.a_saved != 0) & (np.cumsum(plan.save) == 0)).any():
        raise CompileError("a saved x is used before any was saved", "make the plan with compile()")


def _check_noise(plan: Plan) -> None:
    """Its size, or the bounds between which the network chooses it."""
    if (plan.c < 0).any():
        raise CompileError(
            f"row {np.argmax(plan.c < 0)} scales its noise by a negative number", "use its absolute value"
        )
    if ((plan.c_low > plan.c) | ((plan.c_low <= 0) & (plan.c > 0))).any():
        raise CompileError("the bounds of a row's noise are not 0 < c_low ≤ c", "give the lower one first")
