import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dtool.errors import UsageError
from dtool.metrics.pool import typical_distance
from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair


def make_pair(n=900, m=1200, shift=0.0):
    random = np.random.default_rng(3)
    x, y = random.standard_normal((n, 5)) + shift, random.standard_normal((m, 5)) + shift
    return RowPair(RowBlocks([x]), RowBlocks([y])), x, y


def test_the_scale_is_that_of_the_reference_in_memory():
    pair, _, y = make_pair()
    assert pair.scale == typical_distance(y)


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_distances_are_exact_far_from_zero_too(shift):
    pair, x, y = make_pair(shift=shift)
    np.testing.assert_allclose(pair.square_distances(x[:7], y[:9]), cdist(x[:7], y[:9]) ** 2, rtol=1e-9)
    assert (np.diag(pair.square_distances(x[:7], x[:7])) == 0).all()


def test_what_is_computed_once_is_recalled():
    pair, *_ = make_pair()
    assert pair.recall("key", lambda: 1) == 1
    assert pair.recall("key", lambda: 2) == 1


def test_too_few_rows_and_other_features_are_refused():
    with pytest.raises(UsageError, match="700 samples are too few to be compared block by block"):
        make_pair(n=700)
    with pytest.raises(UsageError, match="different features"):
        RowPair(RowBlocks([np.zeros((800, 2))]), RowBlocks([np.zeros((800, 3))]))
