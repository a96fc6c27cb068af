"""Budgets that share their times: those of fewer calls are among those of more."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.fit.judgement import judge_plan
from dtool.fit.refine import Judged, Refinement
from dtool.fit.run import count_jacobians
from dtool.fit.search import TimeSearch
from dtool.fit.session import FEW, FitSession
from dtool.fit.to_plan import make_fitted_plan, read_table
from dtool.fit.work import Work
from dtool.plan.compiled_plan import Plan
from dtool.util.arrays import Array


def fit_subset(session: FitSession, larger: Plan, calls: int, work: Work, *, judge: bool = True) -> Plan:
    """The plan of so many calls whose times are some of those of a larger one, its rows fitted and refined.

    One time at a time is left out, the one whose loss costs least with the rows fitted again.
    Raises UsageError where the larger plan has no more calls.
    """
    if calls >= larger.rows:
        raise UsageError(f"{calls} of {larger.rows} times are no part of them", "give the larger budget first")
    began = session.field.calls
    few, teacher = session.take("training", FEW)
    search = TimeSearch(network_field=session.field, teacher=teacher, noises=few, history=session.options.history)
    lam = read_table(larger).lam
    work.tell(f"{calls} calls: choosing times")
    while len(lam) > calls:
        trials: list[tuple[float, Array]] = []
        for i in range(len(lam)):
            left = np.delete(lam, i)
            trials.append((search.try_times(left).rmse, left))
        lam = min(trials, key=lambda one: one[0])[1]
    training, solution = session.take("training")
    whole = TimeSearch(network_field=session.field, teacher=solution, noises=training, history=session.options.history)
    validation, validating = session.take("validation")

    def write(judged: Judged, stage: Any = "times") -> Plan:
        record = session.make_record(judged.training, judged.validation, stage, session.field.calls - began)
        plan = make_fitted_plan(
            session.network, judged.table, basis=session.options.basis, guidance=session.guidance, record=record
        )
        work.on_better(plan)
        return plan

    work.tell(f"{calls} calls: refining")
    refinement = Refinement(
        network_field=session.field, training=training, teacher=solution, validation=validation, judge=validating,
        should_stop=work.is_over, on_step=write, kinds=("a", "b"),
    )  # fmt: skip
    table = whole.try_times(lam).table
    plan = write(refinement.refine(table, count_jacobians(table, training)), "all")
    return judge_plan(session, plan, work) if judge else plan
