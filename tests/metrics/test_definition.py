"""What every metric does: its engine, its texts, what it refuses; and a stranger's metric."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from dtool.errors import UsageError
from dtool.metrics import Metric, evaluate, list_metrics, metric, resolve_metric
from dtool.metrics.definition import make_loop_engine
from dtool.metrics.pool import Pool
from dtool.plugins.registry import get_registry
from tests.support.point_sets import u_statistic_by_definition


@metric("spread", "spread of values", better="lower", minimum=3)
def spread_gap(samples, reference, *, power: float = 1.0):
    """A stranger's metric: the gap between standard deviations."""
    return abs(samples.std() ** power - reference.std() ** power)


def test_a_strangers_function_gets_it_all():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((60, 5)) * 1.5, random.standard_normal((80, 5))
    figure = evaluate(spread_gap.bind(power=2.0), x, y, resamples=50, splits=30)
    assert figure.n == figure.m == 40
    assert figure.z > 5
    assert figure.low < figure.value < figure.high
    with pytest.raises(UsageError, match="spread needs 3 samples or more, and has 2"):
        spread_gap(x[:2], y)
    with pytest.raises(UsageError, match="has no option 'k'"):
        spread_gap.bind(k=3)


@pytest.mark.parametrize("entry", list(get_registry().metrics), ids=lambda entry: entry.name)
def test_every_metric_documents_itself(entry):
    metric = entry.load()
    assert isinstance(metric, Metric)
    assert metric.doc
    assert metric.title
    assert all(field.description for field in metric.model.model_fields.values())
    for name in (entry.name, *entry.aliases):
        assert get_registry().metrics.get(name) is metric


EVERY = [metric.token for metric in list_metrics()]


@pytest.mark.parametrize("name", EVERY)
def test_the_engine_is_the_function(name):
    """What `evaluate` computes on masks of a pool is the metric of those rows; with few points kept, too."""
    metric = resolve_metric(name) if name != "fd" else resolve_metric("fd", extrapolate=False)
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

        def kernel(u, v):
            return np.mean([rbf_kernel(u, v, 0.5 / (w * 1.7) ** 2) for w in (0.5, 1, 2)], axis=0)

        x = [u_statistic_by_definition(kernel, points[i], points[j]) for i, j in zip(a, b, strict=True)]
    else:
        x = make_loop_engine(pool, metric)(a, b)
    assert got == pytest.approx(x, rel=1e-9, abs=1e-12)
    assert metric.with_engine(pool)(a, b[:1]) == pytest.approx(metric.with_engine(pool)(a, np.repeat(b[:1], 3, 0)))


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
            resolve_metric(name)(x, y)
        assert error.value.hint
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "agreement"])
def test_one_image_is_too_few_and_constant_ones_are_defined_or_refused(name):
    good, same = np.random.default_rng(0).standard_normal((30, 3)), np.ones((30, 3))
    with pytest.raises(UsageError):
        resolve_metric(name)(good[:1], good)
    with pytest.raises(UsageError):
        resolve_metric(name)(good, good[:1])
    assert np.isfinite(resolve_metric(name)(same, good))
    if name == "mmd":
        with pytest.raises(UsageError, match="all the same"):
            resolve_metric(name)(same, same)
    else:
        perfect = {"density": 6, "precision": 1, "recall": 1, "coverage": 1}.get(name, 0)
        assert resolve_metric(name)(same, same) == pytest.approx(perfect, abs=1e-9)
