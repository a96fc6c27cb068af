"""Two libraries at the same work: the same grid, the same network, the same start, the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

import dtool
from dtool.plan import Point
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler

TRAINED = dtool.get_scheduler("linear")
SHAPE, BATCH = (2, 3, 3), 3
BARS = {torch.float64: 1e-9, torch.float32: 1e-5}
# Two or three steps of a method that extrapolates make of float32's rounding more than 1e-5, in either library.
SIZES = [*((n, torch.float64) for n in (2, 3, 10)), (20, torch.float32)]
SIZE_NAMES = [f"{n}-{str(dtype).removeprefix('torch.')}" for n, dtype in SIZES]


def output(x: Any, t: Any) -> Any:
    """What the network says: nonlinear in x `(B, *)` and in t, a number or `(B,)`; it mixes neighbouring elements."""
    t = torch.as_tensor(t, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    late = t / (t + 150)
    return 0.7 * late * torch.tanh(x) + 0.4 * (1 - late) * torch.sin(1.5 * x.roll(1, -1) + t / 90) + 0.1 * x


def time_at(v: float) -> float:
    """The time at which the network was trained on σ/α = `v`."""
    return float(TRAINED.time(-torch.tensor(v, dtype=torch.float64).log().numpy()))


@dataclass
class Noise:
    """The normal numbers of one run, which both libraries draw in the same order."""

    dtype: torch.dtype
    seed: int = 0
    drawn: list[Any] = field(default_factory=list)

    def start(self) -> Any:
        """Standard normal numbers `(B, *)` to begin from."""
        made = torch.Generator().manual_seed(1000 + self.seed)
        return torch.randn((BATCH, *SHAPE), generator=made, dtype=torch.float64).to(self.dtype)

    def draw(self, *_: Any, **__: Any) -> Any:
        """The next noise `(B, *)`, whatever a library wants to say about it."""
        self.drawn.append(self.of(len(self.drawn)))
        return self.drawn[-1]

    def of(self, k: int) -> Any:
        """The k-th noise of this run."""
        made = torch.Generator().manual_seed(7919 * self.seed + k)
        return torch.randn((BATCH, *SHAPE), generator=made, dtype=torch.float64).to(self.dtype)


@dataclass(frozen=True)
class Run:
    """What a library did: from `x` at the first of the `points` to `result` at the last, with `calls` of the network.

    `noise`: what it drew. `prediction`: what it took the network's output for. `times`: the levels, if they are to be
    those of the schedule on which the network was trained.
    """

    points: Sequence[Point]
    x: Any
    result: Any
    calls: int
    noise: Noise
    prediction: str = "eps"
    times: Sequence[float] = ()


def ours(recipe: str, run: Run, drawn: Callable[[int], int] = lambda k: k) -> tuple[Any, int]:
    """Our result from the same start on the same grid, and our network calls; our k-th noise is their drawn(k)-th."""
    net = dtool.network(output, shape=SHAPE, schedule=TRAINED, prediction=run.prediction, backend="torch")
    spots = run.times or run.points
    plan = dtool.plan(recipe, points=list(spots[:-1]), end=spots[-1], network=net)
    noise = torch.stack([run.noise.of(drawn(k)) for k in range(plan.draws)]) if plan.draws else None
    made = dtool.sample(net, plan, x=run.x.clone(), noise=noise)
    assert made.x0.dtype == run.x.dtype
    return made.x0, made.calls


def difference(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest number."""
    return float((a - b).abs().max() / b.abs().max())


def agree(recipe: str, run: Run, *, calls: int = 0, drawn: Callable[[int], int] = lambda k: k) -> None:
    """Both libraries come to the same images, with as many network calls (`calls`: how many fewer ours makes)."""
    known(recipe)
    result, made = ours(recipe, run, drawn)
    assert torch.isfinite(run.result).all(), "the other library's result is not finite"
    assert difference(result, run.result) <= BARS[run.x.dtype]
    assert made == run.calls - calls


def known(recipe: str) -> None:
    """Skip a sampler that is not registered."""
    name = recipe.partition(":")[0]
    if not get_registry().samplers.knows(name):
        pytest.skip(f"there is no sampler {name}")
    get_sampler(recipe)  # its options too
