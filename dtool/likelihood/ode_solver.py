"""Solving dx/dτ = f(x, τ) for many images at once, each with its own times and steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.util.arrays import Array

# f(y, τ, places) for states y `(B, d)`, times `(B,)` and the images that they belong to
VectorField = Callable[[Array, Array, NDArray[np.intp]], Array]
ProgressCallback = Callable[[float], None]
MAX_TRIES = 2000  # steps per image, rejected ones included

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


def heun(
    slope: VectorField, y: Array, start: float, end: float, steps: int, progress: ProgressCallback | None = None
) -> Array:
    """y `(n, d)` at `end`, by so many equal steps of Heun's method: order 2, two evaluations per step."""
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
    slope: VectorField,
    y: Array,
    start: float,
    end: float,
    tolerance: Array,
    relative: float,
    progress: ProgressCallback | None = None,
) -> Array:
    """y `(n, d)` at `end`, by Dormand and Prince's pair of orders 5 and 4, steps chosen for each image by itself.

    A step is accepted if the root mean square of its error in units of tolerance + relative·|y| is at most 1; the last
    entry of y, a sum over all the others, counts as much as they do together. tolerance `(d,)`. Raises DtoolError if
    an image takes more than 2000 steps.
    """
    n, done = len(y), np.full(len(y), float(start))
    y, h = y.copy(), np.full(len(y), (end - start) / 50)
    place = np.arange(n)
    first = slope(y, done, place)
    for _ in range(MAX_TRIES):
        h[place] = np.minimum(h[place], end - done[place])
        stages, new = _attempt_step(slope, y[place], first[place], done[place], h[place], place)
        off = h[place, None] * sum(c * k for c, k in zip(_ERROR, stages, strict=True))
        size = tolerance + relative * np.maximum(abs(y[place]), abs(new))
        off = np.square(off / size)
        error = np.sqrt(np.maximum(off[:, :-1].mean(axis=1), off[:, -1]))
        good = error <= 1
        accepted = place[good]
        y[accepted], first[accepted], done[accepted] = new[good], stages[-1][good], done[accepted] + h[accepted]
        with np.errstate(divide="ignore"):
            h[place] *= np.clip(0.9 * error**-0.2, 0.2, 5.0)
        place = np.flatnonzero(done < end - 1e-12 * abs(end - start))
        if progress is not None:
            progress(float(np.mean((done - start) / (end - start))))
        if place.size == 0:
            return y
    raise DtoolError(
        f"the ODE was not solved in {MAX_TRIES} steps: it is stiff, or the network is not smooth enough",
        "ask for a larger tolerance, or a fixed grid (steps=)",
    )


def _attempt_step(
    slope: VectorField, y: Array, first: Array, at: Array, h: Array, place: NDArray[np.intp]
) -> tuple[list[Array], Array]:
    """The seven slopes of a step and where it leads; the last slope is the next step's first."""
    stages, wide = [first], h[:, None]
    for node, weights in zip(_NODES[1:], _STAGES[:-1], strict=True):
        inner = y + wide * sum(w * k for w, k in zip(weights, stages, strict=True))
        stages.append(slope(inner, at + node * h, place))
    new = y + wide * sum(w * k for w, k in zip(_STAGES[-1], stages, strict=True))
    stages.append(slope(new, at + h, place))
    return stages, np.asarray(new)
