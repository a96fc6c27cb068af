"""The compiled table: everything that a backend must know to run a sampler, and nothing about how it was derived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from dtool.errors import CompileError, DtoolError
from dtool.samplers.rule import Basis, Prediction

FORMAT = 2  # 1 had no b_raw, c_low and inverse
Column = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Plan:
    """A sampler as a table: one row a network call, float64, immutable, hashable.

    Row i, with F = network(c_in·x, time) and the history H of predictions, newest first:

        D  = c_skip·x + c_out·F                     the predicted image; may be clipped
        m  = D, or (x - alpha·D)/sigma              by `basis` (D where alpha = 0); H = [m, *H]
        s  = x, if save
        x' = a·x + a_saved·s + Σ_k b[k]·H[k] + b_raw·(c_skip·x + c_out·F - D) + c·z

    c is the standard deviation of the noise; where c_low is less, the network chooses it, number by number:
    c_low^(1-f)·c^f, f = (v+1)/2, with v the second half of its output. `inverse`: the plan leads from an image, the
    user's own, to noise.
    `x` starts as init·z. If D is not changed after it is predicted, m may be had directly as m_x·x + m_f·F, without
    the division by a small α. `step_end` marks the rows that end an interval. `t` is the row's time on the plan's own
    schedule, `time` that of the network, whose training schedule `trained_hash` names.
    Raises CompileError if the table cannot be right (see `_check`).
    """

    recipe: str
    sampler: str
    cite: str
    schedule: str
    schedule_hash: str
    trained_hash: str
    prediction: Prediction
    basis: Basis
    init: float
    t: Column
    time: Column
    alpha: Column
    sigma: Column
    c_in: Column
    c_skip: Column
    c_out: Column
    m_x: Column
    m_f: Column
    a: Column
    a_saved: Column
    b: Column
    c: Column
    save: NDArray[np.bool_]
    step_end: NDArray[np.bool_]
    b_raw: Column = field(default_factory=lambda: np.empty(0))  # zero throughout
    c_low: Column = field(default_factory=lambda: np.empty(0))  # as c
    inverse: bool = False

    def __post_init__(self) -> None:
        if np.size(self.b_raw) == 0:
            object.__setattr__(self, "b_raw", np.zeros(np.shape(self.c)))
        if np.size(self.c_low) == 0:
            object.__setattr__(self, "c_low", self.c)
        for column in COLUMNS:
            dtype = np.bool_ if column in FLAGS else np.float64
            values: NDArray[Any] = np.array(getattr(self, column), dtype=dtype)  # a copy: nobody else can write to it
            values.setflags(write=False)
            object.__setattr__(self, column, values)
        _check(self)

    @property
    def rows(self) -> int:
        """Network calls."""
        return int(self.alpha.size)

    @property
    def steps(self) -> int:
        """Intervals of the grid that go towards the image."""
        return int(self.step_end.sum())

    @property
    def history(self) -> int:
        """K: how many predictions are remembered, the newest included."""
        return int(self.b.shape[1])

    @property
    def draws(self) -> int:
        """Rows that add noise."""
        return int(np.count_nonzero(self.c))

    @cached_property
    def images(self) -> NDArray[np.bool_]:
        """The rows whose entry in the history is the image: all, by `basis`, or those at alpha = 0, where ε is mute."""
        return np.asarray((self.alpha == 0) | (self.basis == "x0"))

    @property
    def stochastic(self) -> bool:
        """Whether any row adds noise."""
        return self.draws > 0

    @property
    def learned(self) -> bool:
        """Whether any row's noise is of a size that the network chooses."""
        return bool((self.c_low != self.c).any())

    def derived(self, key: object, make: Callable[[], T]) -> T:
        """What `make()` computes from this plan alone, kept with it under `key`: a plan runs many times."""
        if key not in self._derived:
            self._derived[key] = make()
        made: T = self._derived[key]
        return made

    @cached_property
    def _derived(self) -> dict[object, Any]:
        return {}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the JSON form, shortened."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The plan as JSON, one column a line; `from_json` gives it back bit for bit."""
        lines = [f'"format": {FORMAT}']
        lines += [f"{json.dumps(name)}: {json.dumps(getattr(self, name))}" for name in HEADER]
        lines += [f"{json.dumps(name)}: {json.dumps(_listed(getattr(self, name)))}" for name in COLUMNS]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote, and check it; raises DtoolError if it is something else: see `document`."""
        from dtool.plan.document import columns_of

        try:
            return cls(**columns_of(text))
        except (ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, DtoolError):
                raise
            raise DtoolError(f"this is not a plan ({error})", "write one with: dtool plan RECIPE --json") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<Plan {self.recipe}: {self.steps} steps, {self.rows} network calls, hash {self.hash}>"


FLAGS: tuple[str, ...] = ("save", "step_end")
HEADER: tuple[str, ...] = (*(f.name for f in fields(Plan)[:9]), "inverse")
COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Plan) if f.name not in HEADER)


def _listed(column: NDArray[Any]) -> list[Any]:
    """A column as JSON can hold it: None where the clean end's time would be NaN."""
    values: list[Any] = column.tolist()
    return [None if isinstance(v, float) and v != v else v for v in values]


def _check(plan: Plan) -> None:
    """The static check: shapes, finiteness, and nothing read before it was written."""
    n = plan.alpha.size
    if n == 0:
        raise CompileError("the plan has no rows", "give a grid of at least two points")
    for name in COLUMNS:
        column = getattr(plan, name)
        if column.shape[:1] != (n,) or column.ndim != (2 if name == "b" else 1):
            raise CompileError(f"column {name} has shape {column.shape}, not {n} rows", "make the plan with compile()")
        fit = ~np.isinf(column) if name == "t" else np.isfinite(column)  # NaN: a point without a time
        bad = np.flatnonzero(~fit.reshape(n, -1).all(axis=1))
        if bad.size:
            level = f"alpha={plan.alpha[bad[0]]:.3g}, sigma={plan.sigma[bad[0]]:.3g}"
            hint = "the rule divides by something that vanishes there"
            if name in ("m_x", "m_f") and plan.sigma[bad[0]] == 0:
                hint = "an x0 network says nothing of the noise in an image that has none: give the grid end=0"
            if name in ("c_skip", "c_out"):
                hint = (
                    "an eps network cannot tell the image where alpha = 0: use prediction v or x0, or another schedule"
                )
            raise CompileError(f"row {bad[0]}: {name} is not finite (at {level})", hint)
    if plan.prediction not in get_args(Prediction) or plan.basis not in get_args(Basis):
        raise CompileError(
            f"unknown prediction {plan.prediction!r} or basis {plan.basis!r}", "eps, x0, v or flow; x0 or eps"
        )
    if not (np.isfinite(plan.init) and plan.init > 0):
        raise CompileError(f"the initial scale is {plan.init}", "it is the standard deviation of x at the first point")
    row, back = np.nonzero(plan.b)
    if (back > row).any():
        first = int(np.argmax(back > row))
        raise CompileError(f"row {row[first]} uses a prediction {back[first]} rows back", "there is none yet")
    if (plan.c < 0).any():
        raise CompileError(
            f"row {np.argmax(plan.c < 0)} scales its noise by a negative number", "use its absolute value"
        )
    if ((plan.c_low > plan.c) | ((plan.c_low <= 0) & (plan.c > 0))).any():
        raise CompileError("the bounds of a row's noise are not 0 < c_low ≤ c", "give the lower one first")
    if not plan.step_end[-1]:
        raise CompileError("the last row does not end a step", "make the plan with compile()")
    if ((plan.a_saved != 0) & (np.cumsum(plan.save) == 0)).any():
        raise CompileError("a saved x is used before any was saved", "make the plan with compile()")
