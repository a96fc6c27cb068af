"""A table runs as its plan does, and a walk that is kept in part is gone on from there."""

from dataclasses import replace

import numpy as np

import dtool
from dtool.fit.noises import draw_noises
from dtool.fit.table import FitTable, run_table
from dtool.fit.to_plan import make_fitted_plan, read_table
from dtool.targets import target

TABLE = FitTable(
    lam=np.array([-2.0, 0.1, 1.0]), a=np.array([0.6, 0.5, 0.7]), b=np.array([[0.2, 0], [-0.3, 0.1], [0.1, 0.05]])
)  # fmt: skip


def test_a_table_runs_as_its_plan(mixture_session):
    noises, _ = mixture_session.take("judging")
    plan = make_fitted_plan(mixture_session.network, TABLE, basis="eps")
    out = dtool.sample(mixture_session.network, plan, x=plan.init * noises.z)
    assert np.abs(run_table(mixture_session.field, TABLE, noises).images - out.x0).max() < 1e-12
    assert np.allclose(read_table(plan).lam, TABLE.lam)


def test_x_begins_as_large_as_it_is_at_the_first_level():
    net = target("gmm:d=2").network(schedule="edm")
    noises = draw_noises(net, "judging", 4, seed=0, scale=1.0)
    from dtool.fit.field import Field

    field = Field(net)
    walk = run_table(field, TABLE, noises)
    _, alpha, sigma = field.locate(TABLE.lam[0])
    assert np.allclose(walk.states[0], np.hypot(alpha, sigma) * noises.z)
    out = dtool.sample(net, make_fitted_plan(net, TABLE, basis="eps"), ids=noises.ids, seed=noises.seed)
    assert np.abs(out.x0 - walk.images).max() < 1e-3 * np.abs(walk.images).max()


def test_what_has_not_changed_is_not_computed_again(mixture_session):
    noises, _ = mixture_session.take("judging")
    field = mixture_session.field
    walk = run_table(field, TABLE, noises)
    moved = replace(TABLE, a=TABLE.a + np.array([0, 0, 0.1]))
    before = field.calls
    kept = run_table(field, moved, noises, walk.keep(3))
    assert field.calls == before, "the last row needs no call"
    assert np.allclose(kept.images, run_table(field, moved, noises).images)
