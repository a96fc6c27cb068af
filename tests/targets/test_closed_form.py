"""Targets: networks against numerical derivatives, samples against moments, exact maps."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.plan import CLEAN, Point
from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler
from dtool.targets import target
from tests.support.target_draws import SMALL_TARGETS, draw_noisy

LEVELS = (Point(0.95, 0.3), Point(0.6, 0.8), Point(0.05, 1.0), Point(1.0, 3.0), Point(0.3, 0.7), Point(0.0, 1.0))


@pytest.mark.parametrize("token", SMALL_TARGETS)
@pytest.mark.parametrize("at", LEVELS, ids=str)
def test_eps_is_the_score_of_the_density(token, at):
    law = target(token)
    x = draw_noisy(law, at, 6, 1)
    way = np.random.default_rng(2).standard_normal(x.shape)
    h = 1e-4 * at.sigma

    def along(k):
        return law.log_density(x + k * h * way, at)

    slope = (8 * (along(1) - along(-1)) - (along(2) - along(-2))) / (12 * h)
    slope_by_eps = -(law.eps(x, at) * way).reshape(6, -1).sum(axis=1) / at.sigma
    np.testing.assert_allclose(slope_by_eps, slope, rtol=1e-6, atol=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("token", SMALL_TARGETS)
@pytest.mark.parametrize("seed", [0, 1])
def test_samples_have_the_moments(token, seed):
    law, n = target(token), 20000
    x = law.sample(n, seed).reshape(n, -1)
    off = x - law.mean
    scale = np.sqrt(np.diag(law.covariance))
    assert (np.abs(off.mean(axis=0)) < 5 * scale / np.sqrt(n)).all()
    second = off.T @ off / n
    spread = np.sqrt(((off[:, :, None] * off[:, None, :]) ** 2).mean(axis=0) / n) if x.shape[1] < 10 else 0.03
    assert (np.abs(second - law.covariance) < 6 * spread + 1e-12).all()
    np.testing.assert_array_equal(law.sample(5, seed), law.sample(5, seed))


@pytest.mark.parametrize("token", ["gaussian:d=2,condition=5", "gmm:d=2,k=3", "two-diracs:d=2", "sphere:d=2"])
def test_the_density_is_one_and_has_the_marginals_moments(token):
    law, at = target(token), Point(0.8, 0.45)
    side = np.linspace(-4, 4, 321)
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    p = np.exp(law.log_density(x, at)) * (side[1] - side[0]) ** 2
    assert p.sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(p @ x, at.alpha * law.mean, atol=1e-9)
    second = (p[:, None] * x).T @ x - at.alpha**2 * np.outer(law.mean, law.mean)
    np.testing.assert_allclose(second, at.alpha**2 * law.covariance + at.sigma**2 * np.eye(2), atol=1e-8)


@pytest.mark.parametrize("token", SMALL_TARGETS)
def test_the_ends_are_finite(token):
    law = target(token)
    x = law.sample(4, 0)
    for at in (CLEAN, Point(0.0, 1.0), Point(1.0, 1e-8), Point(1.0, 1e3), Point(0.0, 80.0)):
        for values in (x, at.sigma * np.ones_like(x), np.zeros_like(x), x.astype(np.float32)):
            assert np.isfinite(law.x0(values, at)).all()
            assert np.isfinite(law.eps(values, at)).all()
    np.testing.assert_allclose(law.x0(x, CLEAN), x, atol=1e-12)
    np.testing.assert_array_equal(law.eps(x, CLEAN), 0)
    np.testing.assert_allclose(law.x0(x, Point(0.0, 1.0)).reshape(4, -1), np.tile(law.mean, (4, 1)), atol=1e-12)


@pytest.mark.parametrize("name", [entry.name for entry in get_registry().schedulers if entry.name != "betas"])
@pytest.mark.parametrize("token", ["gmm:d=3", "two-diracs:d=2", "sphere:d=3", "digits-gmm", "gaussian:condition=1"])
def test_every_schedule_is_finite_and_every_prediction_is_the_same_network(token, name):
    levels = get_scheduler(name)
    law = target(token)
    t = np.array([0, 0.25, 1, levels.T // 2, levels.T - 1.5, levels.T - 1])
    alpha, sigma = levels.level(t)
    wide = (-1, *[1] * len(law.shape))
    z = np.random.default_rng(0).standard_normal((6, *law.shape))
    x = alpha.reshape(wide) * law.sample(6, 1) + sigma.reshape(wide) * z
    label = (np.arange(6) % 11,) if law.classes else ()
    outputs = {p: law.network(levels, p).predict(x, t, *label) for p in ("eps", "x0", "v", "flow")}
    assert all(np.isfinite(part).all() for part in outputs.values())
    rebuilt = alpha.reshape(wide) * outputs["x0"] + sigma.reshape(wide) * outputs["eps"]
    np.testing.assert_allclose(rebuilt, x, rtol=1e-9, atol=1e-9 * np.abs(x).max())
    np.testing.assert_allclose(outputs["flow"], outputs["eps"] - outputs["x0"], atol=1e-12)
    rough = law.network(levels, "x0").predict(x.astype(np.float32), t.astype(np.float32), *label)
    assert rough.dtype == np.float32
    assert np.isfinite(rough).all()


@pytest.mark.parametrize("levels", ["linear", "linear:zero_snr=true", "edm", "flow", "sub-vp", "trigflow"])
@pytest.mark.parametrize("token", ["gaussian:d=2,condition=4", "gmm:d=1", "two-diracs:d=2,share=0.7", "sphere:d=4"])
def test_sampling_ends_where_the_exact_map_says(token, levels):
    law = target(token)
    net = law.network(levels)
    start = Point(float(net.schedule.alpha[-1]), float(net.schedule.sigma[-1]))
    x = np.hypot(start.alpha, start.sigma) * np.random.default_rng(3).standard_normal((40, *law.shape))
    end = law.exact_map(x, net.schedule)
    errors = [np.sqrt(((dtool.sample(net, "dpmpp-2m/logsnr", steps=n, x=x).x0 - end) ** 2).mean()) for n in (40, 160)]
    assert errors[1] < max(errors[0] / 3, 2e-3)
    assert errors[1] < 2e-2


@pytest.mark.parametrize("token", ["gaussian:d=3,condition=9", "gmm:d=1,k=3", "two-diracs:share=0.2"])
def test_the_exact_map_composes_and_carries_the_law(token):
    law = target(token)
    far, near = Point(0.1, 0.995), Point(0.9, 0.5)
    x = draw_noisy(law, far, 4000, 0)
    whole = law.exact_map(x, far)
    np.testing.assert_allclose(law.exact_map(law.exact_map(x, far, near), near), whole, atol=1e-8)
    distance = law.w2(whole)
    assert distance.value < 2.5 * distance.floor


def test_a_target_without_a_map_says_so():
    for token in ("gmm:d=2", "digits-gmm"):
        with pytest.raises(UsageError, match="no closed form"):
            target(token).exact_map(target(token).sample(2), get_scheduler("linear"))
    with pytest.raises(UsageError, match="no density without noise"):
        target("two-diracs").log_density(np.zeros((1, 1)))


def test_an_image_is_the_same_in_any_company():
    net = target("digits-gmm").network()
    many = dtool.sample(net, "ddim", steps=5, n=70)
    few = dtool.sample(net, "ddim", steps=5, ids=[69, 3], labels=[9, 3])
    np.testing.assert_array_equal(few.x0, many.x0[[69, 3]])


def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    net = target("gmm").network()
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    images = dtool.sample(net, "ddim", steps=4, x=x).x0
    assert images.dtype == torch.float64
    np.testing.assert_array_equal(images.numpy(), dtool.sample(net, "ddim", steps=4, x=x.numpy()).x0)
