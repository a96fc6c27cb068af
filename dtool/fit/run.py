"""dtool.fit(...): the best table for a network, guidance and budget, from forward passes alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np

from dtool.compare.recommendation import measure_call_time
from dtool.compare.work_sharing import WorkSharing
from dtool.errors import UsageError
from dtool.fit.judgement import judge_plan
from dtool.fit.noises import Noises
from dtool.fit.plan_runs import Runs, share_runs
from dtool.fit.refine import Judged, Refinement, list_places
from dtool.fit.search import Found, TimeSearch, search_times
from dtool.fit.session import FEW, SEARCHING, FitOptions, FitSession
from dtool.fit.starts import list_starts
from dtool.fit.table import FitTable, measure_rmse, run_table
from dtool.fit.to_plan import make_fitted_plan, read_table
from dtool.fit.work import Work
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.fitted_plan import require_fitted_for
from dtool.run.guided_conditions import Request, ToldOptions
from dtool.run.guided_plan import parse_scale
from dtool.run.repeated_conditions import repeat_conditions
from dtool.samplers.rule import Basis
from dtool.util.arguments import check_arguments

SEARCH_STEPS = 8  # at most
# Jacobians at most: as many as take so many numbers of images, but for those that nothing is spent on.
JACOBIANS, NUMBERS = (2, 60), 2.5e7
MOST_CALLS = 32


@check_arguments
def fit(
    network: Network,
    *,
    calls: int | None = None,
    ms: float | None = None,
    guidance: float | str | Guidance | None = None,
    clip: bool | None = None,
    labels: Sequence[int] | None = None,
    basis: Basis = "eps",
    history: int = 3,
    noises: tuple[int, int, int] = (96, 64, 128),
    seed: int = 0,
    minutes: float | None = None,
    resume: Plan | None = None,
    judge: bool = True,
    sharing: WorkSharing | None = None,
    on_better: Callable[[Plan], None] | None = None,
    progress: Callable[[int, str], None] | None = None,
    **told_options: Unpack[ToldOptions],
) -> Plan:
    """The best plan of `calls` network calls for this network, guidance and clipping; or of `ms` milliseconds of them.

    Found from forward passes alone. Times are searched from several starts, the first one free, with rows fitted by
    least squares at every trial, on the plan's own states; then all numbers are refined together, stopped by a
    validation set. The aim is the converged solution from the start of the schedule, from the same noise.
    history: how many predictions a row uses; basis: predictions of the noise ("eps") or of the image ("x0").
    noises: how many of training, validation and judging. seed: of those; the same seed gives the same plan.
    minutes: the longest that the fit may take, its judgement not counted. resume: a plan of an earlier fit to go on
    from. judge: whether the plan is judged on held-out noises beside named recipes: `plan.fit.held_out`.
    sharing: worker processes that make the solutions and the judgement; the plan is the same for any number of them.
    labels, prompt, negative, conditions, without: as for `dtool.compare`, in turn. on_better(plan): after every
    better plan. progress(evaluations, what): after every call.
    Raises UsageError for what cannot be fitted.

    >>> network = dtool.targets.target("gaussian:d=4,condition=50").network()
    >>> plan = dtool.fit(network, calls=2, noises=(16, 16, 16), judge=False)
    >>> plan.rows, plan.fit.validation < 0.05
    (2, True)
    """
    count = choose_calls(network, calls, ms, guidance)
    scale = parse_scale(guidance)
    request = Request(**told_options, guidance=network.spec.guidance if scale is None else scale)
    options = FitOptions(
        guidance=guidance, clip=clip, basis=basis, history=history, noises=noises, seed=seed, labels=labels,
        told=repeat_conditions(network, request),
    )  # fmt: skip
    with share_runs(network, sharing) as runs:
        session, work = start_session(network, options, on_better, progress, runs)
        return fit_budget(session, count, work, minutes=minutes, resume=resume, judge=judge)


def start_session(
    network: Network,
    options: FitOptions,
    on_better: Callable[[Plan], None] | None = None,
    progress: Callable[[int, str], None] | None = None,
    runs: Runs | None = None,
) -> tuple[FitSession, Work]:
    """A session for fits of one budget or several, and how it is watched. runs: see `FitSession`."""
    doing, done = "", 0

    def count(evaluations: int) -> None:
        nonlocal done
        done += evaluations
        if progress is not None:
            progress(done, doing)

    def tell(what: str) -> None:
        nonlocal doing
        doing = what
        count(0)

    return FitSession(network, options, count, runs), Work(on_better=on_better or (lambda _: None), tell=tell)


def choose_calls(network: Network, calls: int | None, ms: float | None, guidance: float | str | Guidance | None) -> int:
    """How many calls a budget is; raises UsageError for none, two, or one that nothing fits into."""
    if (calls is None) == (ms is None):
        raise UsageError("a budget is a number of calls or of milliseconds", "give one: --calls 5 or --ms 40")
    if ms is not None:
        scale = parse_scale(guidance)
        guided = network.spec.is_conditional and (network.spec.guidance if scale is None else scale) != 1
        each = measure_call_time(network, doubled=guided or network.is_autoguided)
        calls = min(int(ms / each), MOST_CALLS)
        if calls < 1:
            raise UsageError(f"nothing fits into {ms:g} ms: a network call takes {each:.3g} ms here", "allow more")
    if calls is None or not 1 <= calls <= MOST_CALLS:
        raise UsageError(f"calls={calls} is no budget of a fit", f"use 1 to {MOST_CALLS}; beyond, a named recipe does")
    return calls


def fit_budget(
    session: FitSession, calls: int, work: Work, *, minutes: float | None = None, resume: Plan | None = None,
    judge: bool = True,
) -> Plan:  # fmt: skip
    """The best plan of so many calls, with its record."""
    began, least = session.field.calls, float("inf")
    work.deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes

    def write(judged: Judged, stage: str) -> Plan:
        nonlocal least
        record = session.make_record(judged.training, judged.validation, stage, session.field.calls - began)
        plan = make_fitted_plan(
            session.network, judged.table, basis=session.options.basis, guidance=session.guidance, record=record
        )
        if stage == "all" or judged.validation < least:
            work.on_better(plan)
        least = min(least, judged.validation)
        return plan

    if resume is None:
        table = search_table(session, calls, work, lambda judged: write(judged, "times"))
    else:
        table = _read_resumed(session, resume, calls)
    work.tell(f"{calls} calls: refining")
    training, teacher = session.take("training")
    validation, validating = session.take("validation")
    refinement = Refinement(
        network_field=session.field, training=training, teacher=teacher, validation=validation, judge=validating,
        should_stop=work.is_over, on_step=lambda judged: write(judged, "times"),
    )  # fmt: skip
    plan = write(refinement.refine(table, count_jacobians(table, training)), "all")
    return judge_plan(session, plan, work) if judge else plan


def search_table(
    session: FitSession, calls: int, work: Work, on_better: Callable[[Judged], object] = lambda _: None
) -> FitTable:
    """Times and rows, by search; on_better(table and errors): after every step of the search that is ended."""
    work.tell("solving")
    validation, validating = session.take("validation")

    def note(found: Found) -> None:
        images = run_table(session.field, found.table, validation).images
        on_better(Judged(found.table, found.rmse, measure_rmse(images, validating.images)))

    searching, teacher = session.take("training", SEARCHING)
    few, teacher_of_few = session.take("training", FEW)
    work.tell(f"{calls} calls: searching times")
    kinds = {"network_field": session.field, "history": session.options.history, "should_stop": work.is_over}
    search = TimeSearch(teacher=teacher, noises=searching, on_step=note, **kinds)  # type: ignore[arg-type]
    quick = TimeSearch(teacher=teacher_of_few, noises=few, **kinds)  # type: ignore[arg-type]
    return search_times(search, list_starts(session.network, calls), quick, SEARCH_STEPS).table


def count_jacobians(table: FitTable, noises: Noises) -> int:
    """How many Jacobians a refinement may take; each costs, for every number of the table, the calls that follow it."""
    n = table.calls
    cost = sum(n - i if kind == "lam" else n - 1 - i for kind, i, _ in list_places(table))
    return int(np.clip(NUMBERS / max(cost * noises.z.size, 1), *JACOBIANS))


def _read_resumed(session: FitSession, plan: Plan, calls: int) -> FitTable:
    """The table to go on from; raises UsageError for one of another fit."""
    if plan.fit is None:
        raise UsageError(f"{plan.recipe} was not fitted: there is nothing to go on from", "leave out --resume")
    same = (plan.rows, plan.basis, plan.fit.seed) == (calls, session.options.basis, session.options.seed)
    if not same or plan.history != min(session.options.history, calls):
        raise UsageError(
            f"the plan to go on from has {plan.rows} calls, basis {plan.basis}, a history of {plan.history} and seed "
            f"{plan.fit.seed}",
            "give the same, or leave out --resume",
        )
    require_fitted_for(
        session.network, plan, session.scale, session.field.clip, autoguided=session.network.is_autoguided
    )
    return read_table(plan)
