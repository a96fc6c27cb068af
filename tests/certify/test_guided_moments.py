"""Exact moments of guided runs on Gaussian data, and the weak order that they show."""

import numpy as np
import pytest

import dtool
from dtool.certify.grids import by_lam
from dtool.certify.guided import make_plan
from dtool.certify.guided_certificates import GUIDED_CERTIFICATES
from dtool.certify.guided_moments import CLASS, WHOLE, guided_moments, guided_weak_order
from dtool.certify.moments import moments
from dtool.plan import Recipe
from dtool.plan.guiding import compute_weights

CHECK = GUIDED_CERTIFICATES["guided-weak-order"]


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m-sde", "dpmpp-2s-ancestral", "seeds-2"])
def test_at_scale_1_they_are_the_moments_of_the_class(recipe):
    rule = Recipe.parse(recipe).rule
    plan, _ = make_plan(rule, dtool.get_guidance("1"), by_lam(9))
    means, variances = moments(plan, *CLASS)
    np.testing.assert_allclose(guided_moments(plan, 1.0), (means[-1], np.sqrt(variances[-1])), rtol=1e-12)


@pytest.mark.parametrize("token", ["cfg:scale=2", "cfgpp:scale=0.6"])
def test_they_are_those_of_many_samples(token):
    """Of a run with random numbers, by the closed form of both networks."""
    rule = Recipe.parse("dpmpp-2s-ancestral").rule
    plan, scale = make_plan(rule, dtool.get_guidance(token), by_lam(5))
    random, weights, count = np.random.default_rng(0), compute_weights(plan, scale), 200_000
    from dtool.plan.reference import Answer, run_rows

    def predict(x, i, mean, std):
        alpha, sigma = plan.alpha[i], plan.sigma[i]
        return mean + alpha * std**2 / ((alpha * std) ** 2 + sigma**2) * (x - alpha * mean)

    def ask(x, i):
        free = predict(x, i, *WHOLE)
        image = free + weights[i] * (predict(x, i, *CLASS) - free)
        entry = image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i]
        return Answer(entry, gap=image - free)

    x = plan.alpha[0] * CLASS[0] + np.hypot(plan.alpha[0] * CLASS[1], plan.sigma[0]) * random.standard_normal(count)
    end = run_rows(plan, ask, x, lambda _: random.standard_normal(count))
    mean, std = guided_moments(plan, scale)
    assert abs(end.mean() - mean) < 5 * std / np.sqrt(count)
    assert abs(end.std() / std - 1) < 5 / np.sqrt(2 * count)


@pytest.mark.parametrize(
    ("recipe", "order"),
    [("ddpm", 1), ("ddim:eta=0.5", 1), ("dpmpp-2m-sde", 2), ("seeds-2", 2), ("dpmpp-2s-ancestral:eta=0.5", 1)],
)
def test_the_weak_order_of_guided_runs(recipe, order):
    """That of the rule, but of an ancestral one, whose noise makes up for its step under the law of the data alone."""
    found = guided_weak_order(Recipe.parse(recipe).rule, dtool.get_guidance("2"))
    assert found == pytest.approx(order, abs=0.1)
    result = CHECK("guided-weak-order", Recipe.parse(f"{recipe}~2"))
    assert (result.status, result.figure) == ("pass", f"{found:.2f}")


def test_a_rule_whose_law_leads_nowhere_fails():
    @dtool.sampler("noisy", order=1)
    def noisy(now, to, z):
        """Fresh noise of one size in every step: the more steps, the more of it."""
        return to.alpha * now.x0 + to.sigma * now.eps + 0.1 * z

    assert CHECK("guided-weak-order", Recipe(noisy).add_guidance("2")).status == "fail"


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ("ddim~2", "nothing is drawn"), ("ddpm~cfgpp:scale=0.6", "no limit"), ("ddpm~2@-1.3:0.3", "changes along"),
        ("res-multistep-cfgpp:eta=1", "adds D - D_without"), ("ddpm:sigma=learned~2", "the network chooses"),
    ],
)  # fmt: skip
def test_what_has_none_says_why(recipe, why):
    result = CHECK("guided-weak-order", Recipe.parse(recipe))
    assert result.status == "skip"
    assert why in result.detail
