"""ode(...): bits per dimension by the probability-flow ODE."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.likelihood.decoder import bin_width, snap_to_levels
from dtool.likelihood.jacobian import Jacobian, TraceFunction, choose_trace
from dtool.likelihood.network_calls import Caller, check_images, check_names, draw_uniforms, split_blocks, tell_images
from dtool.likelihood.ode_solver import heun, rk45
from dtool.likelihood.result import Density
from dtool.models.network import Network
from dtool.plan.prediction import history_map, locate_levels, scale_input
from dtool.run.guided_conditions import Request
from dtool.schedulers.levels import alpha_sigma_from_lam
from dtool.util.arguments import check_arguments
from dtool.util.arrays import Array

MAX_EXACT_SIZE = 128  # numbers per image up to which the trace is exact by default
BLOCK_SIZE = 64  # images that are solved together
CHECKED_IMAGES = 4  # images whose solution is compared with a coarser one
# λ at which to stop on a schedule that goes down to no signal: e⁻¹⁶ of the variance is still the image's
MIN_LAM = -8.0


@check_arguments
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
    prompt: str | Sequence[str] | None = None,
    conditions: Mapping[str, Any] | None = None,
    levels: int | None = 256,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Density:
    """-log2 p(x0) by the probability-flow ODE: log p_T(x_T) + ∫ div f dτ (arXiv:2011.13456, eq. 39).

    The density is that of the law at the schedule's first level, in units of the image, at the image; on `levels`
    levels (None: continuous) uniform noise a level wide is added first, which makes it a bound of the probability.
    trace: exact, from d products with the Jacobian, the default up to 128 numbers per image; hutchinson, from
    `probes` random vectors of ±1, fixed for each image. jacobian: products by automatic differentiation (PyTorch),
    or differences. tolerance: of Dormand and Prince's method, relative and absolute, in nats per dimension too;
    steps: as many equal steps in λ by Heun's method instead. labels, prompt, conditions, ids, seed: as in `bound`.
    progress(done, total): in thousandths. Raises UsageError for arguments that do not fit, DtoolError if the ODE is
    not solved.

    >>> law = dtool.targets.target("gaussian:d=2")
    >>> x = law.sample(2)
    >>> density = dtool.likelihood.ode(law.network(), x, levels=None)
    >>> exact = -law.log_density(x) / np.log(2) / 2  # bits per dimension
    >>> np.allclose(density.per_image, exact, atol=0.01)
    True
    """
    started = time.perf_counter()
    data = snap_to_levels(check_images(network, images), levels, network.spec.data_range)
    _check_settings(trace, probes, tolerance, steps)
    names = check_names(ids, len(data))
    told = tell_images(network, labels, Request(prompt=prompt, conditions=conditions), names)
    size = data[0].size
    kind = trace or ("exact" if size <= MAX_EXACT_SIZE else "hutchinson")
    if levels is not None:
        width = bin_width(levels, network.spec.data_range)
        data = data + width * (draw_uniforms(seed, names, 0, network.shape) - 0.5)
    caller = Caller(network, told)
    way, traced = choose_trace(network, caller, jacobian)
    signs = None if kind == "exact" else _draw_signs(seed, names, network.shape, probes)
    flow = _Flow(network, traced, signs)
    rule = _SolverSettings(tolerance, steps)
    show = _split_progress(progress, len(data))
    nats = np.concatenate([flow.solve(data, place, rule, show(place)) for place in split_blocks(len(data), BLOCK_SIZE)])
    evaluations = flow.evaluations / len(data)
    checked = np.arange(min(CHECKED_IMAGES, len(data)))
    coarse = flow.solve(data, checked, rule.coarser, None)
    to_bits = 1 / (size * log(2))
    shift = 0.0 if levels is None else log(width)
    return Density(
        per_image=(-nats / size - shift) / log(2), error=float(abs(coarse - nats[checked]).max()) * to_bits,
        checked=len(checked), method="heun" if steps else "rk45", trace=kind, probes=0 if kind == "exact" else probes,
        jacobian=way, tolerance=tolerance, levels=levels, dimensions=size, seed=seed, calls=evaluations,
        seconds=time.perf_counter() - started,
    )  # fmt: skip


@dataclass(frozen=True)
class _SolverSettings:
    """How the ODE is solved: with a tolerance, or in `steps` steps."""

    tolerance: float
    steps: int | None

    @property
    def coarser(self) -> _SolverSettings:
        """A solve whose difference from this one is about its own error, and so more than this one's."""
        return _SolverSettings(10 * self.tolerance, None if self.steps is None else max(1, self.steps // 2))


class _Flow:
    """dx/dτ for τ = -λ, in variance-preserving coordinates: σε - σ²x, and its divergence σ tr ∂ε/∂x - dσ²."""

    def __init__(self, network: Network, traced: TraceFunction, signs: Array | None) -> None:
        self.network, self.traced, self.signs = network, traced, signs
        self.evaluations = 0
        lam = network.schedule.lam
        self.start, self.end = float(lam[0]), max(float(lam[-1]), MIN_LAM)
        if not self.end < self.start:
            raise UsageError("a schedule of one level has no probability-flow ODE", "use one with a larger T")

    def solve(
        self, data: Array, place: NDArray[np.intp], rule: _SolverSettings, show: Callable[[float], None] | None
    ) -> Array:
        """log p of the images at `place`, in nats `(B,)`."""
        alpha = float(alpha_sigma_from_lam(np.array(self.start))[0])
        size = data[0].size
        y = np.concatenate([alpha * data[place].reshape(len(place), -1), np.zeros((len(place), 1))], axis=1)

        def slope(state: Array, at: Array, index: NDArray[np.intp]) -> Array:
            return self._slope(state, -at, place[index])

        if rule.steps is not None:
            end = heun(slope, y, -self.start, -self.end, rule.steps, show)
        else:
            tolerances = np.full(size + 1, rule.tolerance)
            tolerances[-1] *= size
            end = rk45(slope, y, -self.start, -self.end, tolerances, rule.tolerance, show)
        normal = -(np.square(end[:, :-1]).sum(axis=1) + size * log(2 * pi)) / 2
        return np.asarray(normal + end[:, -1] + size * log(alpha))

    def _slope(self, state: Array, lam: Array, place: NDArray[np.intp]) -> Array:
        network, size = self.network, state.shape[1] - 1
        alpha, sigma = alpha_sigma_from_lam(lam)
        time, c_in, _ = locate_levels(network.schedule, np.full(len(lam), np.nan), alpha, sigma)
        c_in = scale_input(network.prediction, alpha, sigma, c_in)
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


def _draw_signs(seed: int, names: NDArray[np.uint64], shape: tuple[int, ...], probes: int) -> Array:
    """±1, `(probes, n, *shape)`: a function of the seed and of each image's id."""
    return np.stack([np.where(draw_uniforms(seed, names, 1 + i, shape) < 0.5, -1.0, 1.0) for i in range(probes)])


def _check_settings(trace: str | None, probes: int, tolerance: float, steps: int | None) -> None:
    if trace not in (None, "exact", "hutchinson"):
        raise UsageError(f"there is no trace {trace!r}", "use exact or hutchinson")
    if probes < 1:
        raise UsageError(f"{probes} probes are too few", "use 1 or more")
    if not 1e-12 <= tolerance <= 0.1:
        raise UsageError(f"tolerance {tolerance:g} is out of range", "choose 1e-12 to 0.1; 1e-5 is usual")
    if steps is not None and steps < 2:
        raise UsageError(f"{steps} steps are too few to estimate the error", "use 2 or more")


def _split_progress(
    progress: Callable[[int, int], None] | None, count: int
) -> Callable[[NDArray[np.intp]], Callable[[float], None] | None]:
    """For each block of images, a function of its solved share that reports the progress of the whole."""

    def of(place: NDArray[np.intp]) -> Callable[[float], None] | None:
        if progress is None:
            return None
        return lambda share: progress(int(1000 * (place[0] + share * len(place)) / count), 1000)

    return of
