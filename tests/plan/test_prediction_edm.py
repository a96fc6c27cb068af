"""EDM's preconditioning: the same denoiser, preconditioned and told as x0, gives the same images to rounding."""

import numpy as np
import pytest

import dtool
from dtool.plan import Point
from dtool.plan.prediction import history_map, output_map, scale_input
from tests.support.preconditioned import denoise, precondition

LAW = dtool.targets.target("gmm:d=2")
RECIPES = [
    "ddpm", "ddpm:sigma=beta", "ddim", "ddim:eta=0.6", "euler", "heun", "edm-heun:churn=2", "euler-ancestral", "plms",
    "dpm2", "dpmpp-2m/karras", "dpmpp-2m-sde", "dpmpp-3m-sde", "dpmpp-sde", "unipc", "deis", "lms", "seeds-2",
]  # fmt: skip
SCHEDULES = ["ve", "edm", "linear", "flow"]


def run(network, recipe, clip=None, **options):
    plan = recipe if isinstance(recipe, dtool.Plan) else dtool.plan(recipe, network=network, **options)
    random = np.random.default_rng(3)
    x = plan.init * random.standard_normal((5, *network.shape))
    noise = random.standard_normal((plan.draws, 5, *network.shape)) if plan.stochastic else None
    return dtool.sample(network, plan, x=x, noise=noise, clip=clip).x0


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_samples_are_those_of_the_denoiser(recipe, schedule):
    plain, inner = denoise(LAW, schedule), precondition(LAW, schedule, 0.5)
    assert_alike(run(inner, recipe, steps=7), run(plain, recipe, steps=7))


def assert_alike(found, wanted):
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("sigma_data", [0.05, 0.5, 1.0, 3**-0.5, 20.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_whatever_sigma_data_is(schedule, sigma_data):
    law = dtool.targets.target("gaussian:d=3,var=0.25")
    plain, inner = denoise(law, schedule), precondition(law, schedule, sigma_data)
    for recipe in ("dpmpp-2m/karras", "heun"):
        assert_alike(run(inner, recipe, steps=6), run(plain, recipe, steps=6))


@pytest.mark.parametrize("clip", [False, True])
def test_clipped_it_is_the_denoiser_clipped(clip):
    law = dtool.targets.target("gaussian:d=3,var=4")
    plain, inner = denoise(law, "edm"), precondition(law, "edm", 0.5)
    assert_alike(run(inner, "dpmpp-2m", clip, steps=6), run(plain, "dpmpp-2m", clip, steps=6))


@pytest.mark.parametrize("trained", ["ve", "edm"])
def test_a_grid_in_other_coordinates_gives_the_same_image(trained):
    """The same levels with α² + σ² = 1 and with α = 1: x/α is the same at every step, and the image is."""
    inner = precondition(LAW, trained, 0.5)
    v = np.geomspace(20, 0.02, 6)
    grids = [Point(1.0, s) for s in v], [Point(1 / np.hypot(1, s), s / np.hypot(1, s)) for s in v]
    start = np.random.default_rng(0).standard_normal((4, 2))
    plans = [dtool.plan("dpmpp-2m", points=points, network=inner) for points in grids]
    assert_alike(*(dtool.sample(inner, plan, x=start * (20 * plan.alpha[0])).x0 for plan in plans))


def test_a_network_trained_under_another_schedule_is_told_the_level_and_not_the_index():
    recipe = "dpmpp-2m@linear"
    assert_alike(
        run(precondition(LAW, "edm:sigma_max=500", 0.5), recipe, steps=6),
        run(denoise(LAW, "edm:sigma_max=500"), recipe, steps=6),
    )


@pytest.mark.parametrize("alpha", [1.0, 0.6, 1e-4])
def test_the_map_is_table_1_at_the_level_of_x_over_alpha(alpha):
    sigma, sigma_data = np.array([0.0, 0.002, 0.8, 80.0]) * alpha, 0.3
    levels = np.full(4, alpha), sigma, np.ones(4)
    v = sigma / alpha
    c_skip, c_out = output_map("edm:sigma_data=0.3", *levels)
    np.testing.assert_allclose(c_skip * alpha, sigma_data**2 / (v**2 + sigma_data**2), rtol=1e-12)
    np.testing.assert_allclose(c_out, v * sigma_data / np.sqrt(v**2 + sigma_data**2), rtol=1e-12)
    scale = scale_input("edm:sigma_data=0.3", *levels)
    np.testing.assert_allclose(scale * alpha, 1 / np.sqrt(v**2 + sigma_data**2), rtol=1e-12)


def test_the_history_in_eps_is_what_is_left_of_x():
    """ε = (x - α·D)/σ, and finite at the image, where σ = 0."""
    alpha, sigma, one = np.array([0.9, 0.5, 1.0]), np.array([0.4, 1.7, 0.0]), np.ones(3)
    c_skip, c_out = output_map("edm", alpha, sigma, one)
    m_x, m_f = history_map("eps", "edm", alpha, sigma, one)
    np.testing.assert_allclose(m_x[:2], (1 - alpha * c_skip)[:2] / sigma[:2], rtol=1e-12)
    np.testing.assert_allclose(m_f[:2], (-alpha * c_out)[:2] / sigma[:2], rtol=1e-12)
    assert (m_x[2], m_f[2]) == (0, -1), "at the image ε = -F, since x/(α·σ_data) is all of D there"
    assert history_map("x0", "edm", alpha, sigma, one)[1].tolist() == c_out.tolist()


def test_where_there_is_no_signal_everything_is_finite():
    alpha, sigma, one = np.zeros(1), np.ones(1), np.ones(1)
    assert [float(v[0]) for v in output_map("edm", alpha, sigma, one)] == [0.0, 0.5]
    assert [float(v[0]) for v in history_map("eps", "edm", alpha, sigma, one)] == [0.0, 0.5]
    assert scale_input("edm", alpha, sigma, one).tolist() == [1.0]


@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow"])
def test_other_networks_get_their_coordinates_scale(prediction):
    assert scale_input(prediction, np.array([0.3]), np.array([0.7]), np.array([1.25])).tolist() == [1.25]


@pytest.mark.parametrize("schedule", ["edm", "linear"])
def test_a_closed_form_law_makes_a_preconditioned_network_itself(schedule):
    own = LAW.network(schedule, prediction="edm:sigma_data=0.7")
    x = np.random.default_rng(0).standard_normal((3, 2))
    t = np.array([10.0, 400.0, 900.0])
    np.testing.assert_allclose(own.predict(x, t), precondition(LAW, schedule, 0.7).predict(x, t), rtol=0, atol=1e-11)
    assert_alike(run(own, "heun", steps=5), run(denoise(LAW, schedule), "heun", steps=5))
