"""A fitted table as a plan, and back: what `dtool.sample`, an exported file and every other reader of plans runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dtool.fit.table import FitTable
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.fit_record import FitRecord
from dtool.plan.guiding import guide
from dtool.plan.prediction import history_map, output_map, scale_input
from dtool.samplers.rule import Basis
from dtool.schedulers.levels import compute_lam

CITE = "dtool fit: rows by least squares, refined on the network's own runs"


def make_fitted_plan(
    network: Network,
    table: FitTable,
    *,
    basis: Basis,
    guidance: Guidance | None = None,
    noise: np.ndarray | None = None,
    record: FitRecord | None = None,
) -> Plan:
    """The plan of a table for this network. noise: the standard deviation of each row's fresh noise `(n,)`, if any."""
    schedule, prediction, n = network.schedule, network.prediction, table.calls
    time = schedule.time(table.lam)
    alpha, sigma = schedule.level(time)
    c_in = scale_input(prediction, alpha, sigma, np.ones(n))
    c_skip, c_out = output_map(prediction, alpha, sigma, c_in)
    m_x, m_f = history_map(basis, prediction, alpha, sigma, c_in)
    name = f"fit:calls={n}"
    plan = Plan(
        recipe=name, sampler="fit", cite=CITE, schedule=schedule.token, schedule_hash=schedule.hash,
        trained_hash=schedule.hash, prediction=prediction, basis=basis, init=float(np.hypot(alpha[0], sigma[0])),
        t=time, time=time, alpha=alpha, sigma=sigma, c_in=c_in, c_skip=c_skip, c_out=c_out, m_x=m_x, m_f=m_f,
        a=table.a, a_saved=np.zeros(n), b=table.b, c=np.zeros(n) if noise is None else noise,
        save=np.zeros(n, bool), step_end=np.ones(n, bool),
    )  # fmt: skip
    if guidance is not None:
        plan = guide(plan, guidance)
    return replace(plan, fit=record)


def read_table(plan: Plan) -> FitTable:
    """The table in a fitted plan."""
    return FitTable(lam=compute_lam(plan.alpha, plan.sigma), a=plan.a.copy(), b=plan.b.copy())
