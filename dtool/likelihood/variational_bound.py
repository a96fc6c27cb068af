"""bound(...): bits per dimension by the variational bound, every term of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dtool.errors import UsageError
from dtool.likelihood.bound_terms import compute_terms, make_statistics, posterior_variance
from dtool.likelihood.chain import Chain, Variance, choose_variance, make_chain
from dtool.likelihood.chain_run import CallCounter, ChainRun
from dtool.likelihood.decoder import snap_to_levels
from dtool.likelihood.network_calls import (
    check_images,
    check_names,
    make_own_noise,
    make_seeded_noise,
    split_calls,
    tell_images,
)
from dtool.likelihood.result import Bound
from dtool.models.conditions import Conditions
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.guided_conditions import Request
from dtool.samplers.engines.variance_statistics import VarianceStatistics
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import Spacing
from dtool.util.arguments import check_arguments
from dtool.util.arrays import Array


@check_arguments
def bound(
    network: Network,
    images: Any,
    plan: Plan | int | Literal["all"] = "all",
    *,
    variance: Variance | None = None,
    statistics: VarianceStatistics | str | Path | None = None,
    labels: Any = None, prompt: str | Sequence[str] | None = None, conditions: Mapping[str, Any] | None = None,
    levels: int | None = 256,
    scheduler: str | Schedule | None = None, spacing: str | Spacing | None = None,
    points: Sequence[float] | None = None,
    clip: bool | None = None,
    seed: int = 0, ids: Sequence[int] | None = None,
    repeats: int = 1,
    noise: Any = None,
    batch_size: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> Bound:  # fmt: skip
    """An upper bound of -log2 p(x0), term by term: L_T + Σ L_{t-1} + L_0 (arXiv:2006.11239, eq. 5).

    images `(n, *shape)` in the network's range, on `levels` levels from its one end to the other (None: continuous).
    plan: a number of steps, "all" of the schedule's levels, or a plan of ddpm; `scheduler`, `spacing` (default
    linspace) and `points` as in dtool.plan. On a grid, α and β are those of the step really taken, τ = ᾱ_t/ᾱ_s.
    variance: σ² of each step: beta; tilde, whose last is that of the step before; learned, the default where a network
    has it; or else analytic, β̃ plus the variance of x0 given x (arXiv:2201.06503, theorem 1). That is read from
    `statistics` of measure_variance or `measure_chain_variance`, or from their file; without any it is measured on
    these images, with other noise: one number per step, each too good by about 1/2 nat over all numbers of all images.
    labels: a class for all or one each, -1 for none (the default); prompt, conditions: as for `dtool.compare`.
    clip: predicted images; default: as the network's spec says. ids: the images' names in the noise, which is a
    function of (seed, id) alone; repeats: draws per image and step. noise: your own, `(steps·repeats, n, *shape)`,
    from the noisiest level on. progress(done, total). Raises UsageError for arguments that do not fit, and for a
    plan that has no bound.

    >>> law = dtool.targets.target("gaussian:d=2")
    >>> bound = dtool.likelihood.bound(law.network(), law.sample(4), 10, levels=None, variance="beta")
    >>> [term.name for term in bound.terms][:3], bound.per_image.shape
    (['L_T', 'L_9', 'L_8'], (11, 4))
    """
    started = time.perf_counter()
    data = snap_to_levels(check_images(network, images), levels, network.spec.data_range)
    chain = make_chain(network, plan, scheduler, spacing, points)
    kind = choose_variance(network, plan, variance)
    if statistics is not None and kind != "analytic":
        raise UsageError(f"statistics are for the analytic variance, not for {kind}", "leave them out")
    if repeats < 1:
        raise UsageError(f"{repeats} draws are too few", "use 1 or more")
    fresh = kind == "analytic" and statistics is None
    names = check_names(ids, len(data))
    told = tell_images(network, labels, Request(prompt=prompt, conditions=conditions), names)
    run = _prepare_run(network, data, chain, told, clip, batch_size, progress, repeats + fresh)
    draws = chain.steps * repeats
    if fresh:
        mse = run.mean_square_errors(make_seeded_noise(seed, names, network.shape, 1 + draws))
        statistics = make_statistics(network, chain, mse, len(data))
    unknown = None if kind != "analytic" else posterior_variance(chain, statistics)
    if noise is None:
        z = make_seeded_noise(seed, names, network.shape, 1)
    else:
        z = make_own_noise(noise, draws, (len(data), *network.shape))
    terms, square = compute_terms(run, z, repeats, kind, unknown, levels)
    size = data[0].size
    return Bound(
        per_image=terms * (1 / (size * log(2))), mse=square / size, time=np.nan_to_num(chain.plan.t, nan=-1.0),
        lam=chain.lam, variance=kind, levels=levels, dimensions=size, plan=chain.plan, seed=seed,
        calls=chain.steps * (repeats + fresh), seconds=time.perf_counter() - started,
    )  # fmt: skip


@check_arguments
def measure_chain_variance(
    network: Network,
    images: Any,
    plan: Plan | int | Literal["all"] = "all",
    *,
    labels: Any = None,
    prompt: str | Sequence[str] | None = None,
    conditions: Mapping[str, Any] | None = None,
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float] | None = None,
    clip: bool | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VarianceStatistics:
    """The statistics for variance="analytic", at exactly the levels of a chain and with its clipping; as for `bound`.

    measure_variance uses times spread evenly over the whole schedule, with interpolation between them, which is less
    exact near the image, where most bits are.

    >>> law = dtool.targets.target("gaussian:d=2")
    >>> statistics = dtool.likelihood.measure_chain_variance(law.network(), law.sample(50), 4)
    >>> statistics.images, statistics.lam.shape
    (50, (4,))
    """
    data = check_images(network, images)
    chain = make_chain(network, plan, scheduler, spacing, points)
    names = check_names(ids, len(data))
    told = tell_images(network, labels, Request(prompt=prompt, conditions=conditions), names)
    run = _prepare_run(network, data, chain, told, clip, batch_size, progress, 1)
    mse = run.mean_square_errors(make_seeded_noise(seed, names, network.shape, 1 + chain.steps))
    return make_statistics(network, chain, mse, len(data))


def _prepare_run(
    network: Network, data: Array, chain: Chain, told: Conditions, clip: bool | None,
    batch_size: int | None, progress: Callable[[int, int], None] | None, passes: int,
) -> ChainRun:  # fmt: skip
    """The run of these images; passes: how often all of them are run through the chain."""
    calls = split_calls(network, len(data), chain.steps, batch_size)
    counter = CallCounter(progress, len(calls) * chain.steps * passes)
    return ChainRun(network=network, chain=chain, data=data, told=told, clip=clip, calls=calls, count_call=counter)
