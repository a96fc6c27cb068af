import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from dtool.errors import UsageError
from dtool.metrics import resolve_metric
from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair
from dtool.metrics.stream_neighbours import count_in_balls, find_block_radii, find_radii, mean_interval
from tests.support.point_sets import draw_gaussians


@pytest.fixture(scope="module")
def sets():
    x, y = draw_gaussians(5, 850, 2330)  # more than one stripe
    return x * 1.2, y


@pytest.fixture(scope="module")
def pair(sets):
    return RowPair(*(RowBlocks([rows]) for rows in sets))


def test_radii_are_those_of_scikit_learn(pair, sets):
    wanted = NearestNeighbors(n_neighbors=6).fit(sets[1]).kneighbors(sets[1])[0][:, 5] ** 2
    np.testing.assert_allclose(find_radii(pair, "reference", 5), wanted, rtol=1e-10)


def test_the_border_belongs_to_a_ball(pair):
    radii = find_radii(pair, "reference", 3)
    counts = count_in_balls(pair, "reference", radii, "reference")
    assert (counts.of_balls == 4).all()  # the centre, and the three nearest, of which the last is on the border
    assert counts.of_points.sum() == counts.of_balls.sum()


@pytest.mark.parametrize("name", ["density", "precision", "recall", "coverage"])
@pytest.mark.parametrize("k", [1, 5])
def test_the_value_is_that_of_all_rows_at_once(pair, sets, name, k):
    metric = resolve_metric(name, k=k)
    figure = metric.evaluate_pair(pair)
    assert figure.value == pytest.approx(metric(*sets), rel=1e-12)
    assert figure.low < figure.value < figure.high


def test_a_block_alone_has_the_bits_that_it_has_among_all(pair):
    whole = find_radii(pair, "reference", 5)
    assert np.array_equal(find_block_radii(pair, 7, "reference", 5), whole[700:800])


def test_repeated_rows_are_at_no_distance():
    rows = np.repeat(np.random.default_rng(0).standard_normal((100, 3)), 8, axis=0) + 100
    pair = RowPair(RowBlocks([rows]), RowBlocks([rows]))
    assert (find_radii(pair, "samples", 7) == 0).all()
    assert (find_radii(pair, "samples", 8) > 0).all()


def test_intervals_of_shares_hold_them_in_nineteen_of_twenty():
    random = np.random.default_rng(1)
    hits = [(random.random(2000) < 0.7).astype(float) for _ in range(200)]
    held = [low <= 0.7 <= high for low, high in (mean_interval(h, 0, share=True) for h in hits)]
    assert 0.9 <= np.mean(held) <= 1


def test_too_large_a_k_is_refused(pair):
    with pytest.raises(UsageError, match="850 images have no 850 nearest neighbours"):
        find_radii(pair, "samples", 850)
