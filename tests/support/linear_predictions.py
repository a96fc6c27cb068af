"""Networks whose prediction is a polynomial in λ whatever x is, and the exact solutions of their equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy.integrate import quad

from dtool.plan import Point

START = np.array([-0.7, 0.2, 1.9])  # x where a step begins


def predict_image(coefficients: Sequence[float]) -> Callable[[Any, Point], Any]:
    """ε of a network whose image is x0(λ) = Σ c_k λ^k."""
    image = Polynomial(coefficients)
    return lambda x, point: (x - point.alpha * image(point.lam)) / point.sigma


def predict_noise(coefficients: Sequence[float]) -> Callable[[Any, Point], Any]:
    """A network that says ε(λ) = Σ c_k λ^k."""
    noise = Polynomial(coefficients)
    return lambda x, point: np.full_like(x, noise(point.lam))


def solve_image(coefficients: Sequence[float], x: Any, now: Point, to: Point, eta: float = 0.0) -> Any:
    """The mean at `to` of the reverse SDE of strength η (arXiv:2211.01095, eq. 18), by quadrature."""
    image = Polynomial(coefficients)
    kernel = lambda lam: (1 + eta) * np.exp((1 + eta) * (lam - to.lam)) * image(lam)  # noqa: E731
    integral = quad(kernel, now.lam, to.lam, epsabs=1e-13, epsrel=1e-13)[0]
    return to.sigma / now.sigma * np.exp(eta * (now.lam - to.lam)) * x + to.alpha * integral


def solve_noise(coefficients: Sequence[float], x: Any, now: Point, to: Point) -> Any:
    """x at `to` by the ODE d(x/α)/dλ = -e^{-λ} ε (arXiv:2206.00927, eq. 3.4), by quadrature."""
    noise = Polynomial(coefficients)
    integral = quad(lambda lam: np.exp(-lam) * noise(lam), now.lam, to.lam, epsabs=1e-13, epsrel=1e-13)[0]
    return to.alpha * (x / now.alpha - integral)
