"""The rows of a plan while it is compiled: the symbols that a rule is called with, and what becomes of its result."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import hypot, isfinite, sqrt
from typing import Any

from dtool.errors import CompileError
from dtool.plan.linear_form import LinearForm
from dtool.plan.point import Node, Point
from dtool.samplers.rule import Rule

# Symbols are integers: of row i, its input x is 5i, its prediction m is 5i+1, its noise z is 5i+2, what clipping took
# off its predicted image is 5i+3, and by how much that is another without the conditions 5i+4.
_X, _M, _Z, _CLIPPED, _GAP, _KINDS = 0, 1, 2, 3, 4, 5
MAX_LOOKBACK = 32  # intervals back to the oldest prediction that a row may use


@dataclass(kw_only=True, slots=True)
class DraftRow:
    """x_{i+1} = a·x_i + a_saved·s + Σ b_j·m_j + Σ b_without_j·G_j + b_raw·(what clipping took off) + c·z."""

    point: Point
    a: float = 0.0
    a_saved: float = 0.0
    b: dict[int, float] = field(default_factory=dict)
    b_without: dict[int, float] = field(default_factory=dict)
    b_raw: float = 0.0
    c: float = 0.0
    c_low: float = 0.0
    z: int = -1
    save: bool = False
    step_end: bool = False


class _SymbolicNode(Node):
    """The node of a network call, in symbols; each is computed when a rule asks for it."""

    __slots__ = ("first",)

    def __init__(self, point: Point, first: int, rule: Rule) -> None:
        m = LinearForm({first + _M: 1.0})
        x0, eps = (m, None) if rule.basis == "x0" or point.alpha == 0 else (None, m)
        z = LinearForm({first + _Z: 1.0}) if rule.stochastic else None
        super().__init__(point, LinearForm({first + _X: 1.0}), x0=x0, eps=eps, z=z)
        self.first = first

    @property
    def x0(self) -> Any:
        """The image that the network's output predicts."""
        if self._x0 is None:
            self._x0 = LinearForm({self.first: 1 / self.alpha, self.first + _M: -self.sigma / self.alpha})
        return self._x0

    @property
    def eps(self) -> Any:
        """The noise that the network's output predicts."""
        if self._eps is None:
            self._eps = LinearForm({self.first: 1 / self.sigma, self.first + _M: -self.alpha / self.sigma})
        return self._eps

    @property
    def without(self) -> Node:
        """The node as the network sees it without the conditions, as it is given them if there is no guidance."""
        if self._without is None:
            gap = LinearForm({self.first + _GAP: 1.0})
            x0 = self.x0 - gap if self._eps is None else None
            eps = None if x0 is not None else self.eps + self.alpha / self.sigma * gap
            self._without = Node(self.point, self.x, x0=x0, eps=eps, z=self.z)
        return self._without

    @property
    def raw_eps(self) -> Any:
        """The noise that the network's output predicts before its image is clipped."""
        if self.sigma == 0:
            return self.eps  # of the image itself nothing is clipped from which ε could follow
        return self.eps - self.alpha / self.sigma * LinearForm({self.first + _CLIPPED: 1.0})


class Draft:
    """The rows so far, and the elimination that keeps them short.

    A rule may return any linear form over every x, m and z that there has been. A row can hold only the current x, so
    an older x is eliminated: row j solved for x_j gives it in terms of x_{j+1}. What cannot be eliminated, because
    the row forgot x_j (a = 0) or because fresh noise came in between, is taken from a saved copy of the interval's x.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rows: list[DraftRow] = []
        self.nodes: list[Node] = []
        self.drawn: set[int] = set()  # the noises that rows have used
        self.init: float | None = None  # the size of x at the first row, where it is not that of its level
        self._begins: deque[int] = deque(maxlen=MAX_LOOKBACK + 1)  # the first row of each of the last intervals

    def begin_interval(self) -> None:
        """The next row begins an interval; no later row may use a prediction older than `MAX_LOOKBACK` intervals."""
        self._begins.append(len(self.rows))

    def node(self, point: Point) -> Node:
        """Begin row i at `point`: the node that the network call there makes."""
        first = _KINDS * len(self.rows)
        self.rows.append(DraftRow(point=point))
        self.nodes.append(_SymbolicNode(point, first, self.rule))
        return self.nodes[-1]

    def end_row(self, form: Any, start: int, to: Point, step_end: bool) -> None:
        """Finish the newest row with what the rule returned; `start` is the row at which the interval began."""
        if not isinstance(form, LinearForm):
            raise self._make_error(
                f"returned a {type(form).__name__}, which is not a linear form of x, x0, eps and z", to
            )
        i = len(self.rows) - 1
        row, x, terms = self.rows[i], _KINDS * i, form.terms
        old = [symbol // _KINDS for symbol in terms if symbol < x and symbol % _KINDS == _X]
        if old:
            reduced = self._eliminate(form, min(old), i, None) or self._eliminate(form, min(old), i, start)
            if reduced is None:
                raise self._make_error("needs an x that the plan has lost", to)
            terms = reduced
        for symbol, value in terms.items():
            if not isfinite(value):
                raise self._make_error("gives a coefficient that is not finite", to)
            if value == 0:
                continue
            if symbol == x:
                row.a = value
                continue
            j, kind = divmod(symbol, _KINDS)
            if kind == _M:
                row.b[j] = value
            elif kind == _GAP:
                row.b_without[j] = value
            elif kind == _X:
                row.a_saved, self.rows[start].save = value, True
            elif kind == _CLIPPED:
                if j != i:
                    raise self._make_error("uses the raw prediction of an earlier network call", to)
                row.b_raw = value
            elif row.z >= 0 or j in self.drawn or (j != i and self.nodes[j].spread != 1):
                raise self._make_error("uses noise twice, or two draws of it in one network call", to)
            else:
                row.c, row.z = abs(value), j  # z and -z have the same law
                row.c_low = row.c * self.nodes[j].spread
        oldest = min((*row.b, *row.b_without), default=i)
        if len(self._begins) > MAX_LOOKBACK and oldest < self._begins[0]:
            raise self._make_growth_error(to)
        if row.z >= 0:
            self.drawn.add(row.z)
        row.step_end = step_end

    def _eliminate(self, form: LinearForm, oldest: int, i: int, keep: int | None) -> dict[int, float] | None:
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
            nearer = _KINDS * (j + 1) + _X
            terms[nearer] = terms.get(nearer, 0.0) + factor
            for kind, weights in ((_M, row.b), (_GAP, row.b_without)):
                for k, value in weights.items():
                    symbol = _KINDS * k + kind
                    terms[symbol] = terms.get(symbol, 0.0) - factor * value
            if row.c:
                noise = _KINDS * row.z + _Z
                terms[noise] = terms.get(noise, 0.0) - factor * row.c
        # What cancels in exact arithmetic leaves a rounding error; a history is not made longer for it.
        size = max(map(abs, terms.values()), default=0.0)
        terms = {symbol: value for symbol, value in terms.items() if not abs(value) < 1e-15 * size}
        noises = [s // _KINDS for s in terms if s % _KINDS == _Z]
        return None if len(noises) > 1 or self.drawn.intersection(noises) else terms

    def rewrite_kept(self, node: Node) -> None:
        """Write what the rule kept on `node` in terms of the next row's x: it stays as short as the history."""
        for name, form in node.kept.items():
            old = [s // _KINDS for s in form.terms if s % _KINDS == _X] if isinstance(form, LinearForm) else []
            reduced = self._eliminate(form, min(old), len(self.rows), None) if old else None
            if reduced is not None:
                node.keep(**{name: LinearForm(reduced)})

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
        row.b_without = {j: scale * value for j, value in row.b_without.items()}
        if row.z < 0:
            row.z = len(self.rows) - 1
        self.drawn.add(row.z)

    def _make_growth_error(self, to: Point) -> CompileError:
        now = self.rows[-1].point
        return CompileError(
            f"{self.rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: it depends on network calls more than "
            f"{MAX_LOOKBACK} intervals ago: what it keeps grows at every step, "
            "and n steps would make a table of n² numbers",
            "end the sum after a few nodes: follow now.before so many times and no further; or name the right basis",
        )

    def _make_error(self, what: str, to: Point) -> CompileError:
        now = self.rows[-1].point
        return CompileError(
            f"{self.rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: it {what}",
            "run the rule with arrays (dtool.plan.run_eager) to see its values",
        )
