"""D3PM's 1/(T-t+1): each step erases the same share."""

import pytest

from dtool.schedulers import get_scheduler


@pytest.mark.parametrize("total", [1, 2, 50, 1000])
def test_jsd_erases_the_same_share_each_time(total):
    table = get_scheduler("jsd", T=total)
    assert table.alpha_bar == pytest.approx([1 - (i + 1) / total for i in range(total)], rel=1e-9, abs=1e-14)
    assert table.alpha[-1] == 0
