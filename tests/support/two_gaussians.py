"""A mixture of two Gaussians with an arithmetic of its own: its network, its density, its ODE solved finely."""

from math import exp, log

import numpy as np

from dtool.plan import Point

PLACES, WEIGHTS, WIDTHS = np.array([-1.0, 0.8]), np.array([0.4, 0.6]), np.array([0.35, 0.25])


DETERMINISTIC = {
    "heun": 2, "heun:alpha=0.6": 2, "dpm2": 2, "dpm2:power=0.33": 2, "dpm-solver-2s:r=0.3": 2, "dpm-solver-3s": 3,
    "dpmpp-2s:r=0.7": 2, "dpmpp-2s:weights=exact,r=0.4": 2, "dpmpp-3s": 3, "exp-heun-2": 2, "dpm-fast": 3,
    "dpm-fast:order=2": 2, "dpmpp-singlestep": 2, "dpmpp-singlestep:order=3": 3, "heunpp2": 1,
}  # fmt: skip


STOCHASTIC = {
    "euler-ancestral": 1, "dpm2-ancestral": 2, "dpmpp-2s-ancestral": 2, "dpmpp-2s-ancestral:eta=0.5": 2,
    "dpmpp-sde": 1, "edm-euler": 1, "edm-heun:churn=2": 2, "seeds-2": 2, "seeds-2:r=1,weights=exact": 2,
    "seeds-2:r=0.7,eta=0.6": 2, "seeds-3": 2, "exp-heun-2:eta=1": 2,
}  # fmt: skip


def posterior(x, v):
    """E[ε | x̄] of the two Gaussians at the level σ/α = v, in x̄ = x/α."""
    spread = WIDTHS**2 + v * v
    off = np.asarray(x)[..., None] - PLACES
    power = -off * off / (2 * spread)
    share = WEIGHTS / np.sqrt(spread) * np.exp(power - power.max(-1, keepdims=True))
    return (share * v * off / spread).sum(-1) / share.sum(-1)


def eps(x, point):
    return posterior(x / point.alpha, point.sigma / point.alpha)


def density(x, v):
    spread = WIDTHS**2 + v * v
    off = x[:, None] - PLACES
    return (WEIGHTS / np.sqrt(2 * np.pi * spread) * np.exp(-off * off / (2 * spread))).sum(-1)


def solved(x, first, last, n=1000):
    """The probability-flow ODE from v = first to last, in ln v, by the classical method of order 4."""
    h, u = (log(last) - log(first)) / n, log(first)

    def slope(y, w):
        return exp(w) * posterior(y, exp(w))

    for _ in range(n):
        a = slope(x, u)
        b = slope(x + h / 2 * a, u + h / 2)
        c = slope(x + h / 2 * b, u + h / 2)
        x, u = x + h / 6 * (a + 2 * b + 2 * c + slope(x + h * c, u + h)), u + h
    return x


def ve(first, last, n, bend=0.15):
    """`n` uneven steps from v = first to last in coordinates with α = 1."""
    u = np.arange(n + 1) / n
    u = u + bend * u * (1 - u)
    return tuple(Point(1.0, float(v)) for v in np.exp((1 - u) * log(first) + u * log(last)))
