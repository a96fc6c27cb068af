"""The judgement of a stochastic plan: the law of its images from other noises, beside named stochastic recipes.

Fresh noise leads elsewhere than the solution from the same start, so that images are not compared one by one, but as
two sets: by the sliced Wasserstein distance to solutions from noises that the plan's images do not begin at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dtool.fit.held_out import METRIC, make_law
from dtool.fit.rivals import Contest, list_stochastic
from dtool.fit.session import FitSession
from dtool.fit.work import Work
from dtool.measure.half_sampling import recentred_interval
from dtool.metrics.sliced import draw_directions, sliced_distance
from dtool.plan.compiled_plan import Plan
from dtool.plan.fit_record import HeldOut, Rival
from dtool.util.arrays import Array

DIRECTIONS, HALVES = 200, 200
ROUNDS = ((32, 1.0), (0, 0.25))  # fewer images say too little of a law
RIVALS = 3  # named recipes at the same calls that a certificate shows, beside the best one at twice as many


def judge_law(session: FitSession, plan: Plan, work: Work) -> Plan:
    """The plan with its figures on images of other noises, beside stochastic recipes at the same calls and at twice."""
    calls, spec = plan.rows, session.network.spec
    work.tell(f"{calls} calls: judging")
    target = session.take("judging")[1].images
    apart, law = SlicedLaw(target), make_law(spec.statistics, spec.shape)
    contest = Contest(
        network=session.network, noises=session.draw("drawing", len(target)),
        options={"clip": session.options.clip}, on_call=session.spend, runs=session.runs, measure=apart.measure,
        rounds=ROUNDS,
    )  # fmt: skip
    [own] = contest.draw([plan], len(target))
    assert own is not None, "dtool.sample raises an error for images that are not finite"
    guidance: Any = session.guidance or (session.scale if spec.is_conditional else None)
    named = contest.rank(list_stochastic(session.network, calls, guidance))[:RIVALS]
    twice = contest.rank(list_stochastic(session.network, 2 * calls, guidance))[:1]
    rivals = [
        _judge_rival(apart, one.recipe, one.plan.rows, images, own, law) for one, images in (*named, *twice)
    ]  # fmt: skip
    others = np.concatenate([session.take(kind)[1].images for kind in ("training", "validation")])[: len(target)]
    low, high = apart.find_interval(own)
    held_out = HeldOut(
        images=len(own), rmse=apart.measure(own), low=low, high=high, deviation=float(own.std() / target.std()),
        floor=apart.measure(others), metric=METRIC if law is not None else "",
        law=None if law is None else law(own), teacher_law=None if law is None else law(target), rivals=tuple(rivals),
    )  # fmt: skip
    assert plan.fit is not None, "it was just made"
    judged = replace(plan, fit=replace(plan.fit, held_out=held_out))
    work.on_better(judged)
    return judged


def _judge_rival(
    apart: SlicedLaw, recipe: str, calls: int, images: Array, own: Array, law: Callable[[Array], float] | None
) -> Rival:
    ratio, low, high = apart.compare(own, images)
    return Rival(
        recipe=recipe, calls=calls, rmse=apart.measure(images), ratio=ratio, low=low, high=high,
        law=None if law is None else law(images),
    )  # fmt: skip


@dataclass(frozen=True)
class SlicedLaw:
    """The sliced Wasserstein distance of images `(n, *shape)` to `target`; intervals are from random halves of both."""

    target: Array = field(repr=False)

    def project(self, images: Array) -> Array:
        """Projections on directions that are always the same, `(n, directions)`."""
        flat = images.reshape(len(images), -1)
        return np.asarray(flat @ draw_directions(flat.shape[1], DIRECTIONS))

    @cached_property
    def _wanted(self) -> Array:
        return self.project(self.target)

    def measure(self, images: Array) -> float:
        """The distance."""
        return _measure(self.project(images), self._wanted)

    def find_interval(self, images: Array) -> tuple[float, float]:
        """The 95 % interval of the distance."""
        [values] = self._measure_halves([images])
        return recentred_interval(values, self.measure(images))

    def compare(self, own: Array, others: Array) -> tuple[float, float, float]:
        """The distance of `own` as a share of that of `others`, from the same noises, and its 95 % interval."""
        mine, theirs = self._measure_halves([own, others])
        ratio = self.measure(own) / self.measure(others)
        low, high = recentred_interval(np.log(mine) - np.log(theirs), float(np.log(ratio)))
        return ratio, float(np.exp(low)), float(np.exp(high))

    def _measure_halves(self, several: list[Array]) -> list[Array]:
        """The distances of the same random halves of each, to the same halves of the target, `(HALVES,)` each."""
        random, wanted = np.random.default_rng(0), self._wanted
        along, found = [self.project(images) for images in several], np.empty((len(several), HALVES))
        for k in range(HALVES):
            some, half = (random.permutation(len(rows))[: max(1, len(rows) // 2)] for rows in (along[0], wanted))
            found[:, k] = [_measure(rows[some], wanted[half]) for rows in along]
        return list(found)


def _measure(rows: Array, wanted: Array) -> float:
    return sliced_distance(np.sort(rows, axis=0), np.sort(wanted, axis=0))
