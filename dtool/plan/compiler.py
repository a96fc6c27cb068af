"""compile(rule, points) → Plan: call the rule once an interval with symbols, and write down what it returns."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot, isfinite, sqrt
from operator import attrgetter
from typing import Any, cast

import numpy as np

from dtool.errors import CompileError, DtoolError
from dtool.plan.form import Form
from dtool.plan.plan import Plan
from dtool.plan.point import Node, Point, walked
from dtool.plan.prediction import history_map, output_map, times_on
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers.schedule import Schedule

# Symbols are integers: of row i, its input x is 4i, its prediction m is 4i+1, its noise z is 4i+2, and what clipping
# took off its predicted image 4i+3.
_X, _M, _Z, _CLIPPED, _KINDS = 0, 1, 2, 3, 4


@dataclass(slots=True)
class _Row:
    """x_{i+1} = a·x_i + a_saved·s + Σ b_j·m_j + b_raw·(what clipping took off) + c·z."""

    point: Point
    a: float = 0.0
    a_saved: float = 0.0
    b: dict[int, float] = field(default_factory=dict)
    b_raw: float = 0.0
    c: float = 0.0
    c_low: float = 0.0
    z: int = -1
    save: bool = False
    step_end: bool = False


class _Symbols(Node):
    """The node of a network call, in symbols; each is made when a rule asks for it."""

    __slots__ = ("first",)

    def __init__(self, point: Point, first: int, rule: Rule) -> None:
        m = Form({first + _M: 1.0})
        x0, eps = (m, None) if rule.basis == "x0" or point.alpha == 0 else (None, m)
        z = Form({first + _Z: 1.0}) if rule.stochastic else None
        super().__init__(point, Form({first + _X: 1.0}), x0=x0, eps=eps, z=z)
        self.first = first

    @property
    def x0(self) -> Any:
        """The image that the network's output predicts."""
        if self._x0 is None:
            self._x0 = Form({self.first: 1 / self.alpha, self.first + _M: -self.sigma / self.alpha})
        return self._x0

    @property
    def eps(self) -> Any:
        """The noise that the network's output predicts."""
        if self._eps is None:
            self._eps = Form({self.first: 1 / self.sigma, self.first + _M: -self.alpha / self.sigma})
        return self._eps

    @property
    def raw_eps(self) -> Any:
        """The noise that the network's output predicts before its image is clipped."""
        return self.eps - self.alpha / self.sigma * Form({self.first + _CLIPPED: 1.0})


class _Table:
    """The rows so far, and the elimination that keeps them short.

    A rule may return any linear form over every x, m and z that there has been. A row can hold only the current x, so
    an older x is eliminated: row j solved for x_j gives it in terms of x_{j+1}. What cannot be eliminated, because
    the row forgot x_j (a = 0) or because fresh noise came in between, is taken from a saved copy of the interval's x.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rows: list[_Row] = []
        self.nodes: list[Node] = []
        self.drawn: set[int] = set()  # the noises that rows have used

    def node(self, point: Point) -> Node:
        """Begin row i at `point`: the node that the network call there makes."""
        first = _KINDS * len(self.rows)
        self.rows.append(_Row(point))
        self.nodes.append(_Symbols(point, first, self.rule))
        return self.nodes[-1]

    def end_row(self, form: Any, start: int, to: Point, step_end: bool) -> None:
        """Finish the newest row with what the rule returned; `start` is the row at which the interval began."""
        if not isinstance(form, Form):
            raise self._error(f"returned a {type(form).__name__}, which is not a linear form of x, x0, eps and z", to)
        i = len(self.rows) - 1
        row, x, terms = self.rows[i], _KINDS * i, form.terms
        old = [symbol // _KINDS for symbol in terms if symbol < x and symbol % _KINDS == _X]
        if old:
            found = self._eliminated(form, min(old), i, None) or self._eliminated(form, min(old), i, start)
            if found is None:
                raise self._error("needs an x that the plan has lost", to)
            terms = found
        for symbol, value in terms.items():
            if not isfinite(value):
                raise self._error("gives a coefficient that is not finite", to)
            if value == 0:
                continue
            if symbol == x:
                row.a = value
                continue
            j, kind = divmod(symbol, _KINDS)
            if kind == _M:
                row.b[j] = value
            elif kind == _X:
                row.a_saved, self.rows[start].save = value, True
            elif kind == _CLIPPED:
                if j != i:
                    raise self._error("uses the raw prediction of an earlier network call", to)
                row.b_raw = value
            elif row.z >= 0 or j in self.drawn or (j != i and self.nodes[j].spread != 1):
                raise self._error("uses noise twice, or two draws of it in one network call", to)
            else:
                row.c, row.z = abs(value), j  # z and -z have the same law
                row.c_low = row.c * self.nodes[j].spread
        if row.z >= 0:
            self.drawn.add(row.z)
        row.step_end = step_end

    def _eliminated(self, form: Form, oldest: int, i: int, keep: int | None) -> dict[int, float] | None:
        """`form` without x_j for oldest ≤ j < i, but for j = keep; None if that cannot be."""
        terms = {symbol: value for symbol, value in form.terms.items() if value != 0}
        for j in range(oldest, i):
            factor = terms.pop(_KINDS * j + _X, 0.0) if j != keep else 0.0
            if factor == 0:
                continue
            row = self.rows[j]
            if row.a == 0 or row.a_saved != 0 or row.b_raw != 0 or row.c_low != row.c:
                return None
            factor /= row.a
            parts = {_KINDS * (j + 1) + _X: 1.0, **{_KINDS * k + _M: -v for k, v in row.b.items()}}
            if row.c:
                parts[_KINDS * row.z + _Z] = -row.c
            for symbol, value in parts.items():
                terms[symbol] = terms.get(symbol, 0.0) + factor * value
        # What cancels in exact arithmetic leaves a rounding error; a history is not made longer for it.
        size = max([abs(v) for v in terms.values()], default=0.0)
        terms = {symbol: value for symbol, value in terms.items() if not abs(value) < 1e-15 * size}
        noises = [s // _KINDS for s in terms if s % _KINDS == _Z]
        return None if len(noises) > 1 or self.drawn.intersection(noises) else terms

    def settle(self, node: Node) -> None:
        """Write what the rule kept on `node` in terms of the next row's x: it stays as short as the history."""
        for name, form in node.kept.items():
            old = [s // _KINDS for s in form.terms if s % _KINDS == _X] if isinstance(form, Form) else []
            found = self._eliminated(form, min(old), len(self.rows), None) if old else None
            if found is not None:
                node.keep(**{name: Form(found)})

    def jump(self, now: Point, to: Point) -> None:
        """An upward interval: the forward process from `now` to `to`, folded into the newest row.

        Of noise whose size the network chooses, both bounds are widened.
        """
        row = self.rows[-1]
        scale = to.alpha / now.alpha
        added = sqrt(max(to.sigma**2 - (scale * now.sigma) ** 2, 0.0))
        row.a, row.a_saved, row.c = scale * row.a, scale * row.a_saved, hypot(scale * row.c, added)
        row.b_raw, row.c_low = scale * row.b_raw, hypot(scale * row.c_low, added)
        row.b = {j: scale * value for j, value in row.b.items()}
        if row.z < 0:
            row.z = len(self.rows) - 1
        self.drawn.add(row.z)

    def _error(self, what: str, to: Point) -> CompileError:
        now = self.rows[-1].point
        return CompileError(
            f"{self.rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: it {what}",
            "run the rule with arrays (dtool.plan.run_eager) to see its values",
        )


def compile(  # noqa: A001 - the word for it
    rule: Rule,
    points: Sequence[Point],
    *,
    prediction: Prediction = "eps",
    schedule: Schedule | None = None,
    recipe: str = "",
) -> Plan:
    """Compile a rule on a grid of points into a plan.

    points: at least two, from noise to image; no point twice in a row. A grid may go up again: an upward interval adds
    noise by the forward process, without a network call, and the rule's history starts anew.
    An inverse rule walks the same grid backwards, from image to noise.
    prediction: what the network's output means. schedule: the one the points lie on, for the header.
    Raises CompileError if the rule is not linear, if the grid cannot be walked, or if the table is not finite.
    """
    points = walked(points, inverse=rule.inverse)
    table = _Table(rule)
    before: Node | None = None
    for now, to in pairwise(points):
        if to.lam < now.lam and not rule.inverse:
            table.jump(now, to)
            before = None
            continue
        node = table.node(now)
        node.before = before
        _interval(table, rule, node, to)
        if node.kept:
            table.settle(node)
        before = node
    return _plan(table, prediction, schedule, recipe or rule.token)


def _interval(table: _Table, rule: Rule, now: Node, to: Point) -> None:
    """One interval: the rows that the rule asks for, the last of them ending at `to`."""
    start = len(table.rows) - 1
    result: Any
    try:
        result = rule(now, to, now.z)
        if isinstance(result, Form) or not inspect.isgenerator(result):
            table.end_row(result, start, to, step_end=True)
            return
        stages: Generator[tuple[Form, Point], Node | None, Form] = cast("Any", result)
        stage: Node | None = None
        while True:
            guess, point = stages.send(stage)
            table.end_row(guess, start, point, step_end=False)
            stage = table.node(point)
    except StopIteration as stop:
        table.end_row(stop.value, start, to, step_end=True)
    except DtoolError as error:
        if not isinstance(error, CompileError) or rule.name in str(error):
            raise
        raise CompileError(f"{rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: {error}", error.hint) from error
    except Exception as error:
        raise CompileError(
            f"{rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: {type(error).__name__}: {error}",
            "the rule must hold for every interval that it is given, the ends included",
        ) from error


def _plan(table: _Table, prediction: Prediction, schedule: Schedule | None, recipe: str) -> Plan:
    rows, rule = table.rows, table.rule
    n = len(rows)
    at = [i for i, row in enumerate(rows) for _ in row.b]
    back = [i - j for i, row in enumerate(rows) for j in row.b]
    b = np.zeros((n, 1 + max(back, default=0)))
    b[at, back] = [value for row in rows for value in row.b.values()]
    names = ("a", "a_saved", "b_raw", "c", "c_low", "save", "step_end")
    columns = {name: np.array(list(map(attrgetter(name), rows))) for name in names}
    points = [row.point for row in rows]
    alpha, sigma, t = (np.array(list(map(attrgetter(name), points))) for name in ("alpha", "sigma", "t"))
    time, c_in = np.where(np.isnan(t), 0.0, t), np.ones(n)
    if schedule is not None:  # a point of the rule's own, or of the user's, has no time yet
        time, c_in, _ = times_on(schedule, t, alpha, sigma)
    c_skip, c_out = output_map(prediction, alpha, sigma, c_in)
    m_x, m_f = history_map(rule.basis, prediction, alpha, sigma, c_in)
    return Plan(
        recipe=recipe, sampler=rule.token, cite=rule.cite,
        schedule=schedule.token if schedule else "", schedule_hash=schedule.hash if schedule else "",
        trained_hash=schedule.hash if schedule else "",
        prediction=prediction, basis=rule.basis, init=float(hypot(alpha[0], sigma[0])),
        t=t, time=time, alpha=alpha, sigma=sigma, c_in=c_in, c_skip=c_skip, c_out=c_out,
        m_x=m_x, m_f=m_f, b=b, inverse=rule.inverse, **columns,
    )  # fmt: skip
