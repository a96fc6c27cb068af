"""A stochastic plan for a session's network: fitted to the law, chosen by noises that it was not fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dtool.errors import UsageError
from dtool.fit.law import LawSearch, LawTable
from dtool.fit.law_judgement import judge_law
from dtool.fit.noises import draw_fresh
from dtool.fit.session import FitSession
from dtool.fit.to_plan import make_fitted_plan
from dtool.fit.work import Work
from dtool.plan.compiled_plan import Plan
from dtool.schedulers.levels import compute_lam
from dtool.spacings import get_spacing

STARTS = ("trailing", "karras", "logsnr")
JACOBIANS = 6
PASTS = (0.0, 0.3)  # extrapolations to begin with


def fit_law(session: FitSession, calls: int, eta: float, work: Work, *, judge: bool = True) -> Plan:
    """The plan of so many calls with `eta` of DDPM's noise in every row but the last, and exact marginals.

    judge: whether it is judged on other noises, beside named stochastic recipes.

    Raises UsageError for an η outside (0, 1], and for a session whose rows do not remember images.
    """
    if not 0 < eta <= 1:
        raise UsageError(f"eta={eta:g} is no share of DDPM's noise", "use more than 0, and 1 at most; or leave it out")
    if session.options.basis != "x0":
        raise UsageError("rows that keep the marginals remember images", "fit with basis x0 (--basis x0)")
    began = session.field.calls
    work.tell("solving")
    searches = {}
    for kind in ("training", "validation"):
        noises, teacher = session.take(kind)
        fresh = draw_fresh(session.network, noises, calls)
        searches[kind] = LawSearch(
            network_field=session.field, noises=noises, fresh=fresh, images=teacher.images, should_stop=work.is_over
        )
    best: list[tuple[float, Plan]] = []

    def keep(table: LawTable, distance: float) -> None:
        validation, _ = searches["validation"].measure(table)
        if best and validation >= best[0][0]:
            return
        rows, noise = table.to_rows(session.field)
        record = session.make_record(distance, validation, "all", session.field.calls - began)
        plan = make_fitted_plan(
            session.network, rows, basis="x0", guidance=session.guidance, noise=noise,
            record=replace(record, kind="law"),
        )  # fmt: skip
        best[:] = [(validation, plan)]
        work.on_better(plan)

    work.tell(f"{calls} calls: fitting the law")
    tables = list_tables(session, calls, eta)
    training = searches["training"]
    for table in sorted(tables, key=lambda one: training.measure(one)[0])[:1]:
        training.improve(table, JACOBIANS, keep)
    return judge_law(session, best[0][1], work) if judge else best[0][1]


def list_tables(session: FitSession, calls: int, eta: float) -> list[LawTable]:
    """Tables to begin with: named spacings, with no extrapolation and with that of a second-order method."""
    schedule = session.network.schedule
    found = []
    for name in STARTS:
        times, _, _ = get_spacing(name).place_times(schedule, calls)
        lam = compute_lam(*schedule.level(np.clip(times, 0, schedule.T - 1)))
        low, high = session.field.bound()
        lam = np.clip(lam, low, high)
        found += [LawTable(lam=lam, extrapolation=np.full(calls, past), eta=eta) for past in PASTS]
    return found
