"""Successive halving (arXiv:1502.07943): all candidates draw a few images, the better half twice as many, and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.drawing import ComparisonSampler
from dtool.compare.growing_solution import PROBED, ROUGH, GrowingSolutions
from dtool.compare.paired_errors import SolverErrorEstimate, squared_errors
from dtool.compare.round_sharing import RoundFolder
from dtool.compare.shared_calls import RememberingNetwork
from dtool.compare.solver import ReferenceSolutions
from dtool.compare.work_sharing import PlanBlock, WorkSharing, draw_parts
from dtool.errors import DtoolError
from dtool.measure.bootstrap import share_of_resamples_won
from dtool.models.labels import assign_classes, take_in_turn
from dtool.models.network import Network
from dtool.parts.block import Block
from dtool.plan.compiled_plan import Plan
from dtool.plan.linear_map import fingerprint
from dtool.run.guided_plan import find_compared_rows, uses_comparison
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import sample

FIRST, LAST = 2, 32  # images of the first round and of the last
ROUNDS = tuple(FIRST << number for number in range(int(log2(LAST / FIRST)) + 1))
JOINING = 4  # images of the round in which candidates join that come of the best so far
BASES = 4  # how many of the best they come of
STEPS = 512  # of the solution at most; it takes so many only where a finalist comes near to it
FINALISTS = 4
Variations = Callable[[Plan], Sequence[Plan]]


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
    """The rounds: the candidates that are left, and the images that each has drawn.

    sharing: workers that draw the images of a round, whose candidates depend on those of the last; folder: where other
    processes draw them, too. vary: the plans that
    join for each of the best of the first rounds. `spent`: network calls of one image, those that several candidates
    have in common once, without those of the solution.
    """

    def __init__(
        self, network: Network, plans: Sequence[Plan], options: dict[str, Any], labels: Any,
        progress: Callable[[int, int, str], None] | None, told: RepeatedConditions = NOTHING_TOLD,
        sharing: WorkSharing | None = None,
        vary: Variations | None = None,
        folder: RoundFolder | None = None,
    ) -> None:  # fmt: skip
        self.sharing, self.folder = sharing, folder
        self.options, self.progress, self.told, self.vary = options, progress, told, vary
        fused = isinstance(network, FusedNetwork)
        self.network = network if fused or sharing is not None else RememberingNetwork(network)
        self.labels = None if labels is None else np.atleast_1d(np.asarray(labels))
        self.finalists: list[int] = []
        self.solutions = GrowingSolutions(lambda ids: self._make_references(network, ids))
        self.plans, self.left = list[Plan](), list[int]()
        self.images = list[NDArray[np.float32]]()
        self._drawn = 0
        self._admit(plans)
        if not self.plans:
            raise DtoolError("no candidate solves the ODE, so there is nothing to judge by", "name others")
        # Every round draws as many new images as all rounds before it, with half as many candidates.
        self.expected = int(sum(p.rows for p in self.plans) * FIRST * (1 + log2(LAST / FIRST) / 2))

    @property
    def spent(self) -> int:
        """Network calls of one image so far."""
        shared = 0.0
        if isinstance(self.network, RememberingNetwork):
            shared = self.network.answered / max(1, self.network.asked)
        return round(self._drawn * (1 - shared))

    def run(self) -> int:
        """Halve until few candidates are left and have drawn all images; returns the index of the best."""
        alive = list(range(len(self.plans)))
        for number, count in enumerate(ROUNDS, 1):
            self._draw_round(alive, count)
            if count == LAST:
                break
            alive = self._keep_best(alive, ceil(len(alive) / 2), number)
            if count == JOINING and self.vary is not None:
                joined = self._admit([plan for i in alive[:BASES] for plan in self.vary(self.plans[i])])
                self._draw_round(joined, count)
                alive = self._keep_best([*alive, *joined], len(alive), number)
            if count == PROBED:  # so that the other images are solved once, with as many steps as will be needed
                self.error(alive[0])
        for i in alive:  # a solution is refined until it is ten times better than the finalist
            self.error(i)
        self.finalists = sorted(alive, key=self._error)
        return self.finalists[0]

    def _keep_best(self, alive: Sequence[int], count: int, number: int) -> list[int]:
        """The best of those that are left, but no fewer than the finalists; the others leave in this round."""
        order = sorted(alive, key=self._error)
        kept = order[: max(FINALISTS, count)]
        for i in order[len(kept) :]:
            self.left[i] = number
        return kept

    def _admit(self, plans: Sequence[Plan]) -> list[int]:
        """Let those take part that solve the ODE and draw other images than all so far; returns their indices."""
        known = {fingerprint(plan) for plan in self.plans}
        first = len(self.plans)
        for plan in plans:
            if self.solutions.probed.find_obstacle(plan) or fingerprint(plan) in known:
                continue
            known.add(fingerprint(plan))
            self.plans.append(plan)
            self.left.append(0)
            self.images.append(np.empty((0, *self.network.shape), np.float32))
        return list(range(first, len(self.plans)))

    def _make_references(self, network: Network, ids: range) -> ReferenceSolutions:
        return ReferenceSolutions(
            network, ids=ids, labels=self._classes(ids), tolerance=ROUGH, most=STEPS, **self.told.take(ids),
            **self.options,
        )  # fmt: skip

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
        self._drawn += plan.rows * len(ids)
        told = self.told.take(ids, compared=uses_comparison(self.network, plan))
        out = sample(self.network, plan, ids=ids, labels=labels, **told, **self.options)
        return np.asarray(out.x0)

    def assign_classes(self, ids: range) -> NDArray[np.int64] | None:
        """The classes of these images, as a comparison has them; None if the network is not conditional."""
        return assign_classes(self.network, ids, self.labels)

    def _classes(self, ids: range) -> list[int] | None:
        return None if self.labels is None else take_in_turn(self.labels, ids).tolist()

    def _draw_round(self, several: Sequence[int], count: int) -> None:
        """Draw the images up to `count` of these candidates, all of them the same new ones: here, or by workers."""
        if self.sharing is not None:
            self._share_round(several, count, self.sharing)
            return
        if isinstance(self.network, RememberingNetwork):
            self.network.forget()
        for i in several:
            self._draw(i, count)

    def _share_round(self, several: Sequence[int], count: int, sharing: WorkSharing) -> None:
        """The same by workers, which remember no calls of one another."""
        if self.progress is not None:
            self.progress(min(self._drawn, self.expected), self.expected, f"{len(several)} candidates")
        labels = None if self.labels is None else self.labels.astype(np.int64)
        options = {name: value for name, value in self.options.items() if name != "seed"}
        sampler = ComparisonSampler(
            network=self.network, plans=self.plans, names=[plan.recipe for plan in self.plans],
            seed=self.options["seed"], labels=labels, options=options, told=self.told,
        )  # fmt: skip
        parts = [PlanBlock(i, Block(len(self.images[i]), count - 1)) for i in several]
        drawn = draw_parts(sampler, sharing, parts) if self.folder is None else self.folder.draw(sampler, parts)
        for i, images in zip(several, drawn, strict=True):
            self._drawn += self.plans[i].rows * len(images)
            self.images[i] = np.concatenate([self.images[i], images])

    def _draw(self, i: int, count: int) -> None:
        first = len(self.images[i])
        if self.progress is not None:
            self.progress(min(self._drawn, self.expected), self.expected, self.plans[i].recipe)
        images = self.draw(self.plans[i], range(first, count))
        self.images[i] = np.concatenate([self.images[i], images])

    def _squares(self, i: int) -> NDArray[np.float64]:
        """The squared error of each of its images, against the present solution."""
        images = self.images[i]
        return squared_errors(images, self.solutions.take(self.plans[i], len(images)))

    def _error(self, i: int) -> float:
        return float(self._squares(i).mean())

    def error(self, i: int) -> SolverErrorEstimate:
        """The solver error of what the i-th plan has drawn."""
        return self.solutions.judge(self.plans[i], self.images[i])
