"""What a budget of time buys: how many images of every recipe, and how fine a solution they are held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np

from dtool.compare.drawing import TIMED_IMAGES, ComparisonSampler
from dtool.compare.law_error import Law
from dtool.compare.step_doubling import LEAST

MAX_IMAGES = 10_000  # images that a budget buys at most
TRIAL_IMAGES = 128  # images that a budget tries the metrics on


def spend_budget(
    drawing: ComparisonSampler, law_of: Callable[[int], Law | None], each: Sequence[float], *, began: float,
    budget: float, solver_images: int, most: int,
) -> tuple[int, int]:  # fmt: skip
    """(images of every recipe, most steps of a solution) that a budget allows which has been running since `began`.

    each: seconds per image of each recipe. solver_images: how many images are solved for. most: steps of a solution if
    there is time enough.
    """
    call = max(one / plan.rows for one, plan in zip(each, drawing.plans, strict=True))
    most, solving = choose_solution_steps(call, 0.4 * budget, solver_images, most)
    return _count_images(drawing, law_of, each, began + budget - solving), most


def _count_images(
    drawing: ComparisonSampler, law_of: Callable[[int], Law | None], each: Sequence[float], end: float
) -> int:
    """How many images of every recipe can be drawn and judged until `end`; each: seconds per image of each recipe."""
    few = count_affordable(sum(each), TIMED_IMAGES, end, most=TRIAL_IMAGES)
    images = drawing.draw_images(0, few)
    law = law_of(few)
    began = time.monotonic()
    if law is not None:
        law.figures(drawing.network.to_pictures(images), drawing.assign_classes(range(few)))
    judging = 2 * len(each) * (time.monotonic() - began)  # the figures, and the tests of one against another
    return count_affordable(sum(each), TIMED_IMAGES, end, judging=judging, of=few)


def choose_solution_steps(call: float, seconds: float, images: int, most: int) -> tuple[int, float]:
    """(most steps of a solution, its seconds) for at most `seconds`, if they suffice for the fewest steps.

    call: seconds of a network call for one image.
    """
    while most > 2 * LEAST and 2 * most * images * call > seconds:
        most //= 2
    return most, 2 * most * images * call


def count_affordable(
    each: float, least: int, end: float, *, judging: float = 0.0, of: int = 1, most: int = MAX_IMAGES
) -> int:
    """How many images of every recipe can be drawn and judged until `end` (`time.monotonic()`), least to most.

    each: seconds for one image of every recipe together. judging: seconds that metrics take for `of` images, which grow
    with the square of their number, since all are compared with all. A tenth of the time is left as a reserve.
    """
    left = 0.9 * (end - time.monotonic())
    if left <= 0:
        return least
    root = sqrt(each**2 + 4 * judging / of**2 * left)  # n solves judging·(n/of)² + each·n = left
    return int(np.clip(2 * left / (each + root) if each + root > 0 else most, least, most))
