"""The sub-variance-preserving SDE."""

import pytest

from dtool.schedulers import get_scheduler


def test_sub_vp_has_the_mean_of_vp():
    own, vp = get_scheduler("sub-vp"), get_scheduler("vp")
    assert (own.alpha == vp.alpha).all()
    assert own.sigma == pytest.approx(vp.sigma**2, rel=1e-12)
