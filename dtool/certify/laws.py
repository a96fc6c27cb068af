"""The laws that the certificates examine samplers on: closed forms of `dtool.targets`, on a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dtool.plan import Plan, Point
from dtool.plan.reference import Answer, run_rows
from dtool.targets.line import Mixture1D
from dtool.util.arrays import Array

__all__ = ["THREE_GAUSSIANS", "UPPER_CLASS", "Array", "ExactField", "Mixture1D", "gaussian", "run_optimal_network"]

# A law, and a class of it: two of its three Gaussians.
THREE_GAUSSIANS = Mixture1D((0.3, 0.5, 0.2), (-0.35, 0.1, 0.4), (0.15, 0.12, 0.1))
UPPER_CLASS = Mixture1D((5 / 7, 2 / 7), (0.1, 0.4), (0.12, 0.1))


class ExactField(Protocol):
    """A network in closed form whose probability-flow ODE has a solution in closed form, too."""

    def x0(self, x: Array, at: Point) -> Array:
        """The image that is predicted; the shape of `x`."""

    def eps(self, x: Array, at: Point) -> Array:
        """The noise that is predicted; the shape of `x`."""

    def transport(self, x: Array, start: Point, to: Point) -> Array:
        """Where the ODE takes `x` from the level `start` to the level `to`."""


def gaussian(mean: float = 0.0, std: float = 1.0) -> Mixture1D:
    """The law N(mean, std²); std = 0 is a single image."""
    return Mixture1D((1.0,), (mean,), (std,))


def run_optimal_network(
    plan: Plan, law: ExactField, x: Array, noise: Callable[[int], Array | float] = lambda _: 0.0
) -> Array:
    """x after the plan's last row, float64, from `x` at its first point, with the network that is optimal for `law`.

    noise(i): the z of row i.
    """
    levels = [Point(float(a), float(s)) for a, s in zip(plan.alpha, plan.sigma, strict=True)]

    def ask(x: Array, i: int) -> Answer:
        return Answer(law.x0(x, levels[i]) if plan.images[i] else law.eps(x, levels[i]))

    end: Array = run_rows(plan, ask, x, noise)
    return end
