"""bound(...): bits a dimension by the variational bound, every term of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import checks_arguments
from dtool.errors import UsageError
from dtool.likelihood.calls import (
    Caller,
    checked_images,
    checked_names,
    cuts,
    own_noise,
    seeded_noise,
)  # fmt: skip
from dtool.likelihood.chain import Chain, Variance, chain_of, divergence, prior, variance_for
from dtool.likelihood.decoder import code_length, on_levels
from dtool.likelihood.result import Bound
from dtool.networks.labels import resolve_labels
from dtool.networks.network import Network
from dtool.plan.plan import Plan
from dtool.samplers.statistics import VarianceStatistics
from dtool.schedulers.schedule import Array, Schedule
from dtool.schedulers.spacing import Spacing

Noise = Callable[[int, NDArray[np.intp]], Array]


@checks_arguments
def bound(
    network: Network,
    images: Any,
    plan: Plan | int | Literal["all"] = "all",
    *,
    variance: Variance | None = None,
    statistics: VarianceStatistics | str | Path | None = None,
    labels: Any = None,
    levels: int | None = 256,
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float] | None = None,
    clip: bool | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    repeats: int = 1,
    noise: Any = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bound:
    """An upper bound of -log2 p(x0), term by term: L_T + Σ L_{t-1} + L_0 (arXiv:2006.11239, eq. 5).

    images `(n, *shape)` in the network's range, on `levels` levels from its one end to the other (None: continuous).
    plan: a number of steps, "all" of the schedule's levels, or a plan of ddpm's; `scheduler`, `spacing` (default
    linspace) and `points` as in dtool.plan. On a grid, α and β are those of the step really taken, τ = ᾱ_t/ᾱ_s.
    variance: σ² of each step: beta; tilde, whose last is that of the step before; learned, the default where a network
    has it; or else analytic, β̃ and what the network cannot know of x0 (arXiv:2201.06503, theorem 1). That is read from
    `statistics` of measure_variance or of `measured`, or from their file; without any it is measured on these images,
    with other noise: one number a step, too good by about 1/2 nat each, over all numbers of all images together.
    labels: a class for all or one each, -1 for none (the default). clip: predicted images; the network's own habit.
    ids: the images' names in the noise, which is a function of (seed, id) alone; repeats: draws an image and step.
    noise: your own, `(steps·repeats, n, *shape)`, from the noisiest level on. progress(done, total).
    Raises UsageError for what does not fit, or has no bound.
    """
    started = time.perf_counter()
    data = on_levels(checked_images(network, images), levels, network.spec.data_range)
    chain = chain_of(network, plan, scheduler, spacing, points)
    kind = variance_for(network, plan, variance)
    if statistics is not None and kind != "analytic":
        raise UsageError(f"statistics are for the analytic variance, not for {kind}", "leave them out")
    if repeats < 1:
        raise UsageError(f"{repeats} draws are too few", "use 1 or more")
    names, classes = checked_names(ids, len(data)), resolve_labels(network, labels, len(data))
    fresh = kind == "analytic" and statistics is None
    counts = cuts(network, len(data), chain.steps, batch_size)
    count = _Count(progress, len(counts) * chain.steps * (repeats + fresh))
    run = Run(network, chain, data, classes, clip, counts, count)
    if fresh:
        mse = _mean_square(run, seeded_noise(seed, names, network.shape, 1 + chain.steps * repeats), 1)
        statistics = statistics_of(network, chain, mse, len(data))
    known = None if kind != "analytic" else _unknown(chain, statistics)
    total = (chain.steps * repeats, len(data), *network.shape)
    z = seeded_noise(seed, names, network.shape, 1) if noise is None else own_noise(noise, total[0], total[1:])
    each, square = _terms(run, z, repeats, kind, known, levels)
    to_bits = 1 / (data[0].size * log(2))
    where = np.nan_to_num(chain.plan.t, nan=-1.0)
    return Bound(
        each * to_bits, square / data[0].size, where, chain.lam, kind, levels, data[0].size, chain.plan, seed,
        chain.steps * (repeats + fresh), time.perf_counter() - started,
    )  # fmt: skip


@checks_arguments
def measured(
    network: Network,
    images: Any,
    plan: Plan | int | Literal["all"] = "all",
    *,
    labels: Any = None,
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float] | None = None,
    clip: bool | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VarianceStatistics:
    """What `analytic` needs, at the very levels of a chain and with its clipping; arguments as of `bound`.

    measure_variance looks at times spread evenly over the whole schedule, and between them is interpolated: near the
    image, where most bits are, that is less exact.
    """
    data = checked_images(network, images)
    chain = chain_of(network, plan, scheduler, spacing, points)
    names, classes = checked_names(ids, len(data)), resolve_labels(network, labels, len(data))
    counts = cuts(network, len(data), chain.steps, batch_size)
    run = Run(network, chain, data, classes, clip, counts, _Count(progress, len(counts) * chain.steps))
    mse = _mean_square(run, seeded_noise(seed, names, network.shape, 1 + chain.steps), 1)
    return statistics_of(network, chain, mse, len(data))


class _Count:
    """Calls progress(done, total) after every network call."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


@dataclass(frozen=True)
class Run:
    """A chain, the images it is walked for, and how: what both passes over them need."""

    network: Network
    chain: Chain
    data: Array
    classes: NDArray[np.int64] | None
    clip: bool | None
    cuts: list[tuple[NDArray[np.intp], int]]
    called: Callable[[], None]

    def predictions(
        self, noise: Noise, repeats: int
    ) -> Iterator[tuple[int, NDArray[np.intp], Array, Array, Array | None]]:
        """(row, places, x0, predicted x0, second half of the output if there is one) of every network call."""
        chain, caller = self.chain, Caller(self.network, self.classes)
        clip = self.network.spec.clip if self.clip is None else self.clip
        channels = self.network.shape[0]
        for padded, real in self.cuts:
            places, x0 = padded[:real], self.data[padded]
            for draw in range(chain.steps * repeats):
                i = draw // repeats
                x = chain.alpha[i] * x0 + chain.sigma[i] * noise(draw, padded)
                output = caller(chain.c_in[i] * x, np.full(len(x), chain.time[i]), padded)[:real]
                found = chain.c_skip[i] * x[:real] + chain.c_out[i] * output[:, :channels]
                found = found.clip(*self.network.spec.data_range) if clip else found
                self.called()
                yield i, places, x0[:real], found, _rest(output, channels)


def _rest(output: Array, channels: int) -> Array | None:
    return output[:, channels:] if output.shape[1] > channels else None


def _total(values: Array) -> Array:
    """The sum over each image's numbers, `(B,)`."""
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))


def _mean_square(run: Run, noise: Noise, repeats: int) -> Array:
    """E(x0 - D)² at every level, `(K,)`, over images, numbers and draws."""
    total = np.zeros(run.chain.steps)
    for i, _, x0, found, _ in run.predictions(noise, repeats):
        total[i] += np.square(x0 - found).sum()
    return total / (run.data.size * repeats)


def statistics_of(network: Network, chain: Chain, mse: Array, images: int) -> VarianceStatistics:
    """Mean squares E(x0 - D)² at the levels of a chain as a file of measure_variance holds them."""
    low, high = network.spec.data_range
    finite = np.isfinite(chain.lam)  # where nothing is left of the image, its variance is the nearest level's
    lam = chain.lam[finite]
    return VarianceStatistics(lam, np.exp(2 * lam) * mse[finite], ((high - low) / 2) ** 2, images)


def _unknown(chain: Chain, statistics: VarianceStatistics | str | Path | None) -> Array:
    """Var[x0 | x] at the levels of the chain, as `analytic-ddpm` has it from these statistics, `(K,)`."""
    if not isinstance(statistics, VarianceStatistics):
        statistics = VarianceStatistics.read(Path(str(statistics)))
    found = np.interp(chain.lam, statistics.lam, statistics.variance)
    return np.asarray(np.minimum(found, np.exp(-2 * np.maximum(chain.lam, -300))))


def _terms(
    run: Run, noise: Noise, repeats: int, kind: Variance, known: Array | None, levels: int | None
) -> tuple[Array, Array]:
    """Every term of every image in nats `(1 + K, n)`, and the mean over images of ‖x0 - D‖², `(K,)`."""
    chain, count = run.chain, len(run.data)
    each, square = np.zeros((chain.steps + 1, count)), np.zeros(chain.steps)
    each[0] = prior(float(chain.alpha[0]), run.data)
    for i, places, x0, found, v in run.predictions(noise, repeats):
        miss = np.square(x0 - found)
        if i < chain.steps - 1:
            nats = divergence(float(chain.gain[i]), _excess(chain, i, kind, known, v), miss)
        else:
            nats = code_length(x0, found, _spread(chain, kind, known, v), levels, run.network.spec.data_range)
        each[i + 1, places] += _total(nats) / repeats
        square[i] += miss.sum() / (repeats * count)
    return each, square


def _share(v: Array | None) -> Array:
    """The second half of an output in [-1, 1] as a share of ln β, 0 … 1 (arXiv:2102.09672, eq. 15)."""
    assert v is not None, "variance_for has seen to it that the network predicts a variance"
    return np.asarray((v + 1) / 2)


def _excess(chain: Chain, i: int, kind: Variance, known: Array | None, v: Array | None) -> Array | float:
    """σ²/β̃ - 1 of the step from level i to the next."""
    if kind == "tilde":
        return 0.0
    if kind == "beta":
        return float(np.expm1(chain.width[i]))
    if known is not None:
        return float(chain.gain[i] * known[i])
    return np.asarray(np.expm1(_share(v) * chain.width[i]))


def _spread(chain: Chain, kind: Variance, known: Array | None, v: Array | None) -> Array:
    """σ of the last step, to the image."""
    low, high = chain.ends
    if known is not None:
        return np.asarray(np.sqrt(known[-1]))
    if kind == "learned":
        return np.asarray(np.exp((low + _share(v) * (high - low)) / 2))
    return np.asarray(exp((high if kind == "beta" else low) / 2))
