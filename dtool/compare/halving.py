"""Successive halving (arXiv:1502.07943): all candidates draw a few images, the better half twice as many, and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends.sampling import sample
from dtool.compare.paired import SolverError, squares
from dtool.compare.solver import References
from dtool.errors import DtoolError
from dtool.networks.network import Network
from dtool.plan.plan import Plan

FIRST, LAST = 4, 32  # images of the first round and of the last
STEPS = 512  # of the solution at most; it takes so many only where a finalist comes near to it
FINALISTS = 4
RESAMPLES = 2000


@dataclass(frozen=True)
class Candidate:
    """A recipe within the budget: its RMSE to the solution on `images` images, and the round it left in (0: none)."""

    recipe: str
    steps: int
    calls: int
    rmse: float
    images: int
    left: int


class Halving:
    """The rounds: who is left, and the images that each has drawn."""

    def __init__(
        self, network: Network, plans: Sequence[Plan], options: dict[str, Any], labels: Any,
        progress: Callable[[int, int, str], None] | None,
    ) -> None:  # fmt: skip
        self.network, self.options, self.progress = network, options, progress
        self.labels = None if labels is None else np.atleast_1d(np.asarray(labels))
        self.spent = 0
        self.finalists: list[int] = []
        labels = self._classes(range(LAST))
        self.references = References(network, n=LAST, labels=labels, most=STEPS, **options)
        self.plans = [plan for plan in plans if not self.references.why_not(plan)]
        if not self.plans:
            raise DtoolError("no candidate solves the ODE, so there is nothing to judge them by", "name others")
        self.images: list[NDArray[np.float32]] = [np.empty((0, *network.shape), np.float32) for _ in self.plans]
        self.left = [0] * len(self.plans)
        # every round draws as many new images as all before it, by half as many candidates
        self.expected = int(sum(p.rows for p in self.plans) * FIRST * (1 + log2(LAST / FIRST) / 2))

    def run(self) -> int:
        """Halve until few are left, and those have drawn all images; the index of the best."""
        alive = list(range(len(self.plans)))
        rounds = max(1, ceil(log2(LAST / FIRST)) + 1)
        for number in range(rounds):
            count = min(LAST, FIRST << number)
            for i in alive:
                self._draw(i, count)
            alive.sort(key=self._error)
            last = number == rounds - 1
            kept = alive if last else alive[: max(FINALISTS, ceil(len(alive) / 2))]
            for i in alive[len(kept) :]:
                self.left[i] = number + 1
            alive = kept
        for i in alive:  # while a solution is not ten times better than a finalist, it is refined
            self.references.judge(self.plans[i], self.images[i])
        self.finalists = sorted(alive, key=self._error)
        return self.finalists[0]

    def confidence(self, best: int) -> float:
        """The share of resamples of the images in which `best` is the best of the finalists."""
        random = np.random.default_rng(0)
        each = np.stack([self._squares(i) for i in self.finalists])
        picked = random.integers(0, each.shape[1], (RESAMPLES, each.shape[1]))
        means = each[:, picked].mean(axis=2)
        return float((means.argmin(axis=0) == self.finalists.index(best)).mean())

    def candidates(self) -> tuple[Candidate, ...]:
        """All, those that came furthest first."""
        order = sorted(range(len(self.plans)), key=lambda i: (-len(self.images[i]), self._error(i)))
        return tuple(
            Candidate(p.recipe, p.steps, p.rows, float(np.sqrt(self._error(i))), len(self.images[i]), self.left[i])
            for i, p in ((i, self.plans[i]) for i in order)
        )

    def draw(self, plan: Plan, ids: range) -> NDArray[np.float32]:
        """The images of these ids."""
        labels = self._classes(ids)
        self.spent += plan.rows * len(ids)
        return np.asarray(sample(self.network, plan, ids=ids, labels=labels, **self.options).x0)

    def classes(self, ids: range) -> NDArray[np.int64] | None:
        """The classes of these images, as a comparison has them; None if the network is not conditional."""
        if self.network.classes == 0:
            return None
        index = np.asarray(ids)
        return index % self.network.classes if self.labels is None else self.labels[index % len(self.labels)]

    def _classes(self, ids: range) -> list[int] | None:
        return None if self.labels is None else self.labels[np.asarray(ids) % len(self.labels)].tolist()

    def _draw(self, i: int, count: int) -> None:
        first = len(self.images[i])
        if self.progress is not None:
            self.progress(min(self.spent, self.expected), self.expected, self.plans[i].recipe)
        images = self.draw(self.plans[i], range(first, count))
        self.images[i] = np.concatenate([self.images[i], images])

    def _squares(self, i: int) -> NDArray[np.float64]:
        """The square error of each of its images, beside the solution as it is now."""
        images = self.images[i]
        return squares(images, self.references.solution(self.plans[i]).images[: len(images)])

    def _error(self, i: int) -> float:
        return float(self._squares(i).mean())

    def error(self, i: int) -> SolverError:
        """The solver error of what the i-th plan has drawn."""
        return self.references.judge(self.plans[i], self.images[i])[0]  # type: ignore[return-value] # it has one
