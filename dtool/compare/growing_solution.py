"""The solution for more and more images: refined on the first few, for the others solved once, with as many steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dtool.compare.paired_errors import SolverErrorEstimate, measure_error
from dtool.compare.solver import ReferenceSolutions
from dtool.plan.compiled_plan import Plan

PROBED = 8  # images that the number of steps is found on, and the solution's own error; as many as a comparison takes
ROUGH = 0.01  # the error of a first solution, as a share of the data's range: enough to tell the poor half of a field

Images = NDArray[np.float32]


class GrowingSolutions:
    """The solutions for a sweep that draws more images of fewer and fewer candidates.

    make(ids): the references of these images. The first of them are rough, until `judge` asks for finer ones.
    """

    def __init__(self, make: Callable[[range], ReferenceSolutions]) -> None:
        self._make = make
        self.probed = make(range(PROBED))
        self._others: dict[tuple[object, ...], tuple[int, Images]] = {}

    def take(self, plan: Plan, count: int) -> Images:
        """The first `count` images `(count, *shape)` of the solution that `plan` is judged by."""
        solution = self.probed.solution(plan)
        first = np.asarray(solution.images)
        if count <= PROBED:
            return first[:count]
        key = self.probed.identify(plan)
        steps, others = self._others.get(key, (solution.steps, first[:0]))
        if steps != solution.steps:
            others = first[:0]
        have = PROBED + len(others)
        if have < count:
            more = self._make(range(have, count)).solve(plan, solution.steps)
            others = np.concatenate([others, np.asarray(more)])
        self._others[key] = solution.steps, others
        return np.concatenate([first, others])[:count]

    def judge(self, plan: Plan, images: Images) -> SolverErrorEstimate:
        """The solver error of a plan's images, held against a solution that is refined until it is judged."""
        while True:
            own = self.probed.solution(plan).error
            error = measure_error(images, self.take(plan, len(images)), own, self.probed.network.spec.data_range)
            if error.judged or not self.probed.refine(plan):
                return error
