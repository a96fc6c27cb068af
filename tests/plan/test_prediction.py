"""Another network: its schedule, its scale, its prediction."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import CLEAN, ClampWarning, Point, adapt_to_network, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from tests.support.rules import dpmpp_sde


def test_another_schedule_keeps_the_noise_level():
    trained = get_scheduler("cosine")
    made = adapt_to_network(plan("ddim", scheduler="linear", spacing="linspace", steps=12), trained, "eps")
    alpha, sigma = trained.level(made.time)
    assert sigma / alpha == pytest.approx(made.sigma / made.alpha, rel=1e-9)
    assert made.c_in == pytest.approx(np.ones(12))
    assert np.abs(made.time - made.t).max() > 50, "the index itself would be another noise level"
    same = adapt_to_network(plan("ddim", scheduler="linear", steps=12), get_scheduler("linear"), "eps")
    assert (same.time == same.t).all()


def test_levels_that_the_network_never_saw():
    with pytest.warns(ClampWarning, match="row 0 of 4 lies outside") as caught:
        made = adapt_to_network(plan("ddim", scheduler="cosine", steps=4), get_scheduler("linear"), "eps")
    assert len(caught) == 1
    assert made.time[0] == 999


@pytest.mark.parametrize("recipe", ["ddim@flow", "dpmpp-2m@trigflow", "ddpm@jsd", "plms@linear:zero_snr=true"])
def test_an_eps_network_that_always_saw_some_signal_begins_without_any(recipe):
    """At α = 0 it is told its last level (α', σ'), and its word is taken there: σ' x/σ = α' x0 + σ' ε."""
    trained = get_scheduler("linear")
    with pytest.warns(ClampWarning):
        made = adapt_to_network(plan(recipe, steps=6, prediction="x0"), trained, "eps")
    alpha, sigma = trained.alpha[-1], trained.sigma[-1]
    image, eps = np.random.default_rng(1).standard_normal((2, 50))
    x = (alpha * image + sigma * eps) / made.c_in[0]
    assert (made.alpha[0], made.time[0]) == (0, 999)
    np.testing.assert_allclose(made.c_skip[0] * x + made.c_out[0] * eps, image, atol=1e-12 / alpha)
    assert (made.m_x[0], made.m_f[0]) == (made.c_skip[0], made.c_out[0]), "the history holds the image there"


def test_another_scale_is_scaled():
    """A grid with α = 1 for a network in variance-preserving coordinates: its input is x/√(1+v²)."""
    trained = get_scheduler("linear")
    points = [Point(1.0, float(s / a)) for a, s in zip(*trained.level([900, 500, 100]), strict=True)]
    made = adapt_to_network(plan("ddim", points=points, prediction="x0"), trained, "v")
    assert made.time == pytest.approx([900, 500, 100], abs=1e-6)
    assert made.c_in == pytest.approx(1 / np.hypot(1, made.sigma))
    image, eps = np.array([0.3, -0.2, 0.9]), np.array([1.1, 0.4, -2.0])
    output = made.c_in * (eps - made.sigma * image)  # v = α'ε - σ'x0
    assert made.c_skip * (image + made.sigma * eps) + made.c_out * output == pytest.approx(image, abs=1e-9)


def test_points_without_a_time_get_that_of_their_level():
    """A user's own levels, or a stage half-way in λ: the network must not be told another level than it sees."""
    table = get_scheduler("linear")
    for made in (
        compile_plan(dpmpp_sde, [*grids.by_lam(4)[1:4], CLEAN], schedule=table),
        plan("ddim", points=grids.by_lam(5)[1:5], scheduler=table),
        adapt_to_network(plan("heun", points=grids.by_lam(5)[1:5], scheduler=table), table, "v"),
    ):
        alpha, sigma = table.level(made.time)
        assert sigma / alpha == pytest.approx(made.sigma / made.alpha, rel=1e-9)
        assert len(set(made.time.tolist())) > 2


@pytest.mark.parametrize("told", [True, False])
def test_a_level_in_other_coordinates_is_scaled_for_the_network_whether_its_time_is_told_or_not(told):
    times = [900.0, 431.0, 57.0]
    alpha, sigma = get_scheduler("linear").level(times)
    exploding = [Point(1.0, s / a, t if told else np.nan) for a, s, t in zip(alpha, sigma, times, strict=True)]
    made = plan("euler", points=exploding, scheduler="linear")
    assert made.c_in == pytest.approx(alpha, rel=1e-9)
    assert made.time == pytest.approx(times, abs=1e-6)


def test_v_is_alpha_eps_minus_sigma_x0():
    """arXiv:2202.00512, appendix D: x0 = α·x - σ·v, and ε = σ·x + α·v, in variance-preserving coordinates."""
    points = grids.random_grid(6, 4, clean=False)
    made = compile_plan(get_sampler("ddim"), points, prediction="v")
    assert made.c_skip == pytest.approx(made.alpha)
    assert made.c_out == pytest.approx(-made.sigma)
