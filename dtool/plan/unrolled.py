"""A plan as one linear map: what every x is made of, whatever basis and history the rule was written in."""

from __future__ import annotations

import hashlib

import numpy as np

from dtool.plan.plan import Column, Plan


def unrolled(plan: Plan) -> tuple[Column, Column]:
    """Every x of the plan as a linear form: coefficients of the start and the images, and those of the noises.

    Row i, `(rows + 1, rows + 1)`: x at call i (the last: at the end) in terms of x at the start and of what the network
    says the image is at each call. The second array, `(rows + 1, rows)`, has each row's fresh noise.
    """
    n = plan.rows
    x, saved = np.zeros(2 * n + 1), np.zeros(2 * n + 1)
    x[0] = 1.0
    found: list[Column] = [x]
    history: list[Column] = []
    for i in range(n):
        image = np.zeros(2 * n + 1)
        image[1 + i] = 1.0
        saved = x if plan.save[i] else saved
        history.insert(0, image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i])
        del history[plan.history :]
        x = plan.a[i] * x + plan.a_saved[i] * saved
        x = x + sum(weight * entry for weight, entry in zip(plan.b[i], history, strict=False))
        x[1 + n + i] += plan.c[i]
        found.append(x)
    table = np.array(found)
    return table[:, : n + 1], table[:, n + 1 :]


def fingerprint(plan: Plan) -> str:
    """The same for two plans of equal steps: equal images from equal noise, up to rounding, clipped or not.

    A hash: of a thousand rows the map itself has millions of numbers.
    """
    signal, noise = unrolled(plan)
    inputs = plan.c_in, plan.c_skip, plan.c_out, plan.b_raw, plan.c_low, np.array([plan.init])
    numbers = [plan.time, *inputs, signal.ravel(), noise.ravel()]
    rounded = np.round(np.concatenate(numbers), 9) + 0.0  # + 0.0: no -0
    return hashlib.sha256(rounded.tobytes()).hexdigest()
