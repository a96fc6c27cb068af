"""Stochastic tables keep the marginals exactly, whatever is fitted; the distance falls."""

import numpy as np
import pytest

import dtool
from dtool.certify.adopted import measure_marginals
from dtool.fit.law import LawSearch, LawTable
from dtool.fit.noises import draw_fresh
from dtool.fit.to_plan import make_fitted_plan

RANDOM = np.random.default_rng(0)


def make_table(session, eta=0.7):
    low = session.field.bound()[0]
    lam = np.array([low, -1.0, 0.4, 1.9])
    return LawTable(lam=lam, extrapolation=np.array([0.0, 0.3, -0.4, 0.9]), eta=eta)


@pytest.mark.parametrize("eta", [0.05, 0.7, 1.0])
def test_marginals_are_exact_whatever_the_numbers(mixture_session, eta):
    rows, noise = make_table(mixture_session, eta).to_rows(mixture_session.field)
    plan = make_fitted_plan(mixture_session.network, rows, basis="x0", noise=noise)
    assert max(measure_marginals(plan)[:2]) < 1e-12
    assert plan.draws == 3


def test_without_extrapolation_it_is_ddim_with_eta(mixture_session):
    net = mixture_session.network
    points = [999.0, 700.0, 300.0, 80.0]
    lam = np.log(np.divide(*net.schedule.level(points)))
    rows, noise = LawTable(lam=lam, extrapolation=np.zeros(4), eta=0.6).to_rows(mixture_session.field)
    plan = make_fitted_plan(net, rows, basis="x0", noise=noise)
    z = RANDOM.standard_normal((4, 5, 2))
    own, theirs = (
        dtool.sample(net, one, x=z[0], noise=z[1:]).x0
        for one in (plan, dtool.plan("ddim:eta=0.6", points=points, network=net))
    )
    assert np.abs(own - theirs).max() < 1e-9


def test_a_search_draws_what_the_plan_draws_and_comes_nearer_to_the_law(mixture_session):
    noises, teacher = mixture_session.take("training")
    from dtool.fit.field import Field

    field = Field(mixture_session.network, basis="x0")
    search = LawSearch(
        network_field=field, noises=noises, fresh=draw_fresh(field.network, noises, 4), images=teacher.images
    )  # fmt: skip
    table = make_table(mixture_session)
    rows, noise = table.to_rows(field)
    plan = make_fitted_plan(mixture_session.network, rows, basis="x0", noise=noise)
    fresh = search.fresh[: plan.draws]
    out = dtool.sample(mixture_session.network, plan, x=plan.init * noises.z, noise=fresh)
    assert np.abs(search.draw(table) - out.x0).max() < 1e-9
    seen = []
    search.improve(table, 4, lambda one, distance: seen.append((distance, one)))
    assert seen[-1][0] < 0.9 * seen[0][0]
    assert seen[-1][1].lam[0] == table.lam[0], "the first time is the start, or there would be no exact marginals"
