"""The bound: exact on Gaussian data, above the truth everywhere, a probability over all levels."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import dtool
from dtool.likelihood import bound
from dtool.likelihood.bound import measured
from dtool.samplers.statistics import VarianceStatistics

LINEAR = dtool.schedule("linear")
EXACT = 0.725791  # nats a dimension of N(0, 1/4): ½ln(2πe/4)


def gaussian(variance=0.25, shape=(4,), prediction="eps", schedule="linear", mean=0.0, **more):
    """The exact network for data N(mean, variance I)."""
    made = dtool.schedule(schedule)

    def fn(x, t):
        alpha, sigma = (v.reshape(-1, *(1 for _ in shape)) for v in made.level(np.clip(t, 0, made.T - 1)))
        off = (x - alpha * mean) / (alpha**2 * variance + sigma**2)
        eps, x0 = sigma * off, mean + alpha * variance * off
        power = alpha**2 + sigma**2
        return {"eps": eps, "x0": x0, "v": (alpha * eps - sigma * x0) / np.sqrt(power), "flow": eps - x0}[prediction]

    return dtool.network(fn, shape=shape, schedule=schedule, prediction=prediction, **more)


def known(variance, schedule=LINEAR):
    """What measure_variance would find of the exact network, with no error, at every level."""
    lam = schedule.lam[::-1][np.isfinite(schedule.lam[::-1])]
    unknown = variance / (1 + variance * np.exp(2 * lam))
    return VarianceStatistics(lam, np.exp(2 * lam) * unknown, 1e9, 1)


def corners(variance, steps, mean=0.0):
    """An image and noise whose moments up to the second are exactly the law's: a bound of theirs is the expectation."""
    x = mean + np.sqrt(variance) * np.array([[1.0, 1, -1, -1]])
    return x, np.tile(np.array([1.0, -1, 1, -1]), (steps, 1, 1))


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
    statistics = known(0.25) if variance == "analytic" else None
    found = bound(gaussian(), x, steps, variance=variance, statistics=statistics, levels=None, noise=z)
    assert found.nats == pytest.approx(nats, abs=6e-7)
    assert found.total == pytest.approx(found.prior + found.rate + found.decoder, abs=1e-12)


CASES = [("cosine", "v"), ("sigmoid", "x0"), ("linear:zero_snr=true", "v"), ("flow", "flow"), ("ve", "eps")]


@pytest.mark.parametrize(("schedule", "prediction"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_the_analytic_bound_is_exact_whatever_the_schedule_the_prediction_and_the_grid(schedule, prediction, seed):
    """The entropy of the data, and what the chain's prior is off by: KL(q(x_T) ‖ N(0, I)), nothing else."""
    rng = np.random.default_rng(seed)
    variance, mean = rng.uniform(0.05, 2), rng.uniform(-0.5, 0.5)
    network = gaussian(variance, prediction=prediction, schedule=schedule, mean=mean)
    made = network.schedule
    inner = rng.choice(np.arange(1, made.T - 1), size=int(rng.integers(1, 30)), replace=False)
    points = [made.T - 1.0, *np.sort(inner)[::-1].astype(float), 0.0]
    x, z = corners(variance, len(points), mean)
    statistics = known(variance, made)
    found = bound(network, x, points=points, variance="analytic", statistics=statistics, levels=None, noise=z)
    share = made.alpha_bar[-1]
    last = share * variance + 1 - share
    off = (last - 1 - np.log(last) + share * mean**2) / 2
    assert found.nats == pytest.approx(0.5 * np.log(2 * np.pi * np.e * variance) + off, abs=1e-9)


def test_what_each_variance_is_optimal_for():
    """β for data N(0, I), where it is exact; β̃ for a single point, whose steps then cost nothing."""
    x, z = corners(1.0, 30)
    found = bound(gaussian(1.0), x, 30, variance="beta", levels=None, noise=z)
    assert found.nats == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=1e-9)
    point = bound(gaussian(1e-30, mean=0.3), np.full((2, 4), 0.3), 30, variance="tilde", levels=None, seed=1)
    assert point.rate == pytest.approx(0, abs=1e-9)
    wide = bound(gaussian(1e-30, mean=0.3), np.full((2, 4), 0.3), 30, variance="beta", levels=None, seed=1)
    assert wide.rate > 1


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
            found = bound(network, x, points=points, variance=variance, levels=None, seed=seed)
            above = found.each.sum(axis=0) * np.log(2) - nll(x)
            assert above.mean() > -4 * above.std() / np.sqrt(len(x))
        totals.append(found.nats)
    assert all(fine < coarse for coarse, fine in pairwise(totals))
    assert totals[-1] - nll(x).mean() < 0.5 * (totals[0] - nll(x).mean())


def learned(v):
    """`gaussian`, with a second half of its output that says `v` everywhere."""
    inner = gaussian()

    def fn(x, t):
        return np.concatenate([inner.fn(x, t), np.full_like(x, v)], axis=1)

    return dtool.network(fn, shape=(4,), learned_variance=True)


def test_a_learned_variance_lies_between_tilde_and_beta():
    rng = np.random.default_rng(3)
    x = 0.5 * rng.standard_normal((6, 4))
    for v, name in ((-1.0, "tilde"), (1.0, "beta")):
        own = bound(learned(v), x, 12, variance="learned", levels=None, seed=2)
        plain = bound(gaussian(), x, 12, variance=name, levels=None, seed=2)
        assert own.each == pytest.approx(plain.each, rel=1e-9)
    assert bound(learned(0.0), x, 12, levels=None).variance == "learned"
    # in between, the clip of the last step: halfway of ln β and ln β̃ of the step before
    half = bound(learned(0.0), x, 2, levels=None, seed=2)
    alpha, sigma = LINEAR.alpha[[999, 0]], LINEAR.sigma[[999, 0]]
    low = sigma[1] ** 2 / sigma[0] ** 2 * (1 - (alpha[0] / alpha[1]) ** 2)
    z = np.sqrt(np.sqrt(low * sigma[1] ** 2))
    shared = bound(gaussian(), x, 2, variance="beta", levels=None, seed=2)
    miss = (shared.each[-1] * np.log(2) - np.log(2 * np.pi * sigma[1] ** 2) / 2) * 2 * sigma[1] ** 2
    assert half.each[-1] * np.log(2) == pytest.approx(miss / (2 * z**2) + np.log(2 * np.pi * z**2) / 2, rel=1e-9)


def test_measured_on_other_images_it_comes_near_the_exact_bound():
    rng = np.random.default_rng(5)
    x, others = 0.5 * rng.standard_normal((2, 200, 4))
    network = gaussian()
    exact = bound(network, x, 20, variance="analytic", statistics=known(0.25), levels=None)
    own = bound(network, x, 20, variance="analytic", statistics=measured(network, others, 20), levels=None)
    fresh = bound(network, x, 20, variance="analytic", levels=None)
    table = dtool.measure_variance(network, others, levels=200)
    file = bound(network, x, 20, variance="analytic", statistics=table, levels=None)
    for found in (own, fresh, file):
        assert found.nats == pytest.approx(exact.nats, abs=0.02)
    assert fresh.calls == 40
    assert own.calls == 20


def test_no_image_depends_on_its_company_and_the_seed_says_it_all():
    rng = np.random.default_rng(0)
    x = np.round(rng.uniform(0, 255, (70, 4))) / 127.5 - 1
    whole = bound(gaussian(), x, 6, variance="beta", seed=7)
    part = bound(gaussian(), x[60:65], 6, variance="beta", seed=7, ids=range(60, 65))
    assert np.array_equal(whole.each[:, 60:65], part.each)
    assert np.array_equal(whole.each, bound(gaussian(), x, 6, variance="beta", seed=7, batch_size=9).each)
    assert not np.array_equal(whole.each, bound(gaussian(), x, 6, variance="beta", seed=8).each)
    many = bound(gaussian(), x, 6, variance="beta", seed=7, repeats=20)
    assert abs(many.total - whole.total) < 5 * whole.se


def test_labels_reach_the_network():
    def fn(x, t, label):
        alpha, sigma = (v[:, None] for v in LINEAR.level(t))
        mean = np.array([-0.6, 0.6, 0.0])[label][:, None]
        return sigma * (x - alpha * mean) / (alpha**2 * 0.01 + sigma**2)

    network = dtool.network(fn, shape=(2,), classes=2)
    x = 0.6 + 0.1 * np.random.default_rng(0).standard_normal((30, 2))
    right, wrong, none = (
        bound(network, x, 20, variance="beta", labels=y, levels=None).total for y in (1, np.zeros(30, int), None)
    )
    assert right < none < wrong


@pytest.mark.filterwarnings("ignore:.*clamped")
@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_plan_names_its_levels_and_its_variance(schedule):
    x = 0.5 * np.random.default_rng(0).standard_normal((5, 4))
    network = gaussian()
    plan = dtool.plan(f"ddpm:sigma=beta@{schedule}/trailing", steps=9, network=network)
    found = bound(network, x, plan, levels=None)
    same = bound(network, x, 9, variance="beta", scheduler=schedule, spacing="trailing", levels=None)
    assert found.variance == "beta"
    assert np.array_equal(found.each, same.each)
    assert found.to_dict()["terms"][-1]["name"] == "L_0"
    assert bound(network, x, dtool.plan("ddpm", steps=3), levels=None).variance == "tilde"
    assert bound(network, x, dtool.plan("analytic-ddpm", steps=3), levels=None).variance == "analytic"
    assert bound(network, x, 3, levels=None).variance == "analytic"
    assert len(found.terms) == 10


def test_clipping_is_the_networks_habit_unless_said_otherwise():
    x = np.full((3, 4), 1.0)
    network = gaussian(4.0, clip=True)
    plain, clipped = (bound(gaussian(4.0), x, 9, variance="beta", clip=c).total for c in (False, True))
    assert bound(network, x, 9, variance="beta").total == clipped != plain
