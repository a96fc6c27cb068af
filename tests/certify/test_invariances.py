"""What must not matter: coordinates, how the data are turned, the units that they are in."""

from math import sqrt

import numpy as np
import pytest

from dtool.certify import grids, invariances
from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.plan import CLEAN, Point
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, examined, predictor_corrector


@pytest.mark.parametrize("token", configurations())
def test_every_sampler_with_every_option(token):
    apart, where = invariances.coordinate_deviation(get_sampler(token))
    assert apart < invariances.BAR, where
    assert invariances.similarity_deviation(get_sampler(token)) < invariances.BAR


@pytest.mark.parametrize("rule", [dpmpp_3m(2), predictor_corrector, dpmpp_sde], ids=lambda r: r.name)
def test_stages_history_and_saved_x(rule):
    assert examined(rule, "invariances")["invariances"].status == "pass"


@rule_of("only-vp", order=1)
def only_vp(now, to, z):
    """The root of β is the noise that DDPM adds in variance-preserving coordinates alone."""
    tau = 1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2
    return to.alpha * now.x0 + to.sigma * sqrt(1 - tau) * now.eps + now.sigma * sqrt(tau) * z


@rule_of("only-ve", order=1)
def only_ve(now, to):
    """α is forgotten."""
    return now.x0 + to.sigma * now.eps


@rule_of("wrong-level", order=2, calls=2)
def wrong_level(now, to):
    """A stage whose level depends on the coordinates."""
    guess = to.alpha * now.x0 + to.sigma * now.eps
    if to.sigma == 0:
        return guess
    mid = Point((now.alpha + to.alpha) / 2, (now.sigma + to.sigma) / 2)
    stage = yield mid.alpha * now.x0 + mid.sigma * now.eps, mid
    return to.alpha * stage.x0 + to.sigma * stage.eps


@pytest.mark.parametrize("rule", [only_vp, only_ve, wrong_level], ids=lambda r: r.name)
def test_a_rule_for_one_kind_of_coordinates_is_found(rule):
    assert examined(rule, "invariances")["invariances"].status == "fail"


def test_a_rule_that_looks_at_each_number_is_not_turned_with_the_data():
    @rule_of("clipping", order=1)
    def clipping(now, to):
        return to.alpha * np.clip(now.x0, -1, 1) + to.sigma * now.eps

    assert invariances.similarity_deviation(clipping) > 0.1


@pytest.mark.parametrize("token", ["ddim", "heun", "dpmpp-2m"])
@pytest.mark.parametrize("coordinates", invariances.COORDINATES)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_image_in_other_coordinates(token, coordinates, seed):
    """Said again with a network in closed form, and not by the tables: x/α at the end."""
    points = grids.random_grid(9, seed, clean=seed % 2 == 0)
    changed = tuple(invariances.COORDINATES[coordinates](p) for p in points)
    x = np.random.default_rng(seed).standard_normal(6) * THREE_GAUSSIANS.std(points[0])
    one, other = (compile_plan(get_sampler(token), grid, prediction="x0") for grid in (points, changed))
    end = run_optimal_network(one, THREE_GAUSSIANS, x) / points[-1].alpha
    start = x / points[0].alpha * changed[0].alpha
    assert run_optimal_network(other, THREE_GAUSSIANS, start) / changed[-1].alpha == pytest.approx(end, abs=1e-9)


def test_the_coordinates_themselves():
    for at in (grids.point_at_lam(-2.0), grids.point_at_lam(1.5), CLEAN):
        ve, flow = (invariances.COORDINATES[name](at) for name in ("ve", "flow"))
        assert (ve.alpha, flow.alpha + flow.sigma) == pytest.approx((1, 1))
        assert ve.v == pytest.approx(at.v)
        assert flow.v == pytest.approx(at.v)
