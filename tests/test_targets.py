"""Closed-form targets: networks against numerical derivatives, samples against moments, maps and distances."""

import numpy as np
import pytest
from scipy import special
from scipy.optimize import linear_sum_assignment

import dtool
from dtool.errors import UsageError
from dtool.plan import CLEAN, Point
from dtool.plugins.registry import registry
from dtool.schedulers import schedule
from dtool.targets import is_target, target, targets
from dtool.targets.bessel import bessel

SMALL = (
    "gaussian", "gaussian:d=3,mean=0.2,condition=20", "gmm:d=1,k=3", "gmm", "gmm:d=5,k=4", "two-diracs",
    "two-diracs:d=3,share=0.3", "sphere:d=2", "sphere:d=3,radius=0.7", "sphere:d=8", "digits-gmm",
    "digits-gmm:conditional=false",
)  # fmt: skip
LEVELS = (Point(0.95, 0.3), Point(0.6, 0.8), Point(0.05, 1.0), Point(1.0, 3.0), Point(0.3, 0.7), Point(0.0, 1.0))


def noisy(law, at, n, seed):
    """`n` exact draws of x at a level."""
    random = np.random.default_rng(seed)
    return at.alpha * law.sample(n, seed) + at.sigma * random.standard_normal((n, *law.shape))


@pytest.mark.parametrize("token", SMALL)
@pytest.mark.parametrize("at", LEVELS, ids=str)
def test_eps_is_the_score_of_the_density(token, at):
    law = target(token)
    x = noisy(law, at, 6, 1)
    way = np.random.default_rng(2).standard_normal(x.shape)
    h = 1e-4 * at.sigma

    def along(k):
        return law.log_density(x + k * h * way, at)

    slope = (8 * (along(1) - along(-1)) - (along(2) - along(-2))) / (12 * h)
    said = -(law.eps(x, at) * way).reshape(6, -1).sum(axis=1) / at.sigma
    np.testing.assert_allclose(said, slope, rtol=1e-6, atol=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("digit", [0, 7])
def test_a_class_is_a_law_of_its_own(digit):
    law = target("digits-gmm")
    at = Point(0.9, 0.4)
    x = noisy(law, at, 5, 3)
    way = np.random.default_rng(4).standard_normal(x.shape)
    label = np.full(5, digit)
    h = 1e-5
    slope = (law.log_density(x + h * way, at, label) - law.log_density(x - h * way, at, label)) / (2 * h)
    np.testing.assert_allclose(
        -(law.eps(x, at, label) * way).reshape(5, -1).sum(axis=1) / at.sigma, slope, rtol=1e-5, atol=1e-4
    )
    none = np.full(5, law.classes)
    np.testing.assert_array_equal(law.eps(x, at, none), law.eps(x, at))
    own, others = law.sample(50, 0, labels=digit), law.sample(50, 0, labels=(digit + 1) % 10)
    assert (law.log_density(own, label=digit) > law.log_density(own, label=(digit + 1) % 10)).mean() > 0.95
    assert (law.log_density(others, label=digit) < law.log_density(others, label=(digit + 1) % 10)).mean() > 0.95


def test_the_law_is_the_mean_of_its_classes():
    law = target("digits-gmm")
    x = law.sample(20, 5)
    parts = np.array([law.log_density(x, label=digit) for digit in range(10)])
    shares = np.array([law.weights[law.of_class == digit].sum() for digit in range(10)])
    np.testing.assert_allclose(special.logsumexp(parts, axis=0, b=shares[:, None]), law.log_density(x), rtol=1e-10)


@pytest.mark.parametrize("token", SMALL)
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


@pytest.mark.parametrize("token", SMALL)
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


@pytest.mark.parametrize("name", [entry.name for entry in registry().schedulers if entry.name != "betas"])
@pytest.mark.parametrize("token", ["gmm:d=3", "two-diracs:d=2", "sphere:d=3", "digits-gmm", "gaussian:condition=1"])
def test_every_schedule_is_finite_and_every_prediction_is_the_same_network(token, name):
    levels = schedule(name)
    law = target(token)
    t = np.array([0, 0.25, 1, levels.T // 2, levels.T - 1.5, levels.T - 1])
    alpha, sigma = levels.level(t)
    wide = (-1, *[1] * len(law.shape))
    z = np.random.default_rng(0).standard_normal((6, *law.shape))
    x = alpha.reshape(wide) * law.sample(6, 1) + sigma.reshape(wide) * z
    label = (np.arange(6) % 11,) if law.classes else ()
    said = {p: law.network(levels, p).predict(x, t, *label) for p in ("eps", "x0", "v", "flow")}
    assert all(np.isfinite(part).all() for part in said.values())
    rebuilt = alpha.reshape(wide) * said["x0"] + sigma.reshape(wide) * said["eps"]
    np.testing.assert_allclose(rebuilt, x, rtol=1e-9, atol=1e-9 * np.abs(x).max())
    np.testing.assert_allclose(said["flow"], said["eps"] - said["x0"], atol=1e-12)
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
    x = noisy(law, far, 4000, 0)
    whole = law.exact_map(x, far)
    np.testing.assert_allclose(law.exact_map(law.exact_map(x, far, near), near), whole, atol=1e-8)
    found = law.w2(whole)
    assert found.value < 2.5 * found.floor


def test_a_target_without_a_map_says_so():
    for token in ("gmm:d=2", "digits-gmm"):
        with pytest.raises(UsageError, match="no closed form"):
            target(token).exact_map(target(token).sample(2), schedule("linear"))
    with pytest.raises(UsageError, match="no density without noise"):
        target("two-diracs").log_density(np.zeros((1, 1)))


@pytest.mark.parametrize("token", ["gmm:d=1,k=3", "gaussian:mean=0.1"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w2_on_a_line_is_the_integral_of_quantiles(token, seed):
    law = target(token)
    x = np.random.default_rng(seed).uniform(-1, 1, (7, 1))
    line, ordered = law.projected(np.ones(1)), np.sort(x[:, 0])
    u = (np.arange(28000) + 0.5) / 28000
    parts = (np.repeat(ordered, 4000) - line.quantile(u)) ** 2
    found = law.w2(x)
    assert found.exact
    assert found.value == pytest.approx(np.sqrt(parts.mean()), rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w2_to_two_points_is_the_best_assignment(seed):
    law = target("two-diracs:d=3,share=0.25")
    x = np.random.default_rng(seed).standard_normal((16, 3))
    points = np.repeat(law.means, [12, 4], axis=0)
    cost = ((x[:, None] - points) ** 2).sum(axis=-1)
    best = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    assert law.w2(x).value == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("token", ["gaussian:d=4,condition=7", "gmm:d=3", "sphere:d=2", "sphere:d=5", "digits-gmm"])
def test_w2_knows_a_shift_and_never_exceeds_it(token):
    law = target(token)
    x = law.sample(600, 7)
    shift = np.full(law.shape, 0.3)
    found, moved = law.w2(x), law.w2(x + shift)
    assert not found.exact
    assert found.value < 2.5 * found.floor
    assert found.floor < moved.value < np.linalg.norm(shift) + found.floor
    if token.startswith("gaussian"):
        assert moved.value == pytest.approx(np.linalg.norm(shift), rel=0.1)


@pytest.mark.parametrize("order", [-0.5, 0, 0.5, 1, 7, 31, 63])
def test_bessel_against_scipy(order):
    k = np.logspace(-3, 8, 80)
    ratio, logarithm = bessel(order, k)
    with np.errstate(all="ignore"):
        wanted = special.ive(order + 1, k) / special.ive(order, k) / k
        log_wanted = special.gammaln(order + 1) + order * np.log(2 / k) + np.log(special.ive(order, k))
    good = np.isfinite(log_wanted) & (wanted > 0) & np.isfinite(wanted)
    assert good.sum() > 40
    np.testing.assert_allclose(ratio[good], wanted[good], rtol=1e-9)
    np.testing.assert_allclose(logarithm[good], log_wanted[good], atol=1e-8)
    assert bessel(order, 0.0)[0] == pytest.approx(1 / (2 * (order + 1)), rel=1e-10)


def test_the_catalogue():
    names = [maker.name for maker in targets()]
    assert names == ["gaussian", "gmm", "two-diracs", "sphere", "digits-gmm"]
    assert all(maker.summary.endswith(".") for maker in targets())
    assert all(is_target(name) and is_target(f"{name}:d=2") for name in names)
    assert not is_target("model.pt")
    assert not is_target("gauss")
    for token in SMALL:
        assert target(target(token).token).token == target(token).token
    assert target("gmm:d=64").shape == (64,)
    with pytest.raises(UsageError, match="there is no target 'gausian'") as error:
        target("gausian")
    assert "gaussian" in error.value.hint
    for wrong in ("gmm:d=0", "gmm:q=1", "sphere:d=1", "gaussian:condition=2", "two-diracs:share=1"):
        with pytest.raises(UsageError):
            target(wrong)


def test_an_image_is_the_same_in_any_company():
    net = target("digits-gmm").network()
    many = dtool.sample(net, "ddim", steps=5, n=70)
    few = dtool.sample(net, "ddim", steps=5, ids=[69, 3], labels=[9, 3])
    np.testing.assert_array_equal(few.x0, many.x0[[69, 3]])


def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    net = target("gmm").network()
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    made = dtool.sample(net, "ddim", steps=4, x=x).x0
    assert made.dtype == torch.float64
    np.testing.assert_array_equal(made.numpy(), dtool.sample(net, "ddim", steps=4, x=x.numpy()).x0)


@pytest.mark.parametrize("token", ["gmm:d=2", "two-diracs", "digits-gmm", "sphere:d=3"])
def test_the_spread_of_w2_is_that_of_other_draws(token):
    law = target(token)
    found = [law.w2(1.1 * law.sample(100, seed)) for seed in range(12)]
    spread = np.std([one.value for one in found], ddof=1)
    assert 0.4 < np.median([one.sd for one in found]) / spread < 2.5
    assert found[0].floor_sd == found[1].floor_sd > 0
