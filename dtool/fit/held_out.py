"""How good a fitted table is, on noises that it was neither fitted on nor stopped by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtool.fit.rows import solve_least_squares
from dtool.fit.table import Walk, measure_rmse
from dtool.measure.bootstrap import influence_interval, root_mean_interval
from dtool.measure.pooled_pixels import distance, statistics
from dtool.models.spec import PixelStatistics
from dtool.plan.fit_record import HeldOut, Rival
from dtool.util.arrays import Array

METRIC = "fd"


def judge_walk(walk: Walk, target: Array, law: Callable[[Array], float] | None = None) -> HeldOut:
    """The figures of a walk on judging noises, whose solutions are `target` `(n, *shape)`; rivals are added later."""
    images = walk.images
    errors = measure_errors(images, target)
    low, high = root_mean_interval(errors)
    rmse = float(np.sqrt(errors.mean()))
    return HeldOut(
        images=len(images), rmse=rmse, low=rmse if low is None else low, high=rmse if high is None else high,
        median=float(np.sqrt(np.median(errors))), deviation=float(images.std() / target.std()),
        floor=measure_floor(walk, target), metric=METRIC if law is not None else "",
        law=None if law is None else law(images), teacher_law=None if law is None else law(target),
    )  # fmt: skip


def judge_rival(
    recipe: str, calls: int, images: Array, own: Array, target: Array, *, late: float | None = None,
    law: Callable[[Array], float] | None = None,
) -> Rival:  # fmt: skip
    """A rival's figures: `own` are the fitted table's images from the same noises.

    The interval of the ratio is that of its logarithm, over the images: both errors are of the same ones.
    """
    theirs, ours = measure_errors(images, target), measure_errors(own, target)
    rmse = float(np.sqrt(theirs.mean()))
    ratio = float(np.sqrt(ours.mean())) / rmse
    influence = ours / (2 * ours.mean()) - theirs / (2 * theirs.mean())
    low, high = influence_interval(float(np.log(ratio)), influence)
    return Rival(
        recipe=recipe, calls=calls, rmse=rmse, ratio=ratio, low=float(np.exp(low)), high=float(np.exp(high)), late=late,
        law=None if law is None else law(images),
    )  # fmt: skip


def measure_errors(images: Array, target: Array) -> Array:
    """The mean square difference of each image `(n,)`."""
    return np.asarray(((images - target) ** 2).reshape(len(images), -1).mean(axis=1))


def measure_floor(walk: Walk, target: Array) -> float:
    """The least error that a last row of this table could have, each image with the best weights for it alone.

    Of x before the last row and all predictions of the run. No bound for other times or other rows before it.
    """
    before, entries = walk.states[-2], walk.entries
    best = np.empty_like(target)
    for i in range(len(target)):
        columns = [before[i], *(entry[i] for entry in entries)]
        best[i] = np.tensordot(solve_least_squares(columns, target[i]), np.stack(columns), 1)
    return measure_rmse(best, target)


def make_law(
    own: PixelStatistics | None, shape: Sequence[int], reference: Any = None
) -> Callable[[Array], float] | None:
    """The law error of images: the Fréchet distance of pooled pixels to the network's training images.

    reference: other images to compare with. None where there is nothing to compare with.
    """
    if len(shape) not in (2, 3):
        return None
    wanted = statistics(reference) if reference is not None else own
    return None if wanted is None else lambda images: distance(images, wanted)
