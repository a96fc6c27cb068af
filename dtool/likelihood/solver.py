"""Solving dx/dτ = f(x, τ) for many images at once, each with times and steps of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.schedulers.schedule import Array

# f(y, τ, places) for states y `(B, d)`, times `(B,)` and the images that they belong to
Slope = Callable[[Array, Array, NDArray[np.intp]], Array]
Progress = Callable[[float], None]
TRIES = 2000  # steps an image, refused ones included

# Dormand and Prince (1980), RK5(4)7M: nodes, weights of the stages, and the fifth order's less the fourth's
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def heun(slope: Slope, y: Array, start: float, end: float, steps: int, progress: Progress | None = None) -> Array:
    """y `(n, d)` at `end`, by so many equal steps of Heun's method: order 2, two evaluations a step."""
    h, place = (end - start) / steps, np.arange(len(y))
    for i in range(steps):
        at = np.full(len(y), start + i * h)
        first = slope(y, at, place)
        second = slope(y + h * first, at + h, place)
        y = y + h / 2 * (first + second)
        if progress is not None:
            progress((i + 1) / steps)
    return y


def rk45(
    slope: Slope,
    y: Array,
    start: float,
    end: float,
    tolerance: Array,
    relative: float,
    progress: Progress | None = None,
) -> Array:
    """y `(n, d)` at `end`, by Dormand and Prince's pair of orders 5 and 4, steps chosen for each image by itself.

    A step is kept if the root mean square of its error in units of tolerance + relative·|y| is at most 1; the last
    entry of y, a sum over all the others, counts as much as they do together. tolerance `(d,)`. Raises DtoolError if
    an image takes more than 2000 steps.
    """
    n, done = len(y), np.full(len(y), float(start))
    y, h = y.copy(), np.full(len(y), (end - start) / 50)
    place = np.arange(n)
    first = slope(y, done, place)
    for _ in range(TRIES):
        h[place] = np.minimum(h[place], end - done[place])
        stages, new = _attempt(slope, y[place], first[place], done[place], h[place], place)
        off = h[place, None] * sum(c * k for c, k in zip(_ERROR, stages, strict=True))
        size = tolerance + relative * np.maximum(abs(y[place]), abs(new))
        off = np.square(off / size)
        error = np.sqrt(np.maximum(off[:, :-1].mean(axis=1), off[:, -1]))
        good = error <= 1
        kept = place[good]
        y[kept], first[kept], done[kept] = new[good], stages[-1][good], done[kept] + h[kept]
        with np.errstate(divide="ignore"):
            h[place] *= np.clip(0.9 * error**-0.2, 0.2, 5.0)
        place = np.flatnonzero(done < end - 1e-12 * abs(end - start))
        if progress is not None:
            progress(float(np.mean((done - start) / (end - start))))
        if place.size == 0:
            return y
    raise DtoolError(
        f"the ODE was not solved in {TRIES} steps: it is stiff there, or the network is not smooth enough",
        "ask for a larger tolerance, or a fixed grid (steps=)",
    )


def _attempt(
    slope: Slope, y: Array, first: Array, at: Array, h: Array, place: NDArray[np.intp]
) -> tuple[list[Array], Array]:
    """The seven slopes of a step and where it leads; the last slope is the next step's first."""
    stages, wide = [first], h[:, None]
    for node, weights in zip(_NODES[1:], _STAGES[:-1], strict=True):
        inner = y + wide * sum(w * k for w, k in zip(weights, stages, strict=True))
        stages.append(slope(inner, at + node * h, place))
    new = y + wide * sum(w * k for w, k in zip(_STAGES[-1], stages, strict=True))
    stages.append(slope(new, at + h, place))
    return stages, np.asarray(new)
