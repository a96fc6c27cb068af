"""The judgement of a fitted plan: on held-out noises, beside named recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dtool.fit.held_out import judge_rival, judge_walk, make_law
from dtool.fit.rivals import Contest, list_late, list_named
from dtool.fit.session import FitSession
from dtool.fit.table import measure_rmse, run_table
from dtool.fit.to_plan import read_table
from dtool.fit.work import Work
from dtool.plan.compiled_plan import Plan
from dtool.plan.fit_record import Rival

RIVALS = 3  # named recipes at the same calls that a certificate shows, beside the best late one and those at twice


def judge_plan(session: FitSession, plan: Plan, work: Work) -> Plan:
    """The plan with its figures on held-out noises, beside named recipes at the same calls and at twice as many."""
    calls = plan.rows
    work.tell(f"{calls} calls: judging")
    noises, teacher = session.take("judging")
    walk = run_table(session.field, read_table(plan), noises)
    spec = session.network.spec
    law = make_law(spec.statistics, spec.shape)
    held_out = judge_walk(walk, teacher.images, law)
    contest = Contest(
        network=session.network, noises=noises, options={"clip": session.options.clip}, on_call=session.spend,
        runs=session.runs, measure=lambda images: measure_rmse(images, teacher.images[: len(images)]),
    )  # fmt: skip
    guidance: Any = session.guidance or (session.scale if spec.is_conditional else None)
    named = contest.rank(list_named(session.network, calls, guidance))
    recipes = [one.recipe for one, _ in named]
    late = contest.rank(list_late(session.network, recipes, calls, guidance))[:1] if calls > 1 else []
    twice = contest.rank(list_named(session.network, 2 * calls, guidance, [_strip_guidance(r) for r in recipes]))[:1]
    rivals: list[Rival] = [
        judge_rival(one.recipe, one.plan.rows, images, walk.images, teacher.images, late=one.late, law=law)
        for one, images in (*named[:RIVALS], *late, *twice)
    ]
    assert plan.fit is not None, "it was just made"
    judged = replace(plan, fit=replace(plan.fit, held_out=replace(held_out, rivals=tuple(rivals))))
    work.on_better(judged)
    return judged


def _strip_guidance(recipe: str) -> str:
    return recipe.partition("~")[0]


def measure_held_out(session: FitSession, plan: Plan) -> float:
    """The error of a plan on the judging noises alone, without anybody beside it."""
    noises, teacher = session.take("judging")
    return measure_rmse(run_table(session.field, read_table(plan), noises).images, np.asarray(teacher.images))
