"""Another library's sampler as one linear map: its own code is run on unit vectors, and then on random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import nan, sqrt
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from dtool.bridges.probe import Events, Interval, Probe, require_finite
from dtool.errors import DtoolError, UsageError
from dtool.plan.compiled_plan import Column
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule
from dtool.util.text import format_exception

MAX_CALLS = 20_000  # network calls of one run: beyond, it decides by itself how long it goes on
SIZE = 1e3  # of the random numbers: a clipping that 1e-3 passes cuts these off
WIDTH = 7  # numbers in a random array
LINEAR = 1e-9  # what rounding may do to a random run, relative to the largest of its terms
MOST_SYMBOLS = 6_000  # calls, clippings and noises of one run: their table is dense
ALIKE = 1e-9  # levels of a Brownian path that are the same but for rounding


class Level(NamedTuple):
    """Where the network is called: x = alpha·x0 + sigma·ε; `t` is its time on the sampler's own schedule, or NaN.

    starts: whether a step of the grid begins with this call.
    """

    alpha: float
    sigma: float
    t: float = nan
    starts: bool = True


class Ask(Protocol):
    """The network call: (x, what the network is given, the level) ↦ its output."""

    def __call__(self, x: Any, given: Any, level: Level) -> Any:
        """The output for an array of any shape."""


@dataclass(frozen=True, kw_only=True)
class ForeignSampler:
    """A sampler of another library, ready to run: what is to be known of it beside its code.

    run(x, ask, probe): x at its end from x at its start, each network call being `ask`. token: as it is written in a
    recipe; source: the package and its version. prediction: what it takes the network's output for. init: the scale of
    its start. schedule: on which its times count. exact: whether its constants are float64.
    """

    token: str
    source: str
    prediction: Prediction
    run: Callable[[Any, Ask, Probe], Any]
    init: float
    schedule: Schedule | None = None
    inverse: bool = False
    exact: bool = True


@dataclass(frozen=True)
class Recording:
    """One run: x at each call and at the end, the network's inputs, the levels, and what else was seen."""

    states: Column
    inputs: Column
    levels: tuple[Level, ...]
    events: Events


@dataclass(frozen=True, kw_only=True)
class Unrolled:
    """A sampler as a table over symbols: the start, the answers, the clipped images, the noises, in this order.

    states `(calls + 1, symbols)`: x at each call and at the end. inputs `(calls, symbols)`: what the network is given.
    clipped `(clips, symbols)`: what is clipped, to ±`bound`. weights `(draws, noises)`: each drawn noise in terms of
    the independent ones. error: by how much random runs differ from the table, relative to their largest term.
    """

    states: Column
    inputs: Column
    levels: tuple[Level, ...]
    clipped: Column
    bounds: tuple[float, float] | None
    weights: Column
    error: float

    @property
    def calls(self) -> int:
        """Network calls."""
        return len(self.levels)

    @property
    def first_noise(self) -> int:
        """The symbol of the first noise; those before it are the start, the answers and the clipped images."""
        return 1 + self.calls + len(self.clipped)


def unroll_sampler(sampler: ForeignSampler) -> Unrolled:
    """The sampler's table; raises UsageError, with the call, if it is not linear, not finite, or adaptive."""
    rng = np.random.default_rng(0)

    def draw_random(_: int) -> Any:
        return torch.from_numpy(SIZE * rng.standard_normal(WIDTH))

    first = _record(sampler, WIDTH, draw_random(0), draw_random, draw_random, draw_random)
    calls, clips = len(first.levels), len(first.events.clips)
    bounds = _find_bounds(sampler, first.events, calls)
    weights = _separate_noises(first.events.draws)
    size = 1 + calls + clips + weights.shape[1]
    if size > MOST_SYMBOLS:
        raise UsageError(
            f"{sampler.token} makes {calls} network calls and draws {weights.shape[1]} noises: at most {MOST_SYMBOLS} "
            "together become a plan", "use fewer steps"
        )  # fmt: skip
    unit = torch.eye(size, dtype=torch.float64)
    at = 1 + calls
    noises = torch.from_numpy(np.pad(weights, ((0, 0), (at + clips, 0))))
    basis = _record(sampler, size, unit[0], lambda i: unit[1 + i], lambda k: unit[at + k], lambda k: noises[k])
    _require_alike(sampler, first, basis)
    values = torch.from_numpy(SIZE * rng.standard_normal((size, WIDTH)))
    other = _record(
        sampler, WIDTH, values[0], lambda i: values[1 + i], lambda k: values[at + k], lambda k: noises[k] @ values
    )
    _require_alike(sampler, basis, other)
    error = _require_linear(sampler, basis, other, values.numpy())
    clipped = np.array([row.reshape(-1).numpy() for row in basis.events.clipped]).reshape(clips, size)
    return Unrolled(
        states=basis.states, inputs=basis.inputs, levels=basis.levels, clipped=clipped, bounds=bounds, weights=weights,
        error=error,
    )  # fmt: skip


def _record(
    sampler: ForeignSampler, size: int, start: Any, answer: Callable[[int], Any], clip: Callable[[int], Any],
    draw: Callable[[int], Any],
) -> Recording:  # fmt: skip
    """Run the sampler on arrays of `size` numbers."""
    shape = (1, 1, 1, size)
    probe = Probe(shape, lambda k: draw(k).reshape(shape), lambda k: clip(k).reshape(shape))
    states: list[Any] = []
    inputs: list[Any] = []
    levels: list[Level] = []

    def ask(x: Any, given: Any, level: Level) -> Any:
        i = len(levels)
        require_finite(given, sampler.token, i)
        if i >= MAX_CALLS:
            raise UsageError(f"{sampler.token} calls the network more than {MAX_CALLS} times", "use fewer steps")
        states.append(x.detach().numpy().reshape(-1).copy())
        inputs.append(given.detach().numpy().reshape(-1).copy())
        levels.append(level)
        probe.events.calls += 1
        return answer(i).reshape(shape).clone()

    try:
        end = sampler.run(start.reshape(shape).clone(), ask, probe)
    except DtoolError:
        raise
    except Exception as error:
        where = f"after network call {len(levels)}" if levels else "before its first network call"
        hint = "use options that it runs with"
        raise UsageError(f"{sampler.token} fails {where}: {format_exception(error)}", hint) from error
    require_finite(end, sampler.token, len(levels))
    if not levels:
        raise UsageError(f"{sampler.token} makes no network call", "give it steps to make")
    states.append(end.detach().numpy().reshape(-1))
    if probe.events.starts is not None:
        levels = [level._replace(starts=i in probe.events.starts) for i, level in enumerate(levels)]
    return Recording(np.array(states), np.array(inputs), tuple(levels), probe.events)


def _find_bounds(sampler: ForeignSampler, events: Events, calls: int) -> tuple[float, float] | None:
    """What every predicted image is clipped to; None if none is. Raises UsageError if only some are."""
    if not events.clips:
        return None
    bounds = {clip[1:] for clip in events.clips}
    if [clip[0] for clip in events.clips] != [*range(1, calls + 1)] or len(bounds) > 1:
        number = next((i for i, clip in enumerate(events.clips, 1) if clip[0] != i), len(events.clips) + 1)
        raise UsageError(
            f"{sampler.token} does not clip once, and to the same range, after each network call: call {number}",
            "turn its clipping off (clip_sample=false), and clip with dtool's --clip",
        )
    return bounds.pop()


def _separate_noises(draws: list[Interval | None]) -> Column:
    """Each drawn noise in terms of independent ones, `(draws, noises)`.

    The increments of a Brownian path over intervals that overlap are correlated: those over the pieces between all
    ends are not.
    """
    ends = sorted({end for interval in draws if interval is not None for end in interval})
    kept = [end for i, end in enumerate(ends) if i == 0 or end - ends[i - 1] > ALIKE * max(abs(end), 1e-12)]
    pieces = list(pairwise(kept))
    alone = sum(interval is None for interval in draws)
    weights = np.zeros((len(draws), len(pieces) + alone))
    column = len(pieces)
    for row, interval in zip(weights, draws, strict=True):
        if interval is None:
            row[column] = 1.0
            column += 1
            continue
        low, high = interval
        margin = ALIKE * max(abs(high), 1e-12)
        inside = [k for k, (a, b) in enumerate(pieces) if a >= low - margin and b <= high + margin]
        for k in inside:
            row[k] = sqrt((pieces[k][1] - pieces[k][0]) / (high - low))
    used = (weights != 0).any(axis=0)
    return weights[:, used]


def _require_alike(sampler: ForeignSampler, one: Recording, other: Recording) -> None:
    """Raise UsageError if two runs, on other numbers, differ in calls, levels, noises or clippings."""
    if one.levels != other.levels and np.isnan([level.t for level in one.levels]).all():
        same = [a[:2] == b[:2] for a, b in zip(one.levels, other.levels, strict=False)]
    else:
        same = [a[:2] == b[:2] for a, b in zip(one.levels, other.levels, strict=False)]
    counts = [(len(run.levels), len(run.events.draws), len(run.events.clips)) for run in (one, other)]
    if all(same) and counts[0] == counts[1]:
        return
    number = same.index(False) + 1 if not all(same) else min(counts[0][0], counts[1][0])
    raise UsageError(
        f"{sampler.token} is adaptive: where it goes after network call {number} depends on x"
        + _name_suspect(one.events, number),
        "only samplers whose steps are fixed beforehand are tables",
    )


def _require_linear(sampler: ForeignSampler, basis: Recording, other: Recording, values: Column) -> float:
    """The largest difference of a random run from the table; raises UsageError with the first call that has one."""
    worst = 0.0
    pairs = [(basis.inputs, other.inputs), (basis.states, other.states)]
    for i in range(len(basis.states)):
        for table, found in pairs:
            if i == len(table):
                continue
            scale = float(np.abs(table[i]).max() * np.abs(values).max() * sqrt(values.shape[0]))
            error = float(np.abs(found[i] - table[i] @ values).max()) / (scale or 1.0)
            if error > LINEAR:
                raise UsageError(
                    f"{sampler.token} is not linear: x after network call {i} is no sum of the start, the network's "
                    f"answers and noise" + _name_suspect(other.events, i),
                    "only samplers that add and scale are tables; clipping to a fixed range is one exception",
                )
            worst = max(worst, error)
    return worst


def _name_suspect(events: Events, call: int) -> str:
    """The function that is to blame, if one was seen up to this call."""
    seen = [events.suspects[number] for number in sorted(events.suspects) if number <= call]
    return f" ({seen[-1]} of it)" if seen else ""
