"""Guidance within intervals beside guidance everywhere: what is drawn, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.candidates import CallBudget, find_largest_plan
from dtool.compare.entry_identity import describe_guidance
from dtool.compare.law_error import ImageLaw, Law
from dtool.errors import UsageError
from dtool.guidances import get_guidance
from dtool.measure.share import paired_share_interval
from dtool.metrics import resolve_metric
from dtool.metrics.difference import measure_difference
from dtool.models.labels import assign_classes
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import guide
from dtool.run.guided_conditions import Request, ToldOptions
from dtool.run.guided_plan import find_compared_rows, require_scale, uses_comparison
from dtool.run.repeated_conditions import repeat_conditions
from dtool.run.sampling import sample

WIDTHS = (0.2, 0.4)  # of the noise levels: how many of them an interval holds
Images = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class GuidanceTrial:
    """One guidance beside plain guidance of the same scale, from the same noise: changes are 95 % intervals.

    `law`: the metric's value; `agreement`: the share in which the classifier sees the class that was asked for, None
    without a classifier. `distance`: root mean square difference from plain guidance's images.
    """

    guidance: str
    evaluations: int
    images: int
    law: float
    law_change: tuple[float, float]
    agreement: float | None
    agreement_change: tuple[float, float] | None
    distance: float


def list_intervals(plan: Plan) -> list[tuple[float, float]]:
    """The intervals to try: between the noise levels of the plan, without its first, each half over the one before."""
    levels = np.unique(plan.lam[np.isfinite(plan.lam)])
    edges = [*((levels[1:] + levels[:-1]) / 2).tolist(), float(levels[-1]) + 0.5]
    found: dict[tuple[float, float], None] = {}
    for width in WIDTHS:
        count = max(1, round(width * len(levels)))
        for first in range(0, len(edges) - count, max(1, count // 2)):
            found[round(edges[first], 2), round(edges[first + count], 2)] = None
    return list(found)


@dataclass(kw_only=True)
class GuidanceSearch:
    """The images of plans, and how they are judged."""

    network: Network
    given_law: Law | None
    recipe: str
    calls: int
    given_scale: float | None
    seed: int
    labels: int | Sequence[int] | None
    clip: bool | None
    told_options: ToldOptions
    progress: Callable[[int, int, str], None] | None
    done: int = field(default=0, init=False)
    total: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.given_law, ImageLaw):
            raise UsageError("an interval of guidance is judged against real images", "give some: --data FOLDER")
        self.law = self.given_law
        self.scale = self.network.spec.guidance if self.given_scale is None else self.given_scale
        require_scale(self.scale)
        if self.scale == 1 or not (self.network.spec.is_conditional or self.network.is_autoguided):
            raise UsageError("there is no guidance at scale 1", "say which scale: 3@find, of a conditional network")
        if resolve_metric(self.metric).better != "lower":
            raise UsageError(f"{self.metric} is no distance from the data", "name one that is, e.g. mmd")
        plan = find_largest_plan(self.network, self.recipe, CallBudget(most=self.calls), strict=True)
        if plan is None or plan.guidance:
            raise UsageError(f"{self.recipe} names its guidance, or fits into no {self.calls} calls", "name another")
        self.base = plan
        self.intervals = list_intervals(plan)
        self.everywhere, self.nowhere = (self._guide(scale=scale) for scale in (self.scale, 1.0))
        self.told = repeat_conditions(self.network, Request(**self.told_options, guidance=self.scale))

    def within(self, interval: tuple[float, float]) -> Plan:
        """The plan with guidance within an interval."""
        return self._guide(scale=self.scale, low=interval[0], high=interval[1])

    def _guide(self, **options: float) -> Plan:
        return guide(self.base, get_guidance("cfg", **options))

    def expect(self, tried: range, others: range) -> None:
        """Count the calls that are to come."""
        self.total = self.base.rows * (len(tried) * (2 + len(self.intervals)) + 2 * len(others))

    def draw(self, plan: Plan, ids: range) -> Images:
        """The images of these ids."""
        classes = self.assign_classes(ids)
        told = self.told.take(ids, compared=uses_comparison(self.network, plan))
        out = sample(
            self.network, plan, ids=ids, seed=self.seed, labels=None if classes is None else classes.tolist(),
            clip=self.clip, **told,
        )  # fmt: skip
        self.done += plan.rows * len(ids)
        if self.progress is not None:
            self.progress(self.done, self.total, plan.recipe)
        return np.asarray(out.x0)

    def assign_classes(self, ids: range) -> NDArray[np.int64] | None:
        """The classes of these images."""
        fixed = None if self.labels is None else np.atleast_1d(np.asarray(self.labels))
        return assign_classes(self.network, ids, fixed)

    def try_out(self, plan: Plan, plain: Images, ids: range) -> GuidanceTrial:
        """What a plan draws, beside plain guidance's images."""
        return self.judge(plan, self.draw(plan, ids), plain, ids)

    def confirm(self, interval: tuple[float, float], ids: range) -> GuidanceTrial:
        """The interval beside plain guidance on these images."""
        return self.try_out(self.within(interval), self.draw(self.everywhere, ids), ids)

    @property
    def metric(self) -> str:
        """The headline metric that the law of the samples is judged by."""
        names = [metric.token for metric in self.law.asked or ()]
        return names[0] if names else "mmd"

    def judge(self, plan: Plan, images: Images, plain: Images, ids: range) -> GuidanceTrial:
        """How far the images are from the data's law, and whether they are of their classes."""
        reference, classes = self.law.reference, self.assign_classes(ids)
        pictures = [self.network.to_pictures(each) for each in (images, plain)]
        difference = measure_difference(self.metric, pictures[0], pictures[1], reference)
        mine: NDArray[np.bool_] | None = None
        change = None
        if reference.classifier is not None and classes is not None:
            mine, theirs = (np.asarray(_see(reference.classifier, each) == classes) for each in pictures)
            change = paired_share_interval(mine, theirs)
        return GuidanceTrial(
            guidance=describe_guidance(plan.guidance, plan.scale or 0.0),
            evaluations=plan.rows + int(find_compared_rows(self.network, plan).sum()), images=len(ids),
            law=difference.a, law_change=(difference.low, difference.high),
            agreement=None if mine is None else float(mine.mean()), agreement_change=change,
            distance=float(np.sqrt(np.mean((pictures[0] - pictures[1]) ** 2))),
        )  # fmt: skip


def _see(classifier: Callable[[Any], Any], pictures: Images) -> NDArray[Any]:
    """The classes `(n,)` that a classifier sees, whether it gives classes or scores."""
    seen = np.asarray(classifier(pictures))
    return seen if seen.ndim == 1 else seen.argmax(axis=1)
