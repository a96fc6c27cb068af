"""A plan as one linear map: what every x is made of, whatever basis and history the rule was written in."""

from __future__ import annotations

import hashlib

import numpy as np

from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.reference import Answer, iterate_states


def unroll(plan: Plan) -> tuple[Column, Column]:
    """Every x of the plan as a linear form: coefficients of the start and the images, and those of the noises.

    Row i, `(rows + 1, rows + 1)`: x at call i (the last: at the end) in terms of x at the start and of the image that
    the network predicts at each call. The second array, `(rows + 1, rows)`, has each row's fresh noise.
    """
    n = plan.rows

    def unit(k: int) -> Column:
        vector = np.zeros(2 * n + 1)
        vector[k] = 1.0
        return vector

    def ask(x: Column, i: int) -> Answer:
        image = unit(1 + i)
        return Answer(image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i])

    table = np.array(list(iterate_states(plan, ask, unit(0), lambda i: unit(1 + n + i))))
    return table[:, : n + 1], table[:, n + 1 :]


def fingerprint(plan: Plan) -> str:
    """The same for two plans of equal steps: equal images from equal noise, up to rounding, clipped or not.

    A hash: of a thousand rows the map itself has millions of numbers.
    """
    signal, noise = unroll(plan)
    inputs = plan.c_in, plan.c_skip, plan.c_out, plan.b_raw, plan.c_low, np.array([plan.init])
    numbers = [plan.time, *inputs, signal.ravel(), noise.ravel()]
    if plan.says_guidance:
        scale = np.array([plan.scale is not None, plan.scale or 0.0, plan.rescale])
        numbers += [plan.guided, plan.shift, plan.b_without.ravel(), scale]
    rounded = np.round(np.concatenate(numbers), 9) + 0.0  # + 0.0: no -0
    return hashlib.sha256(rounded.tobytes()).hexdigest()
