"""The sweep: every schedule × spacing × rule × prediction × number of steps runs, or is refused when it is made.

`python -m dtool.testing.sweep [SAMPLER …]` prints how many combinations ran, and why the others were refused.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Self, get_args

import numpy as np

from dtool.errors import DtoolError
from dtool.plan import ClampWarning, Plan, for_network, grid
from dtool.plan import compile as compile_plan
from dtool.plan.plan import Column
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.samplers.rule import Basis, Prediction, Rule
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.testing.grids import Grid
from dtool.testing.variants import variants

COUNTS = (1, 2, 3, 5, 7, 10, 31, 50, 61, 100)
MANY = 1000
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)
BAR = 1e-6  # how far the four predictions of one linear network may differ
_STD = 0.5  # of the data, N(0, ¼), whose optimal network is linear

Pair = tuple[str, str]


@dataclass
class Tally:
    """What became of the combinations: how many `ran`, how many were `refused` for each reason, what was `wrong`."""

    ran: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Tally) -> Self:
        self.ran += other.ran
        self.refused += other.refused
        self.wrong += other.wrong
        return self


def samplers() -> list[str]:
    """Every installed sampler."""
    return [_name(entry) for entry in registry().samplers]


def schedules() -> list[str]:
    """Every installed schedule that needs no file, and each of the transforms; "own" is one without a name."""
    tokens = [name for name in map(_name, registry().schedulers) if name != "betas"]
    return [*tokens, "linear:zero_snr=true", "cosine:zero_snr=true", "linear:shift=3.0", "own"]


def spacings() -> list[str]:
    """Every installed spacing; see `_place` for those that must be told more."""
    return [_name(entry) for entry in registry().spacings]


def sweep(token: str, turn: int = 0, *, many: bool = True) -> Tally:
    """Every schedule, spacing, prediction and number of steps with one sampler.

    Thinned: n = 1000 is not run on every pair of a schedule and a spacing, but on as many pairs as it takes to meet
    each schedule and each spacing once; `turn` pairs them differently, so that other samplers get other pairs. The
    sampler's other options, each value alone, run on those pairs too, at all other numbers of steps.
    """
    tally, rule = Tally(), sampler(token)
    for pair in _all_pairs():
        tally += _runs(rule, pair, COUNTS)
    if many:
        for pair in _some_pairs(turn):
            tally += _runs(rule, pair, (MANY,))
    for shift, other in enumerate(variants(token)):
        for pair in _some_pairs(turn + shift):
            tally += _runs(sampler(other), pair, COUNTS)
    return tally


def _all_pairs() -> list[Pair]:
    return [(levels, place) for levels in schedules() for place in spacings()]


def _some_pairs(turn: int) -> list[Pair]:
    """Pairs in which each schedule and each spacing comes at least once."""
    first, second = schedules(), spacings()
    return [(first[i % len(first)], second[(i + turn) % len(second)]) for i in range(max(len(first), len(second)))]


def _runs(rule: Rule, pair: Pair, counts: Iterable[int]) -> Tally:
    tally = Tally()
    for n in counts:
        made = _grid(*pair, n)
        if isinstance(made, str):
            tally.refused[made] += len(PREDICTIONS)
            continue
        for prediction, found in _outcomes(rule, pair[0], made, n):
            if found is None:
                tally.ran += 1
            elif isinstance(found, DtoolError) and found.hint:
                tally.refused[_reason(found)] += 1
            else:
                tally.wrong.append(f"{rule.token}@{pair[0]}/{pair[1]}, {n} steps, {prediction}: {found}")
    return tally


def _outcomes(rule: Rule, levels: str, points: Grid, n: int) -> Iterator[tuple[Prediction, object]]:
    """What each prediction came to: None if it ran, a DtoolError if it was refused, words if it is wrong."""
    try:
        plan = compile_plan(rule, points, prediction="x0")
    except DtoolError as error:
        yield from ((prediction, error) for prediction in PREDICTIONS)
        return
    problem = wrong_shape(rule, plan, n) or wrong_end(plan)
    # How a prediction is read depends on the levels of the rows alone: one answer serves every rule with these rows.
    key = (levels, rule.basis, hash(plan.alpha.tobytes() + plan.sigma.tobytes() + plan.t.tobytes()))
    if key not in _READ:
        made = compile_plan(rule, points, prediction="x0", schedule=_levels(levels))
        _READ[key] = [(prediction, _read(made, levels, prediction)) for prediction in PREDICTIONS]
    for prediction, found in _READ[key]:
        yield prediction, found if isinstance(found, DtoolError) else problem or found


_READ: dict[tuple[str, Basis, int], list[tuple[Prediction, object]]] = {}


def _read(plan: Plan, levels: str, prediction: Prediction) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)  # a stage may lie between the cleanest level and the image
            return wrong_prediction(for_network(plan, _levels(levels), prediction)) or None
    except DtoolError as error:
        return error


def wrong_shape(rule: Rule, plan: Plan, n: int) -> str:
    """What is wrong with the numbers of steps and of network calls; "" if nothing is.

    An interval makes `rule.calls` calls; fewer at the first and the last, next to infinite λ and while the history
    grows.
    """
    if plan.steps != n:
        return f"{plan.steps} steps"
    calls = np.diff(np.flatnonzero(plan.step_end), prepend=-1)
    if calls.max() > rule.calls:
        return f"{calls.max()} network calls in a step; the rule states {rule.calls}"
    settled = calls[max(plan.history, 1) : -1]
    if (settled != rule.calls).any():
        return f"{settled.min()} network calls in a step; the rule states {rule.calls}"
    return ""


def wrong_end(plan: Plan) -> str:
    """Whether x stays finite with the optimal linear network, float64, and made-up noise."""
    answer = (_gains(plan, "x0") if plan.basis == "x0" else _gains(plan, "eps")).tolist()
    rows = zip(
        plan.a.tolist(), plan.a_saved.tolist(), plan.b.tolist(), plan.c.tolist(), plan.save.tolist(), strict=True
    )
    history: list[float] = []
    x = saved = 1.0
    for i, (a, a_saved, b, c, save) in enumerate(rows):
        saved = x if save else saved
        history = [answer[i] * x, *history[: plan.history - 1]]
        x = a * x + a_saved * saved + c * (-1.0) ** (i // 2)
        x += sum(weight * past for weight, past in zip(b, history, strict=False))
    return "" if np.isfinite(x) else f"x ends at {x}"


def wrong_prediction(plan: Plan) -> str:
    """Whether the same linear network, read through this prediction, gives the same x0 and the same history."""
    said = _gains(plan, plan.prediction)
    for name, got, wanted in (
        ("x0", plan.c_skip + plan.c_out * said, _gains(plan, "x0")),
        (plan.basis, plan.m_x + plan.m_f * said, _gains(plan, plan.basis)),
    ):
        off = float(np.abs(got - wanted).max())
        if not off <= BAR:
            return f"{name} is off by {off:.2g}"
    return ""


def _gains(plan: Plan, prediction: Prediction) -> Column:
    """F/x of the network that is optimal for data N(0, ¼)."""
    alpha, sigma = plan.alpha, plan.sigma
    power = alpha**2 * _STD**2 + sigma**2
    x0, eps = alpha * _STD**2 / power, sigma / power
    made = {"x0": x0, "eps": eps, "flow": eps - x0, "v": plan.c_in * (alpha * eps - sigma * x0)}
    return made[prediction]


@cache
def _levels(token: str) -> Schedule:
    return from_lam(np.linspace(7, -5, 1000)) if token == "own" else schedule(token)


def _grid(levels: str, place: str, n: int) -> Grid | str:
    """The points, or why there are none."""
    return _short_grid(levels, place, n) if n < MANY else _made_grid(levels, place, n)


def _made_grid(levels: str, place: str, n: int) -> Grid | str:
    try:
        made = _levels(levels)
        return grid(made, spacing(_place(place, made.T, n)), n)
    except DtoolError as error:
        if error.hint:
            return _reason(error)
        raise


_short_grid: Callable[[str, str, int], Grid | str] = lru_cache(maxsize=None)(_made_grid)


def _place(name: str, T: int, n: int) -> str:  # noqa: N803 - the field's name for it
    """The spacing as a token: one that needs to be told something is told it."""
    if name == "list":
        return "list:times=" + ";".join(f"{t:.6f}" for t in np.linspace(T - 1, 0, n))
    return name


def _reason(error: DtoolError) -> str:
    """A refusal without what is particular to one combination."""
    text = re.sub(r"[\w.-]+(:[\w=.,;-]+)?(?=, from λ|: )", "…", str(error), count=1)
    text = re.sub(r"on [\w-]+(:\S+)?$|on this schedule$", "on …", text)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?|-?inf\b", "#", text)


def _name(entry: object) -> str:
    provider, name = entry.provider.name, str(entry.name)  # type: ignore[attr-defined]
    return name if provider == "dtool" else f"{provider}/{name}"


def main(arguments: list[str]) -> int:
    """Print the table; 1 if anything is wrong."""
    from rich.console import Console
    from rich.table import Table

    console, total = Console(), Tally()
    for turn, token in enumerate(arguments or samplers()):
        found = sweep(token, turn)
        console.print(f"{token}: {found.ran} ran, {found.refused.total()} refused, {len(found.wrong)} wrong")
        total += found
    table = Table("combinations", "what became of them")
    table.add_row(str(total.ran), "ran: finite, exactly n steps, the stated number of network calls")
    for reason, count in total.refused.most_common():
        table.add_row(str(count), f"refused: {reason}")
    table.add_row(str(len(total.wrong)), "wrong")
    console.print(table)
    for line in total.wrong[:100]:
        console.print(line, markup=False)
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
