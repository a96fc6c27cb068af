"""Wilson's interval against SciPy's, and Newcombe's against its paper."""

import numpy as np
import pytest
from scipy import stats

from dtool.measure.share import paired_share_interval, wilson_interval


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (18, 20), (500, 1000), (20, 20)])
def test_wilsons_interval_is_scipys(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("table", "interval"), [((36, 12, 2, 0), (0.0569, 0.3404)), ((54, 0, 0, 0), None)])
def test_newcombes_interval_is_that_of_his_table(table, interval):
    """Statistics in Medicine 17:2635 (1998), table II, method 10; where all agree the width is that of two shares."""
    one = np.repeat([True, True, False, False], table)
    other = np.repeat([True, False, True, False], table)
    if interval is None:
        low = wilson_interval(1.0, table[0])[0]
        interval = (low - 1, 1 - low)
    assert paired_share_interval(one, other) == pytest.approx(interval, abs=5e-5)
    swapped = paired_share_interval(other, one)
    assert swapped == pytest.approx((-interval[1], -interval[0]), abs=5e-5)
