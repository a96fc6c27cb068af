"""Runs of plans from the noises of a fit, some images at a time: here, or by worker processes, with the same bits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtool.compare.work_sharing import WorkSharing
from dtool.errors import DtoolError, UsageError
from dtool.fit.field import choose_dtype
from dtool.fit.noises import Noises, draw_fresh
from dtool.models.network import Network
from dtool.parts.workers import keep_workers
from dtool.plan.compiled_plan import Plan
from dtool.run.sampling import sample
from dtool.util.arrays import Array

MAX_LEVELS = 160  # of a path that are kept


@dataclass(frozen=True, kw_only=True)
class PlanRun:
    """A plan, and the noises `(n, *shape)` that it begins at. options: of `dtool.sample`; batch_size: see there.

    traced: whether the path is wanted. rival: whether it is only tried out: warnings are then not given, and images
    that are not finite no error.
    """

    plan: Plan
    noises: Noises
    options: dict[str, Any]
    batch_size: int
    traced: bool = False
    rival: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """The images `(n, *shape)` float64, None if they are not finite, and the evaluations that they took.

    Of a traced run also its path from the cleanest level on, see `dtool.fit.teacher.Teacher`: angle, path and slope.
    """

    images: Array | None
    evaluations: int = 0
    angle: Array | None = None
    path: Any = None
    slope: Any = None


Runs = Callable[[Iterable[PlanRun]], Iterator[RunResult]]


class OpenedNetwork:
    """The network that runs are of; pickled as what opens it, which each process does once."""

    def __init__(self, network: Network | None, opener: Callable[[], Network] | None = None) -> None:
        self._network, self._opener = network, opener

    def __getstate__(self) -> dict[str, Any]:
        return {"_network": None, "_opener": self._opener}

    def get(self) -> Network:
        """The network."""
        if self._network is None:
            assert self._opener is not None, "it is given to other processes"
            self._network = self._opener()
        return self._network


def run_plan(opened: OpenedNetwork, run: PlanRun) -> RunResult:
    """The images of one run: a pure function, in whatever process it is called. Raises what `dtool.sample` raises."""
    network, noises = opened.get(), run.noises
    x = (run.plan.init * noises.z).astype(choose_dtype(network))
    fresh = draw_fresh(network, noises, run.plan.draws).astype(x.dtype) if run.plan.draws else None
    with warnings.catch_warnings():
        if run.rival:
            warnings.simplefilter("ignore")  # of a late start, which is what is tried out
        try:
            out = sample(
                network, run.plan, x=x, noise=fresh, trace=run.traced, batch_size=run.batch_size, **noises.options,
                **run.options,
            )  # fmt: skip
        except DtoolError:
            if run.rival:
                return RunResult(images=None)
            raise
    images, evaluations = np.asarray(out.x0, np.float64), len(noises) * out.evaluations
    if out.trace is None:
        return RunResult(images=images, evaluations=evaluations)
    angle, path, slope = _measure_path(run.plan, out.trace)
    return RunResult(
        images=images, evaluations=evaluations, angle=angle, path=path.astype(x.dtype), slope=slope.astype(x.dtype)
    )


def _measure_path(plan: Plan, trace: Any) -> tuple[Array, Any, Any]:
    """(angles, states of standard size, slopes) of a run's levels, from the cleanest on."""
    kept = np.unique(np.linspace(0, plan.rows - 1, min(plan.rows, MAX_LEVELS)).round().astype(int))[::-1]
    width = [-1] + [1] * (trace.x0.ndim - 1)
    scale = np.hypot(plan.alpha, plan.sigma)[kept].reshape(width)
    cos, sin = (level[kept].reshape(width) / scale for level in (plan.alpha, plan.sigma))
    state, image = np.asarray(trace.x)[kept] / scale, np.asarray(trace.x0)[kept]
    return np.arctan2(plan.sigma, plan.alpha)[kept], state, cos * (state - cos * image) / sin - sin * image


def split_noises(noises: Noises, size: int) -> Sequence[Noises]:
    """The noises in blocks of `size`, in id order."""
    return [noises.take(slice(first, first + size)) for first in range(0, len(noises), size)]


def make_runs(network: Network) -> Runs:
    """Runs in this process, one after another."""
    opened = OpenedNetwork(network)
    return lambda several: (run_plan(opened, run) for run in several)


@contextmanager
def share_runs(network: Network, sharing: WorkSharing | None) -> Iterator[Runs]:
    """Runs by worker processes of this machine, results in the order of the runs; without sharing in this process.

    Raises UsageError for a folder or for parts: a fit's next step depends on all of the last.
    """
    if sharing is not None and (sharing.folder is not None or sharing.share.count > 1):
        raise UsageError("each step of a fit depends on all of the last", "share it by workers of one machine alone")
    workers = 1 if sharing is None else sharing.workers
    opened = OpenedNetwork(network, None if sharing is None else sharing.opener)
    with keep_workers(opened, run_plan, workers=workers) as runs:
        yield runs
