"""The bound: exact on Gaussian data, above the truth everywhere."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import dtool
from dtool.likelihood import bound
from dtool.likelihood.variational_bound import measure_chain_variance
from tests.support.gaussian_data import LINEAR, corners, exact_statistics, gaussian_network

EXACT = 0.725791  # nats per dimension of N(0, 1/4): ½ln(2πe/4)


@pytest.mark.parametrize(
    ("steps", "variance", "nats"),
    [
        *((k, "analytic", EXACT) for k in (1, 2, 10, 137, 1000)),
        (10, "beta", 0.828021),
        (1000, "beta", 0.726884),
    ],
)
def test_the_bound_on_gaussian_data(steps, variance, nats):
    x, z = corners(0.25, steps)
    statistics = exact_statistics(0.25) if variance == "analytic" else None
    bits = bound(gaussian_network(), x, steps, variance=variance, statistics=statistics, levels=None, noise=z)
    assert bits.nats == pytest.approx(nats, abs=6e-7)
    assert bits.total == pytest.approx(bits.prior + bits.rate + bits.decoder, abs=1e-12)


CASES = [("cosine", "v"), ("sigmoid", "x0"), ("linear:zero_snr=true", "v"), ("flow", "flow"), ("ve", "eps")]


@pytest.mark.parametrize(("schedule", "prediction"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_the_analytic_bound_is_exact_whatever_the_schedule_the_prediction_and_the_grid(schedule, prediction, seed):
    """The entropy of the data, and what the chain's prior is off by: KL(q(x_T) ‖ N(0, I)), nothing else."""
    rng = np.random.default_rng(seed)
    variance, mean = rng.uniform(0.05, 2), rng.uniform(-0.5, 0.5)
    network = gaussian_network(variance, prediction=prediction, schedule=schedule, mean=mean)
    levels = network.schedule
    inner = rng.choice(np.arange(1, levels.T - 1), size=int(rng.integers(1, 30)), replace=False)
    points = [levels.T - 1.0, *np.sort(inner)[::-1].astype(float), 0.0]
    x, z = corners(variance, len(points), mean)
    statistics = exact_statistics(variance, levels)
    bits = bound(network, x, points=points, variance="analytic", statistics=statistics, levels=None, noise=z)
    share = levels.alpha_bar[-1]
    last = share * variance + 1 - share
    off = (last - 1 - np.log(last) + share * mean**2) / 2
    assert bits.nats == pytest.approx(0.5 * np.log(2 * np.pi * np.e * variance) + off, abs=1e-9)


def mixture(shape=(3,)):
    """The exact network of two Gaussians in each number by itself, and its -log p."""
    means, std = np.array([-0.5, 0.4]), 0.15

    def fn(x, t):
        alpha, sigma = (v.reshape(-1, *(1 for _ in shape), 1) for v in LINEAR.level(np.clip(t, 0, 999)))
        wide = (alpha * std) ** 2 + sigma**2
        off = x[..., None] - alpha * means
        share = np.exp(-(off**2) / (2 * wide))
        share /= share.sum(axis=-1, keepdims=True)
        return (sigma * share * off / wide).sum(axis=-1)

    def sample(n, rng):
        return means[rng.integers(0, 2, (n, *shape))] + std * rng.standard_normal((n, *shape))

    def nll(x):
        return -np.log(stats.norm.pdf(x[..., None], means, std).mean(axis=-1)).reshape(len(x), -1).mean(axis=1)

    return dtool.network(fn, shape=shape), sample, nll


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bound_is_above_the_truth_and_falls_as_nested_grids_refine(seed):
    network, sample, nll = mixture()
    x = sample(400, np.random.default_rng(seed))
    totals = []
    for steps in (5, 9, 17, 33):
        points = np.linspace(999, 0, steps).round().tolist()
        for variance in ("beta", "tilde", "analytic"):
            bits = bound(network, x, points=points, variance=variance, levels=None, seed=seed)
            above = bits.per_image.sum(axis=0) * np.log(2) - nll(x)
            assert above.mean() > -4 * above.std() / np.sqrt(len(x))
        totals.append(bits.nats)
    assert all(fine < coarse for coarse, fine in pairwise(totals))
    assert totals[-1] - nll(x).mean() < 0.5 * (totals[0] - nll(x).mean())


def test_measured_on_other_images_it_comes_near_the_exact_bound():
    rng = np.random.default_rng(5)
    x, others = 0.5 * rng.standard_normal((2, 200, 4))
    network = gaussian_network()
    exact = bound(network, x, 20, variance="analytic", statistics=exact_statistics(0.25), levels=None)
    own = bound(
        network, x, 20, variance="analytic", statistics=measure_chain_variance(network, others, 20), levels=None
    )
    fresh = bound(network, x, 20, variance="analytic", levels=None)
    table = dtool.measure_variance(network, others, levels=200)
    file = bound(network, x, 20, variance="analytic", statistics=table, levels=None)
    for found in (own, fresh, file):
        assert found.nats == pytest.approx(exact.nats, abs=0.02)
    assert fresh.calls == 40
    assert own.calls == 20


def test_the_analytic_variance_is_not_measured_with_the_noise_that_it_is_judged_on():
    exact, inputs = gaussian_network(), []

    def fn(x, t):
        inputs.append(np.array(x))
        return exact.fn(x, t)

    x = 0.5 * np.random.default_rng(6).standard_normal((3, 4))
    bound(dtool.network(fn, shape=(4,)), x, 5, variance="analytic", levels=None, seed=4)
    measured, judged = inputs[-10:-5], inputs[-5:]
    assert not any(np.isin(one, other).any() for one, other in zip(measured, judged, strict=True))
