"""The sweep: every schedule × spacing × rule × prediction × number of steps runs, or is refused when it is made.

`python -m dtool.testing.sweep [--full] [SAMPLER …]` prints how many combinations ran, and why the others were refused.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self, get_args

import numpy as np

from dtool.errors import DtoolError
from dtool.plan import ClampWarning, Plan, for_network, grid
from dtool.plan import compile as compile_plan
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.samplers.rule import Basis, Prediction, Rule
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.testing.combination import wrong_end, wrong_prediction, wrong_shape
from dtool.testing.grids import Grid
from dtool.testing.variants import variants

FEW, SOME, MANY = (1, 2, 3, 5, 7, 10), (31, 50, 61, 100), (1000,)
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)

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


def sweep(token: str, turn: int = 0, *, full: bool = False) -> Tally:
    """Every schedule, spacing, prediction and number of steps with one sampler.

    full: every number of steps on every pair of a schedule and a spacing. Else this is thinned: up to 10 steps on
    every pair, one of 31, 50, 61 and 100 steps on every pair, 1000 steps on as many pairs as it takes to meet each
    schedule and each spacing. `turn` shares them out differently, so that of four samplers each pair sees them all.
    Either way each other value of the sampler's options runs, up to 100 steps, on pairs that meet every schedule and
    every spacing.
    """
    tally, rule = Tally(), sampler(token)
    for place, pair in enumerate(_all_pairs()):
        some = (*SOME, *MANY) if full else (SOME[(place + turn) % len(SOME)],)
        tally += _runs(rule, pair, (*FEW, *some))
    for pair in () if full else _some_pairs(turn):
        tally += _runs(rule, pair, MANY)
    for shift, other in enumerate(variants(token)):
        for place, pair in enumerate(_some_pairs(turn + shift)):
            tally += _runs(sampler(other), pair, (*FEW, SOME[(place + turn) % len(SOME)]))
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
            elif isinstance(found, DtoolError) and _explained(found):
                tally.refused[_reason(found)] += 1
            else:
                tally.wrong.append(f"{rule.token}@{pair[0]}/{pair[1]}, {n} steps, {prediction}: {found}")
    return tally


def _explained(error: DtoolError) -> bool:
    """Whether a refusal says why, and what to do; an error of Python's that the compiler caught is no reason."""
    return bool(error.hint) and re.search(r"\w+Error: ", str(error)) is None


def _outcomes(rule: Rule, levels: str, points: Grid, n: int) -> Iterator[tuple[Prediction, object]]:
    """What each prediction came to: None if it ran, a DtoolError if it was refused, words if it is wrong."""
    if rule.inverse:  # it begins at the image, where x0 says nothing: it is compiled for each prediction
        for prediction in PREDICTIONS:
            yield prediction, _inverse(rule, levels, points, prediction, n)
        return
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


def _inverse(rule: Rule, levels: str, points: Grid, prediction: Prediction, n: int) -> object:
    try:
        plan = compile_plan(rule, points, prediction=prediction, schedule=_levels(levels))
    except DtoolError as error:
        return error
    return wrong_shape(rule, plan, n) or wrong_end(plan) or _read(plan, levels, prediction)


_READ: dict[tuple[str, Basis, int], list[tuple[Prediction, object]]] = {}


def _read(plan: Plan, levels: str, prediction: Prediction) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)  # a stage may lie between the cleanest level and the image
            return wrong_prediction(for_network(plan, _levels(levels), prediction)) or None
    except DtoolError as error:
        return error


@cache
def _levels(token: str) -> Schedule:
    return from_lam(np.linspace(7, -5, 1000)) if token == "own" else schedule(token)


def _grid(levels: str, place: str, n: int) -> Grid | str:
    """The points, or why there are none."""
    return _short_grid(levels, place, n) if n not in MANY else _made_grid(levels, place, n)


def _made_grid(levels: str, place: str, n: int) -> Grid | str:
    try:
        made = _levels(levels)
        return grid(made, spacing(_place(place, made.T, n)), n)
    except DtoolError as error:
        if _explained(error):
            return _reason(error)
        raise


_short_grid: Callable[[str, str, int], Grid | str] = lru_cache(maxsize=None)(_made_grid)


def _place(name: str, T: int, n: int) -> str:  # noqa: N803 - the field's name for it
    """The spacing as a token: one that needs to be told something is told it."""
    times = ";".join(f"{t:.6f}" for t in np.linspace(T - 1, 0, n))
    if name == "file":
        path = Path(_folder().name) / f"{T}-{n}.txt"
        path.write_text(times.replace(";", "\n"), encoding="utf-8")
        return f'file:path="{path}"'
    return f"list:times={times}" if name == "list" else name


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


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
    total, say = Tally(), sys.stdout.write
    names, full = [a for a in arguments if a != "--full"], "--full" in arguments
    for turn, token in enumerate(names or samplers()):
        found = sweep(token, turn, full=full)
        say(f"{token}: {found.ran} ran, {found.refused.total()} refused, {len(found.wrong)} wrong\n")
        total += found
    say(f"\n{total.ran:9}  ran: finite, exactly n steps, the stated number of network calls\n")
    for reason, count in total.refused.most_common():
        say(f"{count:9}  refused: {reason}\n")
    say("\n".join([f"{len(total.wrong):9}  wrong", *total.wrong[:100], ""]))
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
