"""What is said about a metric: intervals, the null, p-values, whether two recipes differ. Rates over 200 runs."""

import numpy as np
import pytest
from scipy import stats

from dtool.errors import UsageError
from dtool.metrics import Reference, available, differs, evaluate, evaluate_all, named
from dtool.metrics.agreement import wilson

RUNS, SPREAD = 200, np.array([1.0, 2.0, 0.5])
QUICK = {"resamples": 40, "permutations": 59}


def draw(seed, *counts):
    random = np.random.default_rng([seed, 11])
    return [random.standard_normal((count, 3)) * SPREAD for count in counts]


def within(rate, wanted, runs=RUNS):
    """Whether a rate is one that chance gives to what happens with probability `wanted`, but for one time in 1000."""
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, wanted) / runs
    return low <= rate <= high


@pytest.fixture(scope="module")
def null_runs():
    """200 evaluations of samples of the reference's own law."""
    found = []
    for seed in range(RUNS):
        x, y = draw(seed, 40, 60)
        found.append({n: evaluate(n, x, y, splits=40, seed=seed, **QUICK) for n in ("mmd", "energy", "density")})
    return found


@pytest.mark.parametrize("name", ["mmd", "energy"])
def test_p_is_right_under_the_null(null_runs, name):
    p = np.array([run[name].p for run in null_runs])
    assert within((p <= 0.05).mean(), 0.05)
    assert within((p <= 0.5).mean(), 0.5)


@pytest.mark.parametrize("name", ["mmd", "energy", "density"])
def test_z_is_about_standard_under_the_null(null_runs, name):
    z = np.array([run[name].z for run in null_runs])
    assert abs(z.mean()) < 4 * z.std() / np.sqrt(RUNS) + 0.1
    assert 0.8 < z.std() < 1.5, "skewed, and from a null of 40 splits of a small reference"
    assert (abs(z) > 2).mean() < 0.12


@pytest.mark.parametrize(("name", "truth"), [("mmd", 0), ("energy", 0), ("density", 1)])
def test_the_interval_holds_the_truth(null_runs, name, truth):
    held = np.mean([run[name].low <= truth <= run[name].high for run in null_runs])
    assert held >= stats.binom.ppf(0.001, RUNS, 0.95) / RUNS


def test_the_interval_is_as_wide_as_it_says_where_laws_differ():
    """Away from the null the U-statistics are nearly normal, and 95% is 95%."""
    values = []
    for seed in range(RUNS):
        x, y = draw(seed, 60, 80)
        found = evaluate("energy", x + 1, y, splits=2, resamples=100, permutations=2)
        values.append((found.value, found.low, found.high))
    value, low, high = np.array(values).T
    truth = value.mean()  # unbiased
    assert within(((low <= truth) & (truth <= high)).mean(), 0.95)
    assert (high - low).mean() / 3.92 == pytest.approx(value.std(), rel=0.2)


@pytest.mark.parametrize("shift", [0.0, 0.7], ids=["of the data's law", "off it alike"])
def test_two_recipes_of_one_law_do_not_differ(shift):
    p = []
    for seed in range(RUNS):
        a, b, y = draw(seed, 40, 40, 60)
        p.append(differs("mmd", a + shift, b + shift, y, seed=seed, resamples=2, permutations=59).p)
    assert within((np.array(p) <= 0.05).mean(), 0.05)


@pytest.mark.parametrize("name", ["mmd", "energy", "sliced-w2:projections=40", "fd:extrapolate=false"])
def test_a_slightly_worse_recipe_is_found(name):
    """The same samples, a little wider and off the middle: paired, 150 are enough to see it, and which is worse."""
    found = []
    for seed in range(6):
        a, y = draw(seed, 150, 200)
        found.append(differs(name, a, 1.1 * a + 0.3 * SPREAD, y, seed=seed, resamples=40, permutations=59))
    assert np.median([d.p for d in found]) <= 0.05
    sign = 1 if named(name).better == "higher" else -1
    assert np.mean([sign * d.value > 0 for d in found]) >= 0.75
    assert all(d.low <= d.value <= d.high and d.value == pytest.approx(d.a - d.b) for d in found)


@pytest.mark.parametrize("name", [m.token for m in available() if m.features in ("pixels", "pooled")])
def test_a_recipe_does_not_differ_from_itself(name):
    a, y = draw(0, 120, 150)
    found = differs(name, a, a.copy(), y, **QUICK)
    assert (found.value, found.p) == (0, 1)
    assert found.low == pytest.approx(0, abs=1e-9)
    assert found.high == pytest.approx(0, abs=1e-9)


def test_a_plain_null_does_not_depend_on_n():
    """MMD's null is found at half the reference's size, and then made that of n and m."""
    sds = []
    for seed in range(120):
        x, y = draw(seed, 100, 60)
        sds.append(named("mmd")(x, y))
    y = draw(999, 60)[0]
    nulls = [Reference(draw(s, 60)[0]).null(named("mmd"), 100, 60) for s in range(12)]
    assert np.mean([n.sd for n in nulls]) == pytest.approx(np.std(sds), rel=0.35)
    assert Reference(y).null(named("mmd"), 10, 60).sd > Reference(y).null(named("mmd"), 100, 60).sd


def test_noise_and_lost_modes_are_told_apart():
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [6, 0], [0, 6], [6, 6]])
    y = centres[random.integers(4, size=400)] + random.standard_normal((400, 2))
    lost = centres[random.integers(2, size=400)] + random.standard_normal((400, 2))
    noisy = centres[random.integers(4, size=400)] + 3 * random.standard_normal((400, 2))
    reference = Reference(y)
    of_lost, of_noisy = (
        evaluate_all(x, reference, ["precision", "density", "recall", "coverage"]) for x in (lost, noisy)
    )
    assert of_lost["coverage"].z < -5
    assert of_lost["recall"].z < -5
    assert abs(of_lost["precision"].z) < 3
    assert of_noisy["density"].z < -5
    assert of_noisy["precision"].z < -5


def test_agreement_is_a_share_with_wilsons_interval():
    images, asked = np.arange(20.0)[:, None], np.arange(20) // 10
    reference = Reference(images, asked, classifier=lambda x: (x[:, 0] >= 8).astype(int))
    found = evaluate("agreement", images, reference, labels=asked)
    assert found.value == 0.9
    assert (found.low, found.high) == pytest.approx(stats.binomtest(18, 20).proportion_ci(method="wilson"))
    assert found.null_mean == 0.9
    assert found.null_sd == pytest.approx(np.sqrt(0.09 * 2 / 20))
    scores = Reference(images, classifier=lambda x: np.eye(2)[(x[:, 0] >= 10).astype(int)])
    perfect = evaluate("agreement", images, scores, labels=asked)
    assert (perfect.value, perfect.high, perfect.z) == (1, 1, None)
    assert perfect.low == pytest.approx(wilson(1.0, 20)[0])
    assert perfect.low < 0.9
    worse = differs("agreement", images, images[::-1], scores, labels=asked)
    assert worse.value == 1
    assert worse.p < 0.01


def test_all_at_once_skips_what_cannot_be_had():
    x, y = draw(0, 40, 60)
    found = evaluate_all(x, y, **QUICK, splits=10)
    assert set(found) == {"mmd", "fd", "density", "precision", "recall", "coverage", "sliced-w2", "energy"}
    assert set(found.skipped) == {"fd-features", "agreement"}
    again = evaluate_all(x, y, ["energy"], **QUICK, splits=10)
    assert again["energy"] == found["energy"] == evaluate("energy", x, y, **QUICK, splits=10)
    with pytest.raises(UsageError, match="needs features"):
        evaluate_all(x, y, ["fd-features"])


def test_features_of_a_network():
    x, y = draw(0, 40, 60)
    found = evaluate_all(x, y, features=lambda images: images[:, :1] ** 2, names=["fd-features", "mmd:on=network"])
    assert found["mmd:on=network"].value == pytest.approx(named("mmd")(x[:, :1] ** 2, y[:, :1] ** 2))
    with pytest.raises(UsageError, match="one row an image"):
        evaluate("fd-features", x, y, features=lambda images: 3.0)
    with pytest.raises(UsageError, match="its own features"):
        evaluate("fd-features", x, Reference(y), features=lambda images: images)


def test_images_are_pooled_for_the_frechet_distance():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 300, 1, 16, 16))
    found = evaluate("fd:extrapolate=false", x, y, resamples=4, splits=4)
    cells = [v.reshape(300, 8, 2, 8, 2).mean(axis=(2, 4)).reshape(300, -1) for v in (x, y)]
    assert found.value == pytest.approx(named("fd:extrapolate=false")(*cells))
    assert evaluate("fd", x, y, resamples=4, splits=4).z is None, "half of 300 is too few to extrapolate 64 features"


@pytest.mark.parametrize("name", ["mmd", "energy", "density", "sliced-w2", "fd"])
def test_odd_counts_are_defined_or_refused(name):
    random = np.random.default_rng(0)
    y = random.standard_normal((60, 2))
    for n in (1, 2, 3, 7, 500):
        try:
            found = evaluate(name, random.standard_normal((n, 2)), y, **QUICK, splits=10)
        except UsageError as error:
            assert error.hint  # noqa: PT017
            assert n < 10
        else:
            assert np.isfinite([found.value, found.low, found.high]).all()
            assert found.low <= found.value <= found.high
            assert found.m <= 60


def test_constant_references_have_no_z():
    same = np.ones((40, 2))
    assert evaluate("energy", same, same, **QUICK).z is None
    with pytest.raises(UsageError, match="all the same"):
        evaluate("mmd", same, same)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((5, 1, 8, 8)), r"\(1, 8, 8\)"),
        (np.full((5, 2), np.nan), "5 of the samples hold NaN"),
        (np.zeros((0, 2)), "none"),
    ],
)
def test_errors_say_what_was_given(samples, message):
    with pytest.raises(UsageError, match=message):
        evaluate("mmd", samples, np.random.default_rng(0).standard_normal((20, 2)))


def test_the_same_arguments_give_the_same_figure_and_change_nothing():
    x, y = draw(3, 40, 60)
    before = x.copy(), y.copy()
    one, other = (evaluate("mmd", x, y, **QUICK, splits=10, seed=7) for _ in range(2))
    assert one == other
    assert (x == before[0]).all()
    assert (y == before[1]).all()
