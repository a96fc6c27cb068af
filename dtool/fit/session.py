"""What fits of several budgets have in common: the network, guidance, clipping, the noises and their solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.fit.field import Field
from dtool.fit.noises import Noises, draw_noises
from dtool.fit.plan_runs import Runs, make_runs
from dtool.fit.teacher import Solver, Teacher
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance, Level
from dtool.models.known_outputs import digest_network, measure_outputs
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.fit_record import FitRecord
from dtool.run.clipping import Clipping
from dtool.run.fitted_plan import describe_clipping
from dtool.run.guided_plan import add_guidance, get_scale
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import choose_clipping
from dtool.samplers.rule import Basis

SEARCHING = 64  # of the training noises, that times are searched on
FEW = 24  # of those, that the starts of the search are compared on


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a table is fitted.

    guidance, clip: as for `dtool.sample`, by default the network's own. basis, history: what a row remembers, and how
    many of them. noises: of training, validation and judging. seed: other noises.
    """

    guidance: float | str | Guidance | None = None
    clip: bool | None = None
    basis: Basis = "eps"
    history: int = 3
    noises: tuple[int, int, int] = (96, 64, 128)
    seed: int = 0
    labels: Sequence[int] | None = None
    told: RepeatedConditions = NOTHING_TOLD
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.history < 1 or min(self.noises) < 2 or self.basis not in ("eps", "x0"):
            raise UsageError(
                f"history={self.history}, noises={self.noises}, basis={self.basis!r}",
                "history is at least 1, each set of noises 2 or more, and basis eps or x0",
            )


class FitSession:
    """A network prepared for fits: see `FitOptions`. on_call(n): after every n evaluations of the network.

    runs: who runs plans from the noises, see `dtool.fit.plan_runs`; by default this process.

    Raises UsageError for a network or a guidance that no table can be fitted to.
    """

    def __init__(
        self, network: Network, options: FitOptions, on_call: Callable[[int], None] | None = None,
        runs: Runs | None = None,
    ) -> None:  # fmt: skip
        if isinstance(network, FusedNetwork):
            raise UsageError("this file holds a whole sampler", "fit a table to the network's own file")
        self.network, self.options, self._on_call = network, options, on_call
        self.runs = runs or make_runs(network)
        self.guidance, self.scale = _resolve_guidance(network, options.guidance)
        limit = self._find_clipping()
        self.field = Field(network, guidance=self.guidance, clip=limit, basis=options.basis, on_call=on_call)
        self.how: dict[str, Any] = {"guidance": self.guidance or self.scale, "clip": options.clip}
        self._limit = limit
        kinds = ("training", "validation", "judging")
        self._noises = {kind: self.draw(kind, n) for kind, n in zip(kinds, options.noises, strict=True)}
        self._teachers: dict[tuple[str, int], Teacher] = {}

    def _find_clipping(self) -> Clipping | None:
        plan = make_plan("ddim", steps=2, network=self.network)
        return choose_clipping(self.network, plan, self.options.clip, None)

    def draw(self, kind: str, n: int) -> Noises:
        """The first n noises of a set."""
        options = self.options
        return draw_noises(
            self.network, kind, n, seed=options.seed, scale=self.scale, labels=options.labels, told=options.told
        )

    @cached_property
    def solver(self) -> Solver:
        """Solves from the schedule's start, as finely as the tolerance asks for."""
        solver = Solver(self.network, self.how, self.options.tolerance, self.runs)
        solver.choose_steps(self._noises["validation"])
        self.spend(solver.calls)
        return solver

    def take(self, kind: str, n: int | None = None) -> tuple[Noises, Teacher]:
        """The first n noises of a set, and their solutions, each solved once."""
        noises = self._noises[kind]
        if kind not in {key for key, _ in self._teachers}:
            before = self.solver.calls
            self._teachers[kind, len(noises)] = self.solver.solve(noises)
            self.spend(self.solver.calls - before)
        count = min(n or len(noises), len(noises))
        if (kind, count) not in self._teachers:
            whole = self._teachers[kind, len(noises)]
            self._teachers[kind, count] = Teacher(
                images=whole.images[:count], angle=whole.angle, path=whole.path[:, :count],
                slope=whole.slope[:, :count], sizes=whole.sizes,
            )  # fmt: skip
        return noises.take(slice(0, count)), self._teachers[kind, count]

    def spend(self, evaluations: int) -> None:
        """Count so many evaluations of the network."""
        self.field.calls += evaluations
        if self._on_call is not None:
            self._on_call(evaluations)

    def make_record(self, training: float, validation: float, stage: Any, evaluations: int) -> FitRecord:
        """What the plan says of its making."""
        start = self.solver.start
        return FitRecord(
            network=digest_network(self.network), outputs=measure_outputs(self.network),
            guidance=self.guidance.token if self.guidance else "", scale=self.scale,
            clip=describe_clipping(self._limit), autoguided=self.network.is_autoguided, alpha=start.alpha,
            sigma=start.sigma, kind="path", seed=self.options.seed, noises=self.options.noises,
            teacher_error=self.solver.error, training=training, validation=validation, evaluations=evaluations,
            stage=stage,
        )  # fmt: skip


def _resolve_guidance(network: Network, word: float | str | Guidance | None) -> tuple[Guidance | None, float]:
    """The guidance with its scale written in it, and the scale; None for a network that has nothing to compare with."""
    if not network.spec.is_conditional and not network.is_autoguided:
        if word not in (None, 1, 1.0, "1"):
            raise UsageError("guidance needs a conditional network", "leave out guidance")
        return None, 1.0
    plan = add_guidance(network.spec, make_plan("ddim", steps=2, network=network), word)
    scale = get_scale(network.spec, plan)
    guidance = get_guidance(plan.guidance) if plan.guidance else get_guidance("cfg", scale=scale)
    if guidance.scale is None:
        guidance = get_guidance(plan.guidance, scale=scale)
    tried = [guidance(Level(0.6, 0.8, -0.288, place)) for place in (0.0, 0.37, 1.0)]
    if not guidance.has_limit or any(one.shift for one in tried) or guidance.rescale or len(set(tried)) > 1:
        raise UsageError(
            f"no table can be fitted with guidance {guidance.token}",
            "give a scale, or one between two levels: --guidance 3, --guidance 3@-1.3:0.3",
        )
    return guidance, float(np.float64(scale))
