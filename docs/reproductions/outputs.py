"""What a network may be trained to say, and what an error in it does to the predicted image; numpy alone."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dtool
from dtool.models.network import Network
from dtool.schedulers.schedule import Schedule
from dtool.targets import Target

Array = NDArray[np.float64]

OUTPUTS = ("eps", "x0", "v", "mean")
WAVES = 4  # in each number of a made error


def posterior(made: Schedule) -> tuple[Array, Array]:
    """(a, b), each (T,): the mean of x_{t-1} given x_t and x0 is a·x0 + b·x_t (arXiv:2006.11239, eq. 7).

    b = α_t σ_{t-1}² / (α_{t-1} σ_t²) and a = α_{t-1} - α_t b; before t = 0 there is the image itself: a = 1, b = 0.
    """
    before = np.concatenate([[1.0], made.alpha[:-1]]), np.concatenate([[0.0], made.sigma[:-1]])
    kept = made.alpha * before[1] ** 2 / (before[0] * made.sigma**2)
    return before[0] - made.alpha * kept, kept


def factors(made: Schedule) -> dict[str, Array]:
    """How many times an error of each output is the error of the predicted x0, (T,), on a variance-preserving chain."""
    share, _ = posterior(made)
    return {"eps": made.sigma / made.alpha, "x0": np.ones(made.T), "v": made.sigma, "mean": 1 / share}


def sizes(made: Schedule, power: float) -> dict[str, Array]:
    """The root mean square of what each network is to say, (T,); power: E[x0²], a number of the image."""
    before = np.concatenate([[1.0], made.alpha[:-1]])
    return {
        "eps": np.ones(made.T),
        "x0": np.full(made.T, power**0.5),
        "v": np.sqrt(made.alpha**2 + made.sigma**2 * power),
        "mean": np.sqrt(before**2 * power + 1 - before**2),
    }


def gains(made: Schedule, power: float) -> dict[str, Array]:
    """The error of x0 where the output is wrong by as much as its own size, (T,)."""
    size = sizes(made, power)
    return {name: factor * size[name] for name, factor in factors(made).items()}


def power_of(law: Target) -> float:
    """E[x0²], a number of the image."""
    return float(np.trace(law.covariance) + law.mean @ law.mean) / law.size


class Wrong:
    """A law's exact network, said as x0, with what an error of the output does to it.

    The error is a smooth function of (x, t), a few waves of random direction, of mean square 1 times `size` times the
    output's own size: like that of a network, it is the same whenever the same is asked, and averages out over nothing.
    """

    def __init__(self, law: Target, made: Schedule, output: str, size: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.law, self.made = law, made
        self.gain = size * gains(made, power_of(law))[output]
        self.ways = random.standard_normal((law.size, law.size * WAVES)) * 0.5
        self.speeds, self.phases = random.uniform(-2 * pi, 2 * pi, (2, law.size * WAVES))

    def __call__(self, x: Array, t: Array) -> Array:
        """x0 for x (B, d) at whole times t (B,)."""
        at = np.rint(t).astype(int)
        exact = self.law.predict(x, self.made.alpha[at], self.made.sigma[at], None, "x0")
        waves = np.cos(x @ self.ways + at[:, None] / self.made.T * self.speeds + self.phases)
        error = waves.reshape(len(x), self.law.size, WAVES).sum(axis=-1) * (2 / WAVES) ** 0.5
        return np.asarray(exact + self.gain[at][:, None] * error)


def wrong_network(law: Target, made: Schedule, output: str, size: float, seed: int) -> Network:
    """The exact network of a law, wrong by `size` of its output's own size."""
    wrong: Any = Wrong(law, made, output, size, seed)
    return dtool.network(wrong, shape=law.shape, schedule=made, prediction="x0")
