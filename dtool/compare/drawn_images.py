"""The images of a comparison: drawn here and timed, or a share of them, which is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.budget import spend_budget
from dtool.compare.drawing import TIMED_IMAGES, ComparisonSampler
from dtool.compare.kept_images import ImageCache
from dtool.compare.law_error import Law
from dtool.compare.time_shares import TimeSplit
from dtool.compare.work_sharing import WorkSharing, draw_shared, open_folder


@dataclass(frozen=True, kw_only=True)
class DrawnImages:
    """The n images of each plan, the seconds that they took in each timed round, and the most steps of a solution."""

    images: Sequence[NDArray[np.float32]]
    n: int
    most: int
    seconds: Sequence[Sequence[float]]
    splits: Sequence[TimeSplit | None]


def draw_timed(
    drawing: ComparisonSampler, law_of: Callable[[int], Law | None], n: int | None, repeats: int, *, began: float,
    budget: float | None, solver_images: int, most: int,
) -> DrawnImages:  # fmt: skip
    """Time the plans in turns; then draw n images of each here, or as many as a budget allows."""
    drawing.warm_up()
    timed, count = min(n or TIMED_IMAGES, TIMED_IMAGES), len(drawing.plans)
    seconds = drawing.time_plans(timed, repeats)
    if budget:
        each = [median(s) / timed for s in seconds]
        n, most = spend_budget(
            drawing, law_of, each, began=began, budget=budget, solver_images=solver_images, most=most
        )
    n = n or TIMED_IMAGES
    drawing.resume(n)
    return DrawnImages(
        images=[drawing.draw_images(i, n) for i in range(count)], n=n, most=most,
        seconds=[[s * n / timed for s in each] for each in seconds],
        splits=[drawing.scale_split(i, n / timed) for i in range(count)],
    )  # fmt: skip


def draw_untimed(
    drawing: ComparisonSampler, sharing: WorkSharing, key: dict[str, Any], cache: ImageCache | None, n: int, most: int
) -> DrawnImages:
    """Draw this share of n images of each plan, which are not timed: other processes run beside it.

    key: all that the images depend on but the plans and their number; cache: where they go if no folder is named.
    """
    about = key | {"n": n, "recipes": [plan.recipe for plan in drawing.plans]}
    about["plans"] = [plan.hash for plan in drawing.plans]
    images, count = draw_shared(drawing, sharing, open_folder(sharing, about, cache), n), len(drawing.plans)
    return DrawnImages(images=images, n=n, most=most, seconds=[[nan]] * count, splits=[None] * count)
