"""dtool.recommend(...): the best recipe within a budget, by the smallest sweep that finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, Unpack

from dtool.compare.candidates import (
    CallBudget,
    admit_plans,
    find_largest_plan,
    plan_late_starts,
    plan_within_budget,
)
from dtool.compare.drawing import warm_up
from dtool.compare.kept_images import make_cache_key
from dtool.compare.law_error import SIGNIFICANCE, Law
from dtool.compare.round_sharing import RoundFolder
from dtool.compare.successive_halving import Candidate, Halving
from dtool.compare.work_sharing import WorkSharing, open_folder
from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.measure.timing import time_in_turns
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.guided_conditions import Request, ToldOptions
from dtool.run.guided_plan import choose_told_scale, find_compared_rows, get_scale
from dtool.run.repeated_conditions import RepeatedConditions, repeat_conditions
from dtool.util.arguments import check_arguments

CHECK_IMAGES = 256  # images that the law is checked on
STOCHASTIC = ("ddpm", "dpmpp-2m-sde", "euler-ancestral")


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The recommended recipe, with the evidence for it.

    `confidence`: in how many of 2,000 resamples of the images it has the smallest error of the finalists. `candidates`:
    all that were tried, the best first. `judged`: whether `rmse` is at least ten times `reference_error`, the
    solution's own on the first 8 images; if not, all finalists are too near to it for the confidence to mean much.
    `spent`: network calls of one image without the solution's, what several candidates have in common once, unless
    workers shared the work.
    `law`: the result of the check against data, if there were data. `evaluations`: the calls, those that
    guidance makes with and without the conditions counted twice; `guidance`: its token, if one is named, and its
    `scale`.
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
    evaluations: int
    guidance: str
    scale: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@check_arguments
def recommend(
    network: Network,
    *,
    calls: int | None = None,
    ms: float | None = None,
    recipes: Sequence[str] | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | str | Guidance | None = None,
    clip: bool | None = None,
    law: Law | None = None,
    sharing: WorkSharing | None = None,
    plans: Sequence[Plan] = (),
    progress: Callable[[int, int, str], None] | None = None,
    **told_options: Unpack[ToldOptions],
) -> Recommendation:
    """The best recipe of at most `calls` network calls per image, or `ms` milliseconds of them.

    By successive halving: every candidate draws 2 images; the better half draws twice as many, and so on to 32.
    "Better" is the distance to the solution of the probability-flow ODE from the same noise, so candidates are
    deterministic; with a `law` the winner is compared with stochastic recipes on it.
    recipes: the candidates, by default every sampler of the registry on four spacings, with as many steps as fit, and
    the best of them with late starts (`trailing:start=743`). plans: others that take part as they are, such as fitted
    ones.
    labels, prompt, negative, conditions, without, clip: as for `dtool.compare`. guidance: of the recipes that name
    none. A call is one, whether guidance doubles it or not; milliseconds tell the two apart.
    sharing: worker processes that draw each round's images, on several machines, too, if it has a folder that they all
    reach: a part draws its share of a round, then what nobody else is drawing. The result is the same for any number.
    Raises UsageError for a budget that nothing fits into, DtoolError if no solution could be found to judge by.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> dtool.recommend(network, calls=4, recipes=["ddim", "heun"]).recipe
    'ddim'
    """
    if (calls is None) == (ms is None):
        raise UsageError("a budget is a number of calls or of milliseconds", "give one: --calls 10 or --ms 50")
    if ms is not None and not 0 < ms < float("inf"):
        raise UsageError(f"ms={ms:g} is not a time", "give the milliseconds per image, e.g. 50")
    if sharing is not None and ms is not None:
        raise UsageError("milliseconds are measured by one process", "give calls=, or leave out sharing=")
    budget = _measure_budget(network, calls, ms, guidance)
    field = [*plan_within_budget(network, budget, recipes), *admit_plans(network, budget, plans)]
    asked = Request(**told_options, guidance=choose_told_scale(network, field))
    options = {"seed": seed, "clip": clip}
    vary = partial(plan_late_starts, network, budget) if recipes is None else None
    told = repeat_conditions(network, asked)
    folder = None if sharing is None else _open_folder(network, sharing, {**options, "labels": labels}, told)
    halving = Halving(network, field, options, labels, progress, told, sharing, vary, folder)
    best = halving.run()
    winner, error = halving.plans[best], halving.error(best)
    law_text = None if law is None else _check_winner(network, winner, budget, law, halving)
    return Recommendation(
        recipe=winner.recipe, steps=winner.steps, calls=winner.rows, rmse=error.rmse,
        confidence=halving.confidence(best), reference_error=error.own, judged=error.judged,
        candidates=halving.candidates(), spent=halving.spent,
        milliseconds=None if ms is None else budget.cost(network, winner), law=law_text,
        evaluations=winner.rows + int(find_compared_rows(network, winner).sum()), guidance=winner.guidance,
        scale=get_scale(network.spec, winner),
    )  # fmt: skip


def _open_folder(
    network: Network, sharing: WorkSharing, settings: dict[str, Any], told: RepeatedConditions
) -> RoundFolder | None:
    """The folder that the processes share, None of workers of one machine; see `open_folder`."""
    if sharing.folder is None:
        return None
    about = make_cache_key(network, sharing.files, **settings, **told.describe())
    return RoundFolder(sharing=sharing, folder=open_folder(sharing, about, what="recommendation"))


def _measure_budget(
    network: Network, calls: int | None, ms: float | None, guidance: float | str | Guidance | None
) -> CallBudget:
    """A budget in calls, or in milliseconds as they are measured here; raises UsageError if nothing fits into it."""
    if ms is None:
        if calls is None or calls < 1:
            raise UsageError(f"nothing fits into calls={calls}", "allow at least one call")
        return CallBudget(most=calls, guidance=guidance)
    each = measure_call_time(network, doubled=False)
    if each > ms:
        raise UsageError(
            f"nothing fits into {ms} ms: a network call takes {each:.3g} ms here", "allow at least one call"
        )
    twice = measure_call_time(network, doubled=True) if network.spec.is_conditional or network.is_autoguided else each
    return CallBudget(most=ms, each=each, doubled=max(each, twice), guidance=guidance)


def measure_call_time(network: Network, *, doubled: bool, calls: int = 9) -> float:
    """The median milliseconds of a network call for one image, as sampling makes it, with or without guidance."""
    warm_up(network, 1, doubled, 3)
    [seconds] = time_in_turns([partial(warm_up, network, 1, doubled, 1)], calls, warm=False)
    return 1e3 * median(seconds)


def _check_winner(network: Network, winner: Plan, budget: CallBudget, law: Law, halving: Halving) -> str:
    """The winner against stochastic recipes within the same budget, on the law of the samples."""
    plans = [find_largest_plan(network, token, budget) for token in STOCHASTIC]
    calls = winner.rows
    rivals = [plan for plan in plans if plan is not None]
    ids = range(CHECK_IMAGES)
    labels = halving.assign_classes(ids)
    own = network.to_pictures(halving.draw(winner, ids))
    own_figures = law.figures(own, labels)
    metric = next((a for a in law.describe_metrics() if a.skipped is None), None)
    if metric is None or not rivals:
        return "the law of the samples could not be checked"
    sign = 1 if metric.better == "lower" else -1
    worse_than = []
    for rival in rivals:
        images = network.to_pictures(halving.draw(rival, ids))
        theirs = law.figures(images, labels)[metric.name].value
        differ = law.p_value(own, images, labels)
        if sign * theirs < sign * own_figures[metric.name].value and (
            differ is None or differ < SIGNIFICANCE / len(rivals)
        ):
            worse_than.append(rival.recipe)
    if worse_than:
        return f"by {metric.title}, {' and '.join(worse_than)} is better at {calls} calls: compare them"
    names = ", ".join(plan.recipe for plan in rivals)
    return f"by {metric.title} none of {names} is surely better at {calls} calls"
