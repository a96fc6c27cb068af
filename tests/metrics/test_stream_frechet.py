import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.metrics import resolve_metric
from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair
from dtool.metrics.stream_frechet import GROUPS, measure_groups, stream_frechet


@pytest.fixture(scope="module")
def sets():
    random = np.random.default_rng(8)
    x = random.standard_normal((1250, 9)) * 1.2 + 0.3
    return x, random.standard_normal((2010, 9)) @ np.diag(np.arange(1, 10.0))


def pair_of(rows):
    return RowPair(rows, rows)


@pytest.fixture(scope="module")
def pair(sets):
    return RowPair(*(RowBlocks([rows]) for rows in sets))


@pytest.mark.parametrize("extrapolate", [True, False])
def test_the_value_is_that_of_all_rows_at_once(pair, sets, extrapolate):
    metric = resolve_metric("fd", extrapolate=extrapolate)
    figure = metric.evaluate_pair(pair)
    assert figure.value == pytest.approx(metric(*sets), rel=1e-12)
    assert figure.low < figure.value < figure.high


def test_groups_are_merged_in_id_order_whatever_the_pieces(sets):
    whole = measure_groups(pair_of(RowBlocks([sets[0]])), "samples")
    cut = measure_groups(pair_of(RowBlocks(sets[0][i : i + 7] for i in range(0, 1250, 7))), "samples")
    assert len(whole) == len(cut) == 13
    assert all(
        np.array_equal(a.mean, b.mean) and np.array_equal(a.scatter, b.scatter) for a, b in zip(whole, cut, strict=True)
    )
    assert len(measure_groups(pair_of(RowBlocks([sets[0]] * 4)), "samples")) == GROUPS


def test_an_interval_of_equal_laws_reaches_to_the_bias():
    random = np.random.default_rng(0)
    rows = [RowBlocks([random.standard_normal((3000, 4))]) for _ in range(2)]
    figure = stream_frechet(RowPair(*rows), [1])
    assert 0 < figure.value < 0.02
    assert figure.high - figure.low < 0.05


def test_too_few_images_for_a_line_are_refused():
    rows = RowBlocks([np.random.default_rng(0).standard_normal((800, 250))])
    with pytest.raises(UsageError, match="800 images are too few to extrapolate the Fréchet distance of 250 features"):
        resolve_metric("fd").evaluate_pair(RowPair(rows, rows))
