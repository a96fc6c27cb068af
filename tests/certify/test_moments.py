"""Certificate 3: mean and variance on Gaussian data, without random numbers, against formulas for one variable."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.certify.laws import gaussian, run_optimal_network
from dtool.certify.moments import moments
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.schedulers import get_scheduler
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, examined, keeps_marginals, predictor_corrector

MEAN, STD = 0.7, 0.5


def ancestral(alpha_bar, variance_of, mean, std):
    """DDPM on data N(mean, std²), as its paper writes it: β, ᾱ and the posterior's mean, one number at a time."""
    m, v = np.sqrt(alpha_bar[-1]) * mean, alpha_bar[-1] * std**2 + 1 - alpha_bar[-1]
    for t in range(len(alpha_bar) - 1, -1, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1] if t else 1.0
        beta = 1 - now / before
        power = now * std**2 + 1 - now
        gain = np.sqrt(now) * std**2 / power  # E[x0 | x] = gain·x + shift
        shift = mean * (1 - now) / power
        to_x0, to_x = np.sqrt(before) * beta / (1 - now), np.sqrt(1 - beta) * (1 - before) / (1 - now)
        m = to_x0 * (gain * m + shift) + to_x * m
        v = (to_x0 * gain + to_x) ** 2 * v
        if t:
            v += {"beta": beta, "tilde": (1 - before) / (1 - now) * beta, "none": 0.0}[variance_of]
    return m, v


@pytest.mark.parametrize("sigma", ["beta", "tilde", "none"])
@pytest.mark.parametrize("steps", [1, 2, 10, 37, 100])
def test_ddpm_against_its_paper(sigma, steps):
    made = plan("ddpm", sigma=sigma, scheduler="cosine:T=100,max_beta=0.9", spacing="linspace", steps=steps)
    expected = ancestral(made.alpha[::-1] ** 2, sigma, MEAN, STD)
    means, variances = moments(made, MEAN, STD)
    assert (means[-1], variances[-1]) == pytest.approx(expected, abs=1e-12)


# Standard deviations of the samples over that of the data, for data N(0, 0.25), the linear schedule of 1,000 steps,
# evenly spaced times from 999 to 0, then the image.
RATIOS = {
    "ddpm:sigma=beta": (1.198, 1.017, 1.002),
    "ddpm:sigma=tilde": (0.646, 0.936, 0.992),
    "ddim": (0.723, 0.972, 0.997),
}


@pytest.mark.parametrize("token", RATIOS)
def test_too_wide_and_too_narrow(token):
    found = [
        np.sqrt(moments(plan(token, scheduler="linear", spacing="linspace", steps=n), 0.0, 0.5)[1][-1]) / 0.5
        for n in (10, 100, 1000)
    ]
    assert found == pytest.approx(RATIOS[token], abs=6e-4)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_without_noise_only_the_correlation_with_the_first_noise_is_left(steps):
    """Each step takes E[x_prev | x], so the samples have the correlation of x0 with x_T, at any number of steps."""
    table = get_scheduler("linear")
    made = plan("ddpm:sigma=none", scheduler=table, steps=steps, end=0.0)
    _, variances = moments(made, 0.0, STD)
    alpha, sigma = table.alpha[[0, -1]], table.sigma[[0, -1]]
    std = np.hypot(alpha * STD, sigma)
    correlation = alpha[0] * alpha[1] * STD**2 / (std[0] * std[1])
    correlation += sigma[0] * alpha[1] / alpha[0] * sigma[0] / (std[0] * std[1])  # the noise that both share
    assert variances[-1] == pytest.approx((correlation * std[0]) ** 2, rel=1e-9)


def test_beta_is_exact_for_unit_data_and_tilde_for_one_image():
    for steps in (1, 3, 20):
        common = {"scheduler": "linear", "spacing": "linspace", "steps": steps, "end": None}
        _, wide = moments(plan("ddpm:sigma=beta", **common), 0.0, 1.0)
        assert wide[:-1] == pytest.approx(np.ones(steps), abs=1e-12)
        made = plan("ddpm", **common)
        _, narrow = moments(made, 0.0, 0.0)
        assert narrow[:-1] == pytest.approx(made.sigma**2, abs=1e-12)


@pytest.mark.parametrize("steps", [3, 10, 40])
@pytest.mark.parametrize("std", [0.2, 1.0])
def test_ddim_on_a_gaussian_is_a_product_of_cosines(steps, std):
    """gain = √((s²+v_end²)/(s²+v_0²)) · Π cos(φ_i - φ_{i+1}) with φ = arctan(v/s), in x/α."""
    points = grids.by_lam(steps, "uneven")
    _, variances = moments(compile_plan(get_sampler("ddim"), points, prediction="x0"), 0.0, std)
    v = np.array([p.v for p in points])
    cosines = np.prod(np.cos(np.diff(np.arctan(v / std))))
    expected = (points[-1].alpha * np.sqrt(std**2 + v[-1] ** 2) * cosines) ** 2
    assert variances[-1] == pytest.approx(expected, rel=1e-12)


def state_space_moments(plan, mean, std):
    """(means, variances) of x by the recursion of mean and covariance of (x, saved x, history), row by row."""
    size = plan.history + 2
    centre, covariance = np.zeros(size), np.zeros((size, size))
    centre[0], covariance[0, 0] = plan.alpha[0] * mean, (plan.alpha[0] * std) ** 2 + plan.sigma[0] ** 2
    means, variances = [centre[0]], [covariance[0, 0]]
    for i in range(plan.rows):
        alpha, sigma = plan.alpha[i], plan.sigma[i]
        power = (alpha * std) ** 2 + sigma**2
        call, offset = np.zeros((size, size)), np.zeros(size)
        call[0, 0] = call[1, 0 if plan.save[i] else 1] = 1.0
        if plan.images[i]:  # E[x0 | x]
            call[2, 0], offset[2] = alpha * std**2 / power, mean * sigma**2 / power
        else:  # E[ε | x]
            call[2, 0], offset[2] = sigma / power, -sigma * alpha * mean / power
        call[3:, 2:-1] = np.eye(size - 3)
        update = np.eye(size)
        update[0] = [plan.a[i], plan.a_saved[i], *plan.b[i]]
        centre = update @ (call @ centre + offset)
        covariance = update @ call @ covariance @ (update @ call).T
        covariance[0, 0] += plan.c[i] ** 2
        means.append(centre[0])
        variances.append(covariance[0, 0])
    return np.array(means), np.array(variances)


RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_every_moment_against_the_recursion_of_the_covariance(rule):
    points = grids.random_grid(8, 1, clean=False)
    made = compile_plan(rule, points, prediction="x0")
    for found, expected in zip(moments(made, MEAN, STD), state_space_moments(made, MEAN, STD), strict=True):
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_the_recursion_against_running_the_rows(rule):
    """Every noise a unit vector: the rows then carry the coefficients, whose squares add up to the variance."""
    points = grids.random_grid(8, 1, clean=False)
    made = compile_plan(rule, points, prediction="x0")
    law = gaussian(MEAN, STD)
    size = made.rows + 2
    start = np.zeros(size)
    start[1] = law.std(points[0])
    end = run_optimal_network(made, gaussian(0.0, STD), start, lambda i: np.eye(size)[i + 2])
    middle = run_optimal_network(made, law, np.array([points[0].alpha * MEAN]))
    means, variances = moments(made, MEAN, STD)
    assert variances[-1] == pytest.approx((end**2).sum(), rel=1e-9)
    assert means[-1] == pytest.approx(middle[0], rel=1e-9)


@pytest.mark.parametrize("token", configurations())
def test_weak_order(token):
    result = examined(token, "moments")["moments"]
    if get_sampler(token).order > 4:
        assert result.status == "skip", "an order that rooted trees show: test_rooted_trees.py"
        return
    assert result.status in {"pass", "info"}, result
    if keeps_marginals(token):
        assert result.status == "pass", "at least the declared order; Gaussian data may be kinder than others"


def test_noise_of_the_wrong_size_is_found():
    @rule_of("timid", order=1)
    def timid(now, to, z):
        tau = 1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2
        return to.alpha * now.x0 + to.sigma * np.sqrt(1 - tau) * now.eps + 0.9 * to.sigma * np.sqrt(tau) * z

    assert [r.status for r in examined(timid, "marginals", "moments").values()] == ["fail", "fail"]
