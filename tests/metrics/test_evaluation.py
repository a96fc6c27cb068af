"""Intervals, nulls and p-values of metrics, by simulation."""

import numpy as np
import pytest
from scipy import stats

from dtool.errors import UsageError
from dtool.metrics import Reference, evaluate, evaluate_all, resolve_metric
from tests.support.point_sets import RUNS, draw_gaussians, is_within_chance


def test_tokens_are_read_and_written():
    assert resolve_metric("density:k=3").token == "density:k=3"
    assert resolve_metric("density:k=5").token == "density"
    assert resolve_metric("frechet:extrapolate=false").features == "pooled"
    with pytest.raises(UsageError, match="there is no metric 'fdd'"):
        resolve_metric("fdd")
    with pytest.raises(UsageError, match="weights"):
        resolve_metric("fid")


QUICK = {"resamples": 40, "permutations": 59}


@pytest.fixture(scope="module")
def null_runs():
    """200 evaluations of samples of the reference's own law."""
    runs = []
    for seed in range(RUNS):
        x, y = draw_gaussians(seed, 40, 60)
        runs.append({n: evaluate(n, x, y, splits=40, seed=seed, **QUICK) for n in ("mmd", "energy", "density")})
    return runs


@pytest.mark.parametrize("name", ["mmd", "energy"])
def test_p_is_right_under_the_null(null_runs, name):
    p = np.array([run[name].p for run in null_runs])
    assert is_within_chance((p <= 0.05).mean(), 0.05)
    assert is_within_chance((p <= 0.5).mean(), 0.5)


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
        x, y = draw_gaussians(seed, 60, 80)
        figure = evaluate("energy", x + 1, y, splits=2, resamples=100, permutations=2)
        values.append((figure.value, figure.low, figure.high))
    value, low, high = np.array(values).T
    truth = value.mean()  # unbiased
    assert is_within_chance(((low <= truth) & (truth <= high)).mean(), 0.95)
    assert (high - low).mean() / 3.92 == pytest.approx(value.std(), rel=0.2)


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


def test_all_at_once_skips_what_cannot_be_had():
    x, y = draw_gaussians(0, 40, 60)
    figures = evaluate_all(x, y, **QUICK, splits=10)
    assert set(figures) == {"mmd", "fd", "density", "precision", "recall", "coverage", "sliced-w2", "energy"}
    assert set(figures.skipped) == {"fd-features", "agreement"}
    again = evaluate_all(x, y, ["energy"], **QUICK, splits=10)
    assert again["energy"] == figures["energy"] == evaluate("energy", x, y, **QUICK, splits=10)
    with pytest.raises(UsageError, match="needs features"):
        evaluate_all(x, y, ["fd-features"])


@pytest.mark.parametrize("name", ["mmd", "energy", "density", "sliced-w2", "fd"])
def test_odd_counts_are_defined_or_refused(name):
    random = np.random.default_rng(0)
    y = random.standard_normal((60, 2))
    for n in (1, 2, 3, 7, 500):
        try:
            figure = evaluate(name, random.standard_normal((n, 2)), y, **QUICK, splits=10)
        except UsageError as error:
            assert error.hint  # noqa: PT017
            assert n < 10
        else:
            assert np.isfinite([figure.value, figure.low, figure.high]).all()
            assert figure.low <= figure.value <= figure.high
            assert figure.m <= 60


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((5, 1, 8, 8)), r"\(1, 8, 8\)"),
        (np.full((5, 2), np.nan), "5 of the samples hold NaN"),
        (np.zeros((0, 2)), "the samples are empty"),
    ],
)
def test_errors_say_what_was_given(samples, message):
    with pytest.raises(UsageError, match=message):
        evaluate("mmd", samples, np.random.default_rng(0).standard_normal((20, 2)))


def test_the_same_arguments_give_the_same_figure_and_change_nothing():
    x, y = draw_gaussians(3, 40, 60)
    before = x.copy(), y.copy()
    one, other = (evaluate("mmd", x, y, **QUICK, splits=10, seed=7) for _ in range(2))
    assert one == other
    assert (x == before[0]).all()
    assert (y == before[1]).all()


def test_p_counts_the_samples_themselves():
    """Of far too many metrics a p of 0 would be read: 1/(permutations + 1) is the least there is."""
    x, y = draw_gaussians(0, 20, 30)
    for name in ("mmd", "energy"):
        assert evaluate(name, x + 9, y, resamples=9, permutations=19, splits=9).p == pytest.approx(1 / 20)
