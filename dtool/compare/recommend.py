"""dtool.recommend(...): the best recipe within a budget, by the smallest sweep that finds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dtool.arguments import checks_arguments
from dtool.compare.drawing import warm_up
from dtool.compare.field import largest, within
from dtool.compare.halving import Candidate, Halving
from dtool.compare.law import SURE, Law
from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.plan.plan import Plan

CHECKED = 256  # images that the law is checked on
STOCHASTIC = ("ddpm", "dpmpp-2m-sde", "euler-ancestral")


@dataclass(frozen=True)
class Recommendation:
    """The recipe to take, with what speaks for it.

    `confidence`: in how many of 2,000 resamples of the images it has the smallest error of the finalists. `candidates`:
    all that were tried, the best first. `judged`: whether `rmse` is at least ten times `reference_error`, the
    solution's own; if not, the finalists are all too near to it, and the confidence says little. `spent`: network calls
    of one image, without those of the reference. `law`: what the check against data said, if there were data.
    """

    recipe: str
    steps: int
    calls: int
    rmse: float
    confidence: float
    reference_error: float
    judged: bool
    candidates: tuple[Candidate, ...]
    spent: int
    milliseconds: float | None
    law: str | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@checks_arguments
def recommend(
    network: Network,
    *,
    calls: int | None = None,
    ms: float | None = None,
    recipes: Sequence[str] | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    law: Law | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Recommendation:
    """The best recipe of at most `calls` network calls an image, or `ms` milliseconds of them.

    By successive halving: every candidate draws 4 images; the better half draws twice as many, and so on to 32.
    "Better" is the distance to the solution of the probability-flow ODE from the same noise, so candidates are
    deterministic; with a `law` the winner is compared with stochastic recipes on it.
    recipes: the candidates, by default every sampler of the registry on four spacings, with as many steps as fit.
    Raises UsageError for a budget that nothing fits into, DtoolError if no solution could be found to judge by.
    """
    if (calls is None) == (ms is None):
        raise UsageError("a budget is a number of calls or of milliseconds", "give one: --calls 10 or --ms 50")
    if ms is not None and not 0 < ms < float("inf"):
        raise UsageError(f"ms={ms:g} is no time", "give the milliseconds that an image may take: 50")
    each = None if ms is None else milliseconds(network, guidance)
    allowed = int(calls if ms is None or each is None else ms / each)  # type: ignore[arg-type]
    if allowed < 1:
        cause = f"{ms} ms: a network call takes {each:.3g} ms here" if ms is not None else f"calls={calls}"
        raise UsageError(f"nothing fits into {cause}", "allow at least one call")
    field = within(network, allowed, recipes)
    halving = Halving(network, field, {"seed": seed, "guidance": guidance, "clip": clip}, labels, progress)
    best = halving.run()
    winner, error = halving.plans[best], halving.error(best)
    said = None if law is None else _checked(network, winner, allowed, law, halving)
    return Recommendation(
        winner.recipe, winner.steps, winner.rows, error.rmse, halving.confidence(best), error.own, error.judged,
        halving.candidates(), halving.spent,
        None if each is None else each * winner.rows, said,
    )  # fmt: skip


def milliseconds(network: Network, guidance: float | None, calls: int = 9) -> float:
    """The median time of a network call for one image, as sampling makes it."""
    warm_up(network, 1, guidance, 3)
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        warm_up(network, 1, guidance, 1)
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken))


def _checked(network: Network, winner: Plan, calls: int, law: Law, halving: Halving) -> str:
    """The winner against stochastic recipes of as many calls, on the law of the samples."""
    found = [largest(network, token, calls) for token in STOCHASTIC]
    rivals = [plan for plan in found if plan is not None]
    ids = range(CHECKED)
    labels = halving.classes(ids)
    own = halving.draw(winner, ids)
    about_own = law.figures(own, labels)
    about = next((a for a in law.abouts() if a.skipped is None), None)
    if about is None or not rivals:
        return "the law of the samples could not be checked"
    sign = 1 if about.better == "lower" else -1
    worse_than = []
    for rival in rivals:
        images = halving.draw(rival, ids)
        theirs = law.figures(images, labels)[about.name].value
        differ = law.apart(own, images, labels)
        if sign * theirs < sign * about_own[about.name].value and (differ is None or differ < SURE / len(rivals)):
            worse_than.append(rival.recipe)
    if worse_than:
        return f"by {about.title}, {' and '.join(worse_than)} is better at {calls} calls: compare them"
    names = ", ".join(plan.recipe for plan in rivals)
    return f"by {about.title} none of {names} is surely better at {calls} calls"
