"""ode(...): bits a dimension by the probability-flow ODE."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import checks_arguments
from dtool.errors import UsageError
from dtool.likelihood.calls import Caller, blocks, checked_images, checked_names, uniforms
from dtool.likelihood.decoder import bin_width, on_levels
from dtool.likelihood.jacobian import Jacobian, Traced, jacobian_for
from dtool.likelihood.result import Density
from dtool.likelihood.solver import heun, rk45
from dtool.networks.labels import resolve_labels
from dtool.networks.network import Network
from dtool.plan.prediction import history_map, times_on
from dtool.schedulers.schedule import Array, on_coordinates

SMALL = 128  # numbers an image up to which the trace is exact unless something else is asked for
BLOCK = 64  # images that are solved together
CHECKED = 4  # images whose solution is compared with a coarser one
FAINTEST = -8.0  # λ at which a schedule is left that goes on to no signal: e⁻¹⁶ of the variance is still the image's


@checks_arguments
def ode(
    network: Network,
    images: Any,
    *,
    trace: Literal["exact", "hutchinson"] | None = None,
    probes: int = 1,
    jacobian: Jacobian | None = None,
    tolerance: float = 1e-5,
    steps: int | None = None,
    labels: Any = None,
    levels: int | None = 256,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Density:
    """-log2 p(x0) by the probability-flow ODE: log p_T(x_T) + ∫ div f dτ (arXiv:2011.13456, eq. 39).

    The density is that of the law at the schedule's first level, in units of the image, at the image; on `levels`
    levels (None: continuous) uniform noise a level wide is added first, which makes it a bound of the probability.
    trace: exact, from d products with the Jacobian, the default up to 128 numbers an image; hutchinson, from `probes`
    random vectors of ±1, fixed for each image. jacobian: products by automatic differentiation (PyTorch), or
    differences. tolerance: of Dormand and Prince's method, relative and absolute, in nats a dimension too; steps: as
    many equal steps in λ by Heun's method instead. labels, ids, seed: as in `bound`.
    progress(done, total): in thousandths. Raises UsageError for what does not fit, DtoolError if it is not solved.
    """
    started = time.perf_counter()
    data = on_levels(checked_images(network, images), levels, network.spec.data_range)
    _require(trace, probes, tolerance, steps)
    names, classes = checked_names(ids, len(data)), resolve_labels(network, labels, len(data))
    size = data[0].size
    kind = trace or ("exact" if size <= SMALL else "hutchinson")
    if levels is not None:
        width = bin_width(levels, network.spec.data_range)
        data = data + width * (uniforms(seed, names, 0, network.shape) - 0.5)
    caller = Caller(network, classes)
    way, traced = jacobian_for(network, caller, jacobian)
    signs = None if kind == "exact" else _signs(seed, names, network.shape, probes)
    flow = _Flow(network, traced, signs)
    rule = _Rule(tolerance, steps)
    show = _shares(progress, len(data))
    nats = np.concatenate([flow.solve(data, place, rule, show(place)) for place in blocks(len(data), BLOCK)])
    evaluations = flow.evaluations / len(data)
    checked = np.arange(min(CHECKED, len(data)))
    coarse = flow.solve(data, checked, rule.coarser, None)
    to_bits = 1 / (size * log(2))
    shift = 0.0 if levels is None else log(width)
    return Density(
        (-nats / size - shift) / log(2), float(abs(coarse - nats[checked]).max()) * to_bits, len(checked),
        "heun" if steps else "rk45", kind, 0 if kind == "exact" else probes, way, tolerance, levels, size, seed,
        evaluations, time.perf_counter() - started,
    )  # fmt: skip


@dataclass(frozen=True)
class _Rule:
    """How it is solved: with a tolerance, or in so many steps."""

    tolerance: float
    steps: int | None

    @property
    def coarser(self) -> _Rule:
        """A solve whose difference from this one is about its own error, and so more than this one's."""
        return _Rule(10 * self.tolerance, None if self.steps is None else max(1, self.steps // 2))


class _Flow:
    """dx/dτ for τ = -λ, in variance-preserving coordinates: σε - σ²x, and its divergence σ tr ∂ε/∂x - dσ²."""

    def __init__(self, network: Network, traced: Traced, signs: Array | None) -> None:
        self.network, self.traced, self.signs = network, traced, signs
        self.evaluations = 0
        lam = network.schedule.lam
        self.start, self.end = float(lam[0]), max(float(lam[-1]), FAINTEST)
        if not self.end < self.start:
            raise UsageError("a schedule of one level has no probability-flow ODE", "use one with more steps T")

    def solve(self, data: Array, place: NDArray[np.intp], rule: _Rule, show: Callable[[float], None] | None) -> Array:
        """log p of the images at `place`, in nats `(B,)`."""
        alpha = float(on_coordinates(np.array(self.start))[0])
        size = data[0].size
        y = np.concatenate([alpha * data[place].reshape(len(place), -1), np.zeros((len(place), 1))], axis=1)

        def slope(state: Array, at: Array, index: NDArray[np.intp]) -> Array:
            return self._slope(state, -at, place[index])

        if rule.steps is not None:
            end = heun(slope, y, -self.start, -self.end, rule.steps, show)
        else:
            wanted = np.full(size + 1, rule.tolerance)
            wanted[-1] *= size
            end = rk45(slope, y, -self.start, -self.end, wanted, rule.tolerance, show)
        normal = -(np.square(end[:, :-1]).sum(axis=1) + size * log(2 * pi)) / 2
        return np.asarray(normal + end[:, -1] + size * log(alpha))

    def _slope(self, state: Array, lam: Array, place: NDArray[np.intp]) -> Array:
        network, size = self.network, state.shape[1] - 1
        alpha, sigma = on_coordinates(lam)
        time, c_in, _ = times_on(network.schedule, np.full(len(lam), np.nan), alpha, sigma)
        m_x, m_f = history_map("eps", network.prediction, alpha, sigma, c_in)
        x = state[:, :-1]
        inner = (c_in[:, None] * x).reshape(-1, *network.shape)
        signs = None if self.signs is None else self.signs[:, place]
        output, trace = self.traced(inner, time, c_in * sigma, signs, place)
        self.evaluations += len(place)
        eps = m_x[:, None] * x + m_f[:, None] * output.reshape(len(x), -1)
        rate = sigma[:, None] * (eps - sigma[:, None] * x)
        spread = sigma * (size * m_x + m_f * c_in * trace) - size * sigma**2
        return np.concatenate([rate, spread[:, None]], axis=1)


def _signs(seed: int, names: NDArray[np.uint64], shape: tuple[int, ...], probes: int) -> Array:
    """±1, `(probes, n, *shape)`: a function of the seed and of each image's id."""
    return np.stack([np.where(uniforms(seed, names, 1 + i, shape) < 0.5, -1.0, 1.0) for i in range(probes)])


def _require(trace: str | None, probes: int, tolerance: float, steps: int | None) -> None:
    if trace not in (None, "exact", "hutchinson"):
        raise UsageError(f"there is no trace {trace!r}", "use exact or hutchinson")
    if probes < 1:
        raise UsageError(f"{probes} probes are too few", "use 1 or more")
    if not 1e-12 <= tolerance <= 0.1:
        raise UsageError(f"tolerance {tolerance:g} is out of range", "choose 1e-12 to 0.1; 1e-5 is usual")
    if steps is not None and steps < 2:
        raise UsageError(f"{steps} steps are too few to know their error", "use 2 or more")


def _shares(
    progress: Callable[[int, int], None] | None, count: int
) -> Callable[[NDArray[np.intp]], Callable[[float], None] | None]:
    """For each block of images a function of the share of it that is solved, which moves the whole's progress."""

    def of(place: NDArray[np.intp]) -> Callable[[float], None] | None:
        if progress is None:
            return None
        return lambda share: progress(int(1000 * (place[0] + share * len(place)) / count), 1000)

    return of
