"""The weights of the noise levels, against the papers' own formulas and against each other."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.schedulers import get_scheduler
from dtool.training.loss_weights import compute_weights, min_snr_weights, p2_weights, vlb_weights

SCHEDULES = ["linear", "cosine:T=50"]
PREDICTIONS = ["eps", "x0", "v", "flow"]


@pytest.mark.parametrize("token", ["linear", "cosine", "cosine:T=20"])
def test_vlb_weights_are_the_divergence(token: str) -> None:
    """L_{t-1} with σ_t² = β_t, from Bayes' rule for Gaussians instead of the paper's algebra."""
    made = get_scheduler(token)
    x0, wrong, x = 0.7, -0.2, 0.4
    for t in [0, 1, 2, made.T // 2, made.T - 1]:
        alpha, sigma = made.alpha[t], made.sigma[t]
        before, noise = (made.alpha[t - 1], made.sigma[t - 1]) if t else (1.0, 0.0)
        ratio, beta = alpha / before, 1 - (alpha / before) ** 2

        gain = noise**2 * ratio / (ratio**2 * noise**2 + beta)
        mean, other = (before * guess + gain * (x - ratio * before * guess) for guess in (x0, wrong))
        divergence = (mean - other) ** 2 / (2 * beta)
        error_eps = ((x - alpha * x0) / sigma) - ((x - alpha * wrong) / sigma)
        error_v = (alpha * x - x0) / sigma - (alpha * x - wrong) / sigma
        for prediction, error in (("x0", x0 - wrong), ("eps", error_eps), ("v", error_v)):
            assert vlb_weights(made, prediction)[t] * error**2 == pytest.approx(divergence, rel=1e-6)  # type: ignore[arg-type]


def test_vlb_weights_for_eps_are_equation_12() -> None:
    made = get_scheduler("linear")
    beta, alpha_bar = made.betas, np.cumprod(1 - made.betas)
    np.testing.assert_allclose(vlb_weights(made, "eps"), beta**2 / (2 * beta * (1 - beta) * (1 - alpha_bar)), rtol=1e-6)


@pytest.mark.parametrize("token", SCHEDULES)
@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_is_the_papers_formula_for_each_prediction(token: str, gamma: float) -> None:
    """Section 3.4 of arXiv:2303.09556, with SNR = ᾱ/(1 - ᾱ) from the product of 1 - β."""
    made = get_scheduler(token)
    alpha_bar = np.cumprod(1 - made.betas)
    snr = alpha_bar / (1 - alpha_bar)
    least = np.array([min(each, gamma) for each in snr])
    for prediction, expected in (("x0", least), ("eps", least / snr), ("v", least / (snr + 1))):
        np.testing.assert_allclose(min_snr_weights(made, prediction, gamma), expected, rtol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(("gamma", "k"), [(0.5, 1.0), (1.0, 1.0), (1.0, 0.3)])
def test_p2_is_the_papers_formula(gamma: float, k: float) -> None:
    """λ'_t = λ_t/(k + SNR)^γ (arXiv:2204.00227, eq. 8), where λ_t, DDPM's, is a constant weight of eps."""
    made = get_scheduler("linear")
    alpha_bar = np.cumprod(1 - made.betas)
    expected = 1 / (k + alpha_bar / (1 - alpha_bar)) ** gamma
    np.testing.assert_allclose(p2_weights(made, "eps", gamma, k), expected, rtol=1e-6)


@pytest.mark.parametrize("token", [*SCHEDULES, "flow"])
@pytest.mark.parametrize("compute", [min_snr_weights, p2_weights])
def test_a_weighting_counts_the_same_error_alike_whatever_is_predicted(token: str, compute: object) -> None:
    """One wrong x0 is one wrong eps, v and flow at the same x: weight times squared error must not differ."""
    made = get_scheduler(token)
    inside = slice(1, -1)  # flow's ends have an SNR of 0
    x0, wrong, x = 0.7, -0.2, 0.4
    alpha, sigma = made.alpha[inside], made.sigma[inside]
    answers = [{"x0": guess, "eps": (x - alpha * guess) / sigma} for guess in (x0, wrong)]
    for one in answers:
        one |= {"v": alpha * one["eps"] - sigma * one["x0"], "flow": one["eps"] - one["x0"]}
    terms = [
        compute(made, name)[inside] * (answers[0][name] - answers[1][name]) ** 2  # type: ignore[operator]
        for name in PREDICTIONS
    ]
    for term in terms[1:]:
        np.testing.assert_allclose(term, terms[0], rtol=1e-9)


def test_gamma_is_the_papers_unless_it_is_given() -> None:
    made = get_scheduler("linear")
    np.testing.assert_array_equal(compute_weights("min-snr", made, "eps"), min_snr_weights(made, "eps", 5.0))
    np.testing.assert_array_equal(compute_weights("p2", made, "eps"), p2_weights(made, "eps", 1.0))
    np.testing.assert_array_equal(compute_weights("p2", made, "v", 0.5), p2_weights(made, "v", 0.5))
    assert (compute_weights("simple", made, "eps") == 1).all()


def test_the_bound_needs_a_variance_preserving_schedule() -> None:
    with pytest.raises(UsageError, match="variance-preserving") as caught:
        compute_weights("vlb", get_scheduler("flow"), "v")
    assert caught.value.hint == "train with --loss simple"
