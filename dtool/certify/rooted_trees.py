"""The fields of rooted trees: what an order asks of a Runge-Kutta method, one component each (Butcher, 1963)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial

from dtool.plan import Point
from dtool.util.arrays import Array


@dataclass(frozen=True)
class RootedTrees:
    """The ODE d x̄_τ/dv = Π x̄_child over the children of τ, for every rooted tree τ of at most `order` vertices.

    x̄ = x/α, v = σ/α. Its solution is a polynomial, on which a method of order p errs in trees of more than p vertices
    alone: a classical one by no more than rounding in the others, so that the error is one power of the step.
    """

    order: int

    def eps(self, x: Array, at: Point) -> Array:
        """The predicted noise, the slope of x̄; `x` is `(trees,)`."""
        scaled = x / at.alpha
        return np.array([scaled[list(children)].prod() for children in list_trees(self.order)])

    def x0(self, x: Array, at: Point) -> Array:
        """The predicted image; the shape of `x`."""
        return np.asarray(x / at.alpha - at.v * self.eps(x, at))

    def transport(self, x: Array, start: Point, to: Point) -> Array:
        """Where the ODE takes `x` from the level `start` to the level `to`."""
        paths: list[Polynomial] = []
        for children, value in zip(list_trees(self.order), x / start.alpha, strict=True):
            slope = Polynomial([1.0])
            for child in children:
                slope = slope * paths[child]
            paths.append(slope.integ() + float(value))
        return to.alpha * np.array([path(to.v - start.v) for path in paths])

    def start(self, _: Point) -> Array:
        """x̄ = 0, where the solution is v^vertices over the density of the tree."""
        return np.zeros(len(list_trees(self.order)))


@cache
def list_trees(order: int) -> tuple[tuple[int, ...], ...]:
    """Every rooted tree of at most `order` vertices, the small ones first, each as the places of its children here."""
    trees: list[tuple[int, ...]] = [()]
    sizes = [1]
    for size in range(2, order + 1):
        found = list(_combine(sizes, size - 1, len(sizes) - 1))
        trees += found
        sizes += [size] * len(found)
    return tuple(trees)


def _combine(sizes: list[int], vertices: int, last: int) -> Iterator[tuple[int, ...]]:
    """Every falling sequence of trees that have so many vertices together, none after the tree `last`."""
    if vertices == 0:
        yield ()
    for i in range(last, -1, -1):
        if 0 < sizes[i] <= vertices:
            for rest in _combine(sizes, vertices - sizes[i], i):
                yield (i, *rest)
