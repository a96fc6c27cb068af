"""The sweep: every schedule × spacing × rule × prediction × number of steps runs, or is refused when it is made.

`python -m dtool.certify.sweep [--full] [SAMPLER …]` prints how many combinations ran, and why the others were refused.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from zlib import crc32

import numpy as np

from dtool.certify.combination import check_end, check_prediction, check_shape
from dtool.certify.grids import Grid
from dtool.certify.option_variants import list_variants
from dtool.errors import DtoolError
from dtool.plan import ClampWarning, Plan, adapt_to_network, grid
from dtool.plan import compile as compile_plan
from dtool.plan.parametrization import BASIC_PREDICTIONS
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.samplers.rule import Basis, Prediction, Rule
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.spacings import get_spacing

FEW, SOME, MANY = (1, 2, 3, 5, 7, 10), (31, 50, 61, 100), (1000,)
PREDICTIONS = BASIC_PREDICTIONS

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


def list_samplers() -> list[str]:
    """Every installed sampler."""
    return [_entry_name(entry) for entry in get_registry().samplers]


def list_schedules() -> list[str]:
    """Every installed schedule that needs no file, and each of the transforms; "own" is one without a name."""
    tokens = [name for name in map(_entry_name, get_registry().schedulers) if name != "betas"]
    return [*tokens, "linear:zero_snr=true", "cosine:zero_snr=true", "linear:shift=3.0", "own"]


def list_spacings() -> list[str]:
    """Every installed spacing; see `_spacing_token` for those with a required option."""
    return [_entry_name(entry) for entry in get_registry().spacings]


def sweep(token: str, turn: int = 0, *, full: bool = False, part: tuple[int, int] = (0, 1)) -> Tally:
    """Every schedule, spacing, prediction and number of steps with one sampler.

    full: every number of steps on every pair of a schedule and a spacing. Else this is thinned: up to 10 steps on
    every pair, one of 31, 50, 61 and 100 steps on every pair, 1000 steps on as many pairs as it takes to meet each
    schedule and each spacing. `turn` shares them out differently, so that of four samplers each pair sees them all.
    Either way each other value of the sampler's options runs, up to 100 steps, on pairs that meet every schedule and
    every spacing. part: (k, n) is the k-th of n parts, 0 … n - 1, that are alike, and together the whole.
    """
    tally = Tally()
    for recipe, pair, counts in islice(_list_runs(token, turn, full), part[0], None, part[1]):
        tally += _run_pair(get_sampler(recipe), pair, counts)
    return tally


def _list_runs(token: str, turn: int, full: bool) -> Iterator[tuple[str, Pair, tuple[int, ...]]]:
    """(recipe of a sampler, pair, numbers of steps) of a sweep, in an order of which every n-th is a fair sample."""
    runs: list[tuple[str, Pair, tuple[int, ...]]] = []
    for place, pair in enumerate(_all_pairs()):
        some = (*SOME, *MANY) if full else (SOME[(place + turn) % len(SOME)],)
        runs.append((token, pair, (*FEW, *some)))
    runs += [(token, pair, MANY) for pair in (() if full else _some_pairs(turn))]
    for shift, other in enumerate(list_variants(token)):
        for place, pair in enumerate(_some_pairs(turn + shift)):
            runs.append((other, pair, (*FEW, SOME[(place + turn) % len(SOME)])))
    yield from sorted(runs, key=lambda run: crc32(repr(run[:2]).encode()))


def _all_pairs() -> list[Pair]:
    return [(levels, spacing) for levels in list_schedules() for spacing in list_spacings()]


def _some_pairs(turn: int) -> list[Pair]:
    """Pairs in which each schedule and each spacing comes at least once."""
    first, second = list_schedules(), list_spacings()
    return [(first[i % len(first)], second[(i + turn) % len(second)]) for i in range(max(len(first), len(second)))]


def _run_pair(rule: Rule, pair: Pair, counts: Iterable[int]) -> Tally:
    tally = Tally()
    for n in counts:
        points = _get_grid(*pair, n)
        if isinstance(points, str):
            tally.refused[points] += len(PREDICTIONS)
            continue
        for prediction, outcome in _iterate_outcomes(rule, pair[0], points, n):
            if outcome is None:
                tally.ran += 1
            elif isinstance(outcome, DtoolError) and _is_explained(outcome):
                tally.refused[_summarize_refusal(outcome)] += 1
            else:
                tally.wrong.append(f"{rule.token}@{pair[0]}/{pair[1]}, {n} steps, {prediction}: {outcome}")
    return tally


def _is_explained(error: DtoolError) -> bool:
    """Whether a refusal says why, and what to do; one of Python's own errors, caught by the compiler, does not."""
    return bool(error.hint) and re.search(r"\w+Error: ", str(error)) is None


def _iterate_outcomes(rule: Rule, levels: str, points: Grid, n: int) -> Iterator[tuple[Prediction, object]]:
    """What each prediction came to: None if it ran, a DtoolError if it was refused, words if it is wrong."""
    if rule.inverse:  # it begins at the image, where x0 says nothing: it is compiled for each prediction
        for prediction in PREDICTIONS:
            yield prediction, _check_inverse(rule, levels, points, prediction, n)
        return
    try:
        plan = compile_plan(rule, points, prediction="x0")
    except DtoolError as error:
        yield from ((prediction, error) for prediction in PREDICTIONS)
        return
    problem = check_shape(rule, plan, n) or check_end(plan)
    # How a prediction is read depends on the levels of the rows alone: one answer serves every rule with these rows.
    key = (levels, rule.basis, hash(plan.alpha.tobytes() + plan.sigma.tobytes() + plan.t.tobytes()))
    if key not in _PREDICTION_CACHE:
        with_schedule = compile_plan(rule, points, prediction="x0", schedule=_make_schedule(levels))
        _PREDICTION_CACHE[key] = [
            (prediction, _check_one_prediction(with_schedule, levels, prediction)) for prediction in PREDICTIONS
        ]
    for prediction, outcome in _PREDICTION_CACHE[key]:
        yield prediction, outcome if isinstance(outcome, DtoolError) else problem or outcome


def _check_inverse(rule: Rule, levels: str, points: Grid, prediction: Prediction, n: int) -> object:
    try:
        plan = compile_plan(rule, points, prediction=prediction, schedule=_make_schedule(levels))
    except DtoolError as error:
        return error
    return check_shape(rule, plan, n) or check_end(plan) or _check_one_prediction(plan, levels, prediction)


_PREDICTION_CACHE: dict[tuple[str, Basis, int], list[tuple[Prediction, object]]] = {}


def _check_one_prediction(plan: Plan, levels: str, prediction: Prediction) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)  # a stage may lie between the cleanest level and the image
            return check_prediction(adapt_to_network(plan, _make_schedule(levels), prediction)) or None
    except DtoolError as error:
        return error


@cache
def _make_schedule(token: str) -> Schedule:
    return from_lam(np.linspace(7, -5, 1000)) if token == "own" else get_scheduler(token)


def _get_grid(levels: str, place: str, n: int) -> Grid | str:
    """The points, or the reason that there are none."""
    return _short_grid(levels, place, n) if n not in MANY else _make_grid(levels, place, n)


def _make_grid(levels: str, place: str, n: int) -> Grid | str:
    try:
        schedule = _make_schedule(levels)
        return grid(schedule, get_spacing(_spacing_token(place, schedule.T, n)), n)
    except DtoolError as error:
        if _is_explained(error):
            return _summarize_refusal(error)
        raise


_short_grid: Callable[[str, str, int], Grid | str] = lru_cache(maxsize=None)(_make_grid)


def _spacing_token(name: str, T: int, n: int) -> str:  # noqa: N803 - the field's name for it
    """The spacing as a token, with a value for its required option."""
    times = ";".join(f"{t:.6f}" for t in np.linspace(T - 1, 0, n))
    if name == "file":
        path = Path(_make_folder().name) / f"{T}-{n}.txt"
        path.write_text(times.replace(";", "\n"), encoding="utf-8")
        return f'file:path="{path}"'
    return f"list:times={times}" if name == "list" else name


@cache
def _make_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def _summarize_refusal(error: DtoolError) -> str:
    """A refusal without what is particular to one combination."""
    text = re.sub(r"[\w.-]+(:[\w=.,;-]+)?(?=, from λ|: )", "…", str(error), count=1)
    text = re.sub(r"on [\w-]+(:\S+)?$|on this schedule$", "on …", text)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?|-?inf\b", "#", text)


def _entry_name(entry: object) -> str:
    provider, name = entry.provider.name, str(entry.name)  # type: ignore[attr-defined]
    return name if provider == "dtool" else f"{provider}/{name}"


def main(arguments: list[str]) -> int:
    """Print the table; 1 if anything is wrong."""
    total, say = Tally(), sys.stdout.write
    names, full = [a for a in arguments if a != "--full"], "--full" in arguments
    for turn, token in enumerate(names or list_samplers()):
        tally = sweep(token, turn, full=full)
        say(f"{token}: {tally.ran} ran, {tally.refused.total()} refused, {len(tally.wrong)} wrong\n")
        total += tally
    say(f"\n{total.ran:9}  ran: finite, exactly n steps, the stated number of network calls\n")
    for reason, count in total.refused.most_common():
        say(f"{count:9}  refused: {reason}\n")
    say("\n".join([f"{len(total.wrong):9}  wrong", *total.wrong[:100], ""]))
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
