"""Successive halving (arXiv:1502.07943): all candidates draw a few images, the better half twice as many, and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.drawing import ComparisonSampler
from dtool.compare.paired_errors import SolverErrorEstimate, squared_errors
from dtool.compare.solver import ReferenceSolutions
from dtool.compare.work_sharing import PlanBlock, WorkSharing, draw_parts
from dtool.errors import DtoolError
from dtool.measure.bootstrap import share_of_resamples_won
from dtool.models.labels import assign_classes, take_in_turn
from dtool.models.network import Network
from dtool.parts.block import Block
from dtool.plan.compiled_plan import Plan
from dtool.run.guided_plan import find_compared_rows, uses_comparison
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampling import sample

FIRST, LAST = 4, 32  # images of the first round and of the last
STEPS = 512  # of the solution at most; it takes so many only where a finalist comes near to it
FINALISTS = 4


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A recipe within the budget: its RMSE to the solution on `images` images, and the round it left in (0: none).

    evaluations: network calls, those that guidance makes with and without the conditions counted twice.
    """

    recipe: str
    steps: int
    calls: int
    evaluations: int
    rmse: float
    images: int
    left: int


class Halving:
    """The rounds: the candidates that are left, and the images that each has drawn."""

    def __init__(
        self, network: Network, plans: Sequence[Plan], options: dict[str, Any], labels: Any,
        progress: Callable[[int, int, str], None] | None, told: RepeatedConditions = NOTHING_TOLD,
        sharing: WorkSharing | None = None,
    ) -> None:  # fmt: skip
        """sharing: workers that draw the images of a round; a round's candidates depend on those of the last."""
        self.sharing = sharing
        self.network, self.options, self.progress, self.told = network, options, progress, told
        self.labels = None if labels is None else np.atleast_1d(np.asarray(labels))
        self.spent = 0
        self.finalists: list[int] = []
        labels = self._classes(range(LAST))
        self.references = ReferenceSolutions(
            network, n=LAST, labels=labels, most=STEPS, **told.take(range(LAST)), **options
        )
        self.plans = [plan for plan in plans if not self.references.find_obstacle(plan)]
        if not self.plans:
            raise DtoolError("no candidate solves the ODE, so there is nothing to judge by", "name others")
        self.images: list[NDArray[np.float32]] = [np.empty((0, *network.shape), np.float32) for _ in self.plans]
        self.left = [0] * len(self.plans)
        # Every round draws as many new images as all rounds before it, with half as many candidates.
        self.expected = int(sum(p.rows for p in self.plans) * FIRST * (1 + log2(LAST / FIRST) / 2))

    def run(self) -> int:
        """Halve until few candidates are left and have drawn all images; returns the index of the best."""
        alive = list(range(len(self.plans)))
        rounds = max(1, ceil(log2(LAST / FIRST)) + 1)
        for number in range(rounds):
            count = min(LAST, FIRST << number)
            self._draw_round(alive, count)
            alive.sort(key=self._error)
            last = number == rounds - 1
            kept = alive if last else alive[: max(FINALISTS, ceil(len(alive) / 2))]
            for i in alive[len(kept) :]:
                self.left[i] = number + 1
            alive = kept
        for i in alive:  # a solution is refined until it is ten times better than the finalist
            self.references.judge(self.plans[i], self.images[i])
        self.finalists = sorted(alive, key=self._error)
        return self.finalists[0]

    def confidence(self, best: int) -> float:
        """The share of resamples of the images in which `best` is the best of the finalists."""
        errors = np.stack([self._squares(i) for i in self.finalists])
        return share_of_resamples_won(errors, self.finalists.index(best))

    def candidates(self) -> tuple[Candidate, ...]:
        """All candidates, those that came furthest first."""
        order = sorted(range(len(self.plans)), key=lambda i: (-len(self.images[i]), self._error(i)))
        return tuple(
            Candidate(
                recipe=p.recipe,
                steps=p.steps,
                calls=p.rows,
                evaluations=p.rows + int(find_compared_rows(self.network, p).sum()),
                rmse=float(np.sqrt(self._error(i))),
                images=len(self.images[i]),
                left=self.left[i],
            )
            for i, p in ((i, self.plans[i]) for i in order)
        )

    def draw(self, plan: Plan, ids: range) -> NDArray[np.float32]:
        """The images of these ids."""
        labels = self._classes(ids)
        self.spent += plan.rows * len(ids)
        told = self.told.take(ids, compared=uses_comparison(self.network, plan))
        out = sample(self.network, plan, ids=ids, labels=labels, **told, **self.options)
        return np.asarray(out.x0)

    def assign_classes(self, ids: range) -> NDArray[np.int64] | None:
        """The classes of these images, as a comparison has them; None if the network is not conditional."""
        return assign_classes(self.network, ids, self.labels)

    def _classes(self, ids: range) -> list[int] | None:
        return None if self.labels is None else take_in_turn(self.labels, ids).tolist()

    def _draw_round(self, alive: Sequence[int], count: int) -> None:
        """Draw the images up to `count` of those candidates, here or by workers."""
        if self.sharing is None:
            for i in alive:
                self._draw(i, count)
            return
        if self.progress is not None:
            self.progress(min(self.spent, self.expected), self.expected, f"{len(alive)} candidates")
        labels = None if self.labels is None else self.labels.astype(np.int64)
        options = {name: value for name, value in self.options.items() if name != "seed"}
        sampler = ComparisonSampler(
            network=self.network, plans=self.plans, names=[plan.recipe for plan in self.plans],
            seed=self.options["seed"], labels=labels, options=options, told=self.told,
        )  # fmt: skip
        parts = [PlanBlock(i, Block(len(self.images[i]), count - 1)) for i in alive]
        for i, images in zip(alive, draw_parts(sampler, self.sharing, parts), strict=True):
            self.spent += self.plans[i].rows * len(images)
            self.images[i] = np.concatenate([self.images[i], images])

    def _draw(self, i: int, count: int) -> None:
        first = len(self.images[i])
        if self.progress is not None:
            self.progress(min(self.spent, self.expected), self.expected, self.plans[i].recipe)
        images = self.draw(self.plans[i], range(first, count))
        self.images[i] = np.concatenate([self.images[i], images])

    def _squares(self, i: int) -> NDArray[np.float64]:
        """The squared error of each of its images, against the present solution."""
        images = self.images[i]
        return squared_errors(images, self.references.solution(self.plans[i]).images[: len(images)])

    def _error(self, i: int) -> float:
        return float(self._squares(i).mean())

    def error(self, i: int) -> SolverErrorEstimate:
        """The solver error of what the i-th plan has drawn."""
        return self.references.judge(self.plans[i], self.images[i])[0]  # type: ignore[return-value] # it has one
