"""The chain whose likelihood is bounded: its levels, and what each of its steps costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.prediction import adapt_to_network
from dtool.plan.recipe import Recipe
from dtool.schedulers.levels import alpha_sigma_from_lam
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import Spacing
from dtool.util.arrays import Array

Variance = Literal["beta", "tilde", "analytic", "learned"]
VARIANCES: tuple[Variance, ...] = get_args(Variance)
DEFAULT_SPACING = "linspace"  # the papers' even trajectory: from the last level to the first, both included


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """K levels from noise to image, the image itself after the last; columns are float64 `(K,)`.

    In variance-preserving coordinates, whatever those of the plan: a bound is made of signal-to-noise ratios, and
    does not depend on the scale of x. The network is called as F(c_in·x, time), and predicts D = c_skip·x + c_out·F.
    """

    plan: Plan
    lam: Array
    time: Array
    c_in: Array
    c_skip: Array
    c_out: Array

    @property
    def steps(self) -> int:
        """K: network calls, and terms but for L_T."""
        return int(self.lam.size)

    @cached_property
    def alpha(self) -> Array:
        """√ᾱ of each level."""
        return alpha_sigma_from_lam(self.lam)[0]

    @cached_property
    def sigma(self) -> Array:
        """√(1-ᾱ) of each level."""
        return alpha_sigma_from_lam(self.lam)[1]

    @cached_property
    def gain(self) -> Array:
        """Δ `(K-1,)`, what a step between two levels adds to the signal-to-noise ratio (arXiv:2107.00630, eq. 14)."""
        low, high = self.lam[:-1], self.lam[1:]
        return np.asarray(-np.exp(2 * high) * np.expm1(2 * (low - high)))

    @cached_property
    def log_variance_ratio(self) -> Array:
        """ln β/β̃ `(K-1,)` of the steps between two levels: β/β̃ = (1-ᾱ_t)/(1-ᾱ_s)."""
        log = np.logaddexp(0, 2 * self.lam)  # -ln(1-ᾱ)
        return np.asarray(log[1:] - log[:-1])

    @property
    def final_log_variances(self) -> tuple[float, float]:
        """(ln β̃, ln β) of the step to the image, β̃ = 0 replaced by that of the step before (arXiv:2102.09672, 3.1).

        In a chain of one step there is none before: it is then β.
        """
        high = -float(np.logaddexp(0, 2 * self.lam[-1]))
        if self.steps == 1:
            return high, high
        # β̃ = (1-ᾱ_s)(1 - e^{2(λ_t-λ_s)}) of the last step between two levels
        return high + float(np.log(-np.expm1(2 * (self.lam[-2] - self.lam[-1])))), high


def prior(alpha: float, images: Array) -> Array:
    """L_T, KL(q(x_T | x0) ‖ N(0, I)) in nats `(n,)`, of images `(n, *shape)` (arXiv:2006.11239, eq. 5)."""
    power = np.square(images).sum(axis=tuple(range(1, images.ndim)))
    size = images[0].size
    return np.asarray((alpha**2 * power - size * (alpha**2 + np.log1p(-(alpha**2)))) / 2)


def divergence(gain: float, excess: Array | float, square: Array) -> Array:
    """KL(q(x_s | x_t, x0) ‖ N(μ_θ, σ²)) in nats, number by number (arXiv:2006.11239, eq. 8, with its -1 + ln).

    gain: Δ of the step. excess: σ²/β̃ - 1. square: (x0 - D)². With ‖μ̃ - μ_θ‖² = Δ·β̃·(x0 - D)² every quotient of small
    numbers is gone: ½(ln(1+q) - q/(1+q) + Δ(x0-D)²/(1+q)).
    """
    return np.asarray((np.log1p(excess) + (gain * square - excess) / (1 + excess)) / 2)


def make_chain(
    network: Network,
    plan: Plan | int | Literal["all"],
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float] | None = None,
) -> Chain:
    """The chain with these levels. plan: a number of steps, "all" levels, or a plan of ddpm's.

    Raises UsageError where there is no bound: for grids that go back up or don't end at the image, and for plans
    that are not DDPM's.
    """
    if not isinstance(plan, Plan):
        levels = Recipe.parse("ddpm").complete(scheduler, None).scheduler or network.schedule
        count = levels.T if plan == "all" else plan
        place = None if points is not None else spacing or DEFAULT_SPACING
        steps = None if points is not None else count
        ddpm = make_plan("ddpm", steps=steps, scheduler=levels, spacing=place, points=points, network=network)
    else:
        if scheduler is not None or spacing is not None or points is not None:
            raise UsageError("the plan already has its levels", "leave out scheduler, spacing and points")
        ddpm = adapt_to_network(plan, network.schedule, network.prediction)
    _require_chain(ddpm)
    size = np.hypot(ddpm.alpha, ddpm.sigma)
    return Chain(
        plan=ddpm, lam=ddpm.lam, time=ddpm.time, c_in=ddpm.c_in * size, c_skip=ddpm.c_skip * size, c_out=ddpm.c_out
    )


def choose_variance(network: Network, plan: Plan | int | Literal["all"], wanted: Variance | None) -> Variance:
    """The variance that `bound` was asked for; else the plan's; else the network's own, or the optimal one.

    Raises UsageError for an unknown one, or one that the network does not predict.
    """
    if wanted is None and isinstance(plan, Plan):
        name = plan.sampler.partition(":")[0]
        plan_variance = (
            "analytic" if name == "analytic-ddpm" else dict(Recipe.parse(plan.sampler).rule.options).get("sigma")
        )
        wanted = next((known for known in VARIANCES if known == plan_variance), None)
    if wanted is None:
        wanted = "learned" if network.spec.learned_variance else "analytic"
    if wanted not in VARIANCES:
        raise UsageError(f"there is no variance {wanted!r}", f"choose {', '.join(VARIANCES)}")
    if wanted == "learned" and not network.spec.learned_variance:
        raise UsageError("this network predicts no variance", "choose beta, tilde or analytic")
    return wanted


def _require_chain(plan: Plan) -> None:
    """Refuse a plan that is no chain of DDPM's from noise to image."""
    name = plan.sampler.partition(":")[0]
    if plan.rows > 1 and not plan.stochastic and name != "ddpm":
        raise UsageError(
            f"{plan.recipe} adds no noise: its chain has no density, and its bound is infinite",
            "ask for the probability-flow ODE, or bound the chain of ddpm",
        )
    if name not in ("ddpm", "analytic-ddpm"):
        raise UsageError(f"the bound is known only for DDPM's mean, not for {plan.recipe}", "use ddpm or analytic-ddpm")
    if plan.rows != plan.steps or not (np.diff(plan.lam) > 0).all() or plan.inverse:
        raise UsageError("the levels go back up, and a bound needs a chain from noise to image", "use another spacing")
    last = plan.a[-1] + plan.b[-1, 0] * plan.m_x[-1], plan.b[-1, 0] * plan.m_f[-1]
    if not np.allclose(last, (plan.c_skip[-1], plan.c_out[-1]), rtol=1e-9, atol=1e-12):
        raise UsageError("the chain ends before the image, whose likelihood is asked for", "leave out end=")
