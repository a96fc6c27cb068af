"""The metrics' values: known answers, brute force, and other libraries where they have the same one."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel

from dtool.errors import UsageError
from dtool.metrics import available, named
from dtool.metrics.frechet import extrapolated, frechet, plain
from dtool.metrics.metric import each
from dtool.metrics.pool import KEPT, Pool, typical
from dtool.metrics.sliced import directions, sliced
from dtool.metrics.two_sample import cubic, pair, u_statistic

SEEDS = (0, 1, 2)
EVERY = [metric.token for metric in available()]


def sets(seed, n=40, m=55, d=4, shift=0.3):
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((d, d))
    return random.standard_normal((n, d)) @ mixed + shift, random.standard_normal((m, d)) @ mixed


def of_pairs(kernel, x, y):
    """The U-statistic, as its definition says it: distinct points alone."""
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = xy.shape
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_mmd_is_the_u_statistic_of_scikit_learns_kernel(seed):
    x, y = sets(seed)
    scale = np.median(cdist(y, y)[np.triu_indices(len(y), 1)])
    wanted = np.mean([of_pairs(lambda a, b, w=w: rbf_kernel(a, b, 0.5 / (w * scale) ** 2), x, y) for w in (0.5, 1, 2)])
    assert named("mmd")(x, y) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_is_the_u_statistic_of_distances(seed):
    x, y = sets(seed)
    assert named("energy")(x, y) == pytest.approx(of_pairs(lambda a, b: -cdist(a, b), x, y), abs=1e-10)
    x, y = x[:, :1], y[:, :1]
    biased = stats.energy_distance(x[:, 0], y[:, 0]) ** 2  # its pairs include each point with itself
    inner = (cdist(x, x).mean() / (len(x) - 1)) + (cdist(y, y).mean() / (len(y) - 1))
    assert named("energy")(x, y) == pytest.approx(biased - inner, abs=1e-10)


def test_unbiased_means_unbiased():
    """Tiny sets of known laws: of two Gaussians on a line, energy distance and MMD² have closed forms."""
    random, times, shift, n = np.random.default_rng(3), 3000, 0.8, 4
    values = np.array(
        [
            (named("energy")(random.standard_normal((n, 1)) + s, random.standard_normal((n, 1))))
            for s in (0.0, shift)
            for _ in range(times // 2)
        ]
    ).reshape(2, -1)

    def folded(mean):  # E|N(mean, 2)|
        return 2 * np.exp(-(mean**2) / 4) / np.sqrt(np.pi) + mean * (1 - 2 * stats.norm.cdf(-mean / np.sqrt(2)))

    for got, mean in zip(values, (0.0, shift), strict=True):
        wanted = 2 * folded(mean) - 2 * folded(0.0)
        assert abs(got.mean() - wanted) < 4 * got.std() / np.sqrt(got.size)
    got = []
    for _ in range(times // 2):
        x, y = random.standard_normal((n, 1)) + shift, random.standard_normal((n + 2, 1))
        pool, a, b = pair(x, y)
        pool.scale = 1.0
        got.append(named("mmd").with_engine(pool)(a, b)[0])

    def mean_kernel(apart, s):  # E exp(-(N(apart, 2))² / 2s²)
        return s / np.sqrt(s * s + 2) * np.exp(-(apart**2) / (2 * (s * s + 2)))

    wanted = np.mean([2 * mean_kernel(0, s) - 2 * mean_kernel(shift, s) for s in (0.5, 1, 2)])
    assert abs(np.mean(got) - wanted) < 4 * np.std(got) / np.sqrt(len(got))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_its_kin_are_what_the_papers_say(seed, k):
    x, y = sets(seed)
    real, mine, across = cdist(y, y), cdist(x, x), cdist(y, x)
    ball = np.sort(real, axis=1)[:, k]
    own = np.sort(mine, axis=1)[:, k]
    inside = across <= ball[:, None]
    wanted = {
        "precision": inside.any(axis=0).mean(),
        "density": inside.sum() / (k * len(x)),
        "coverage": inside.any(axis=1).mean(),
        "recall": (across <= own[None]).any(axis=1).mean(),
    }
    for name, value in wanted.items():
        assert named(name, k=k)(x, y) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 55), (7, 30)])
def test_sliced_w2_is_pots(seed, n, m):
    ot = pytest.importorskip("ot")
    x, y = sets(seed, n, m)
    wanted = ot.sliced_wasserstein_distance(x, y, projections=directions(4, 200))
    assert named("sliced-w2")(x, y) == pytest.approx(wanted, rel=1e-9)
    line = sliced(np.sort(x[:, :1], axis=0), np.sort(y[:, :1], axis=0))
    assert line == pytest.approx(np.sqrt(ot.wasserstein_1d(x[:, 0], y[:, 0], p=2)), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_frechet_is_the_distance_of_gaussians(seed):
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal((5, 5)) for _ in range(2))
    a, b, shift = a @ a.T, b @ b.T, random.standard_normal(5)
    roots = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    wanted = shift @ shift + np.trace(a) + np.trace(b) - 2 * roots
    assert frechet(shift, a, np.zeros(5), b) == pytest.approx(wanted, rel=1e-9)
    assert frechet(shift, a, shift, a) == pytest.approx(0, abs=1e-9)


def test_the_extrapolated_distance_does_not_depend_on_n():
    """The plain distance of n from one law is about b/n; what is extrapolated is 0 on average, and right elsewhere."""
    random, d = np.random.default_rng(0), 6
    for scale, wanted in ((1.0, 0.0), (1.3, d * 0.09)):
        got, rough = np.array(
            [
                (extrapolated(x, y), plain(x, y))
                for x, y in (
                    (scale * random.standard_normal((120, d)), random.standard_normal((150, d))) for _ in range(150)
                )
            ]
        ).T
        assert abs(got.mean() - wanted) < 4 * got.std() / np.sqrt(got.size) + 0.004
        assert rough.mean() - wanted > 5 * abs(got.mean() - wanted)


@pytest.mark.parametrize("name", EVERY)
def test_the_engine_is_the_function(name):
    """What `evaluate` computes on masks of a pool is the metric of those rows; with few points kept, too."""
    metric = named(name) if name != "fd" else named("fd", extrapolate=False)
    random = np.random.default_rng(5)
    points = random.standard_normal((90, 3))
    if name == "agreement":
        points = (points[:, :1] > 0).astype(float)
    a, b = np.zeros((2, 3, 90), dtype=bool)
    for row in range(3):
        order = random.permutation(90)
        a[row, order[:40]] = b[row, order[40 : 90 if row else 70]] = True
    pool = Pool(points, 1.7)
    got = metric.with_engine(pool)(a, b)
    if name == "mmd":  # whose bandwidth is the pool's, not that of the rows
        x = [of_pairs(lambda u, v: np.mean([rbf_kernel(u, v, 0.5 / (w * 1.7) ** 2) for w in (0.5, 1, 2)], axis=0),
                      points[i], points[j]) for i, j in zip(a, b, strict=True)]  # fmt: skip
    else:
        x = each(pool, metric)(a, b)
    assert got == pytest.approx(x, rel=1e-9, abs=1e-12)
    assert metric.with_engine(pool)(a, b[:1]) == pytest.approx(metric.with_engine(pool)(a, np.repeat(b[:1], 3, 0)))


def test_a_large_pool_is_worked_off_in_pieces(monkeypatch):
    x, y = sets(7, 300, 400)
    whole = {name: named(name)(x, y) for name in ("mmd", "energy", "density", "recall")}
    monkeypatch.setattr("dtool.metrics.pool.KEPT", 100)
    monkeypatch.setattr("dtool.metrics.pool.BLOCK", 5000)
    assert KEPT > 700
    assert {name: pytest.approx(named(name)(x, y), rel=1e-12) for name in whole} == whole


def test_the_polynomial_kernel_is_kids():
    x, y = sets(1)
    pool, a, b = pair(x, y)
    wanted = of_pairs(lambda u, v: (u @ v.T / 4 + 1) ** 3, x, y)
    assert u_statistic(pool, cubic(pool))(a, b)[0] == pytest.approx(wanted, rel=1e-10)


def test_equal_points_have_no_distance():
    random = np.random.default_rng(0)
    points = np.repeat(1000 + random.standard_normal((4, 300)), 3, axis=0)
    squares = Pool(points, 1.0).squared(np.arange(12))
    assert ((squares == 0) == (np.arange(12)[:, None] // 3 == np.arange(12) // 3)).all()
    assert typical(np.zeros((9, 2))) == 0
    assert typical(np.repeat([[0.0], [2.0]], [8, 2], axis=0)) == 2, "most are equal: the others count"


DEGENERATE = {
    "none": np.zeros((0, 3)),
    "NaN": np.where(np.eye(30, 3) > 0, np.nan, 1.0),
    "infinite": np.where(np.eye(30, 3) > 0, np.inf, 1.0),
    "text": np.full((30, 3), "a"),
    "other features": np.zeros((30, 4)),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", DEGENERATE)
def test_what_cannot_be_compared_is_refused(name, kind):
    good = np.random.default_rng(0).standard_normal((30, 3))
    for x, y in ((DEGENERATE[kind], good), (good, DEGENERATE[kind])):
        with pytest.raises(UsageError) as error:
            named(name)(x, y)
        assert error.value.hint
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "agreement"])
def test_one_image_is_too_few_and_constant_ones_are_defined_or_refused(name):
    good, same = np.random.default_rng(0).standard_normal((30, 3)), np.ones((30, 3))
    with pytest.raises(UsageError):
        named(name)(good[:1], good)
    with pytest.raises(UsageError):
        named(name)(good, good[:1])
    assert np.isfinite(named(name)(same, good))
    if name == "mmd":
        with pytest.raises(UsageError, match="all the same"):
            named(name)(same, same)
    else:
        perfect = {"density": 6, "precision": 1, "recall": 1, "coverage": 1}.get(name, 0)
        assert named(name)(same, same) == pytest.approx(perfect, abs=1e-9)
