"""Places between a spacing's ends, and noise levels looked up on a schedule."""

import pytest

from dtool.spacings import get_spacing
from tests.support.spacings import LATENT, LINEAR, levels


def test_levels_one_by_one():
    assert levels("list:times=14.6;3;0.5,unit=v", LATENT, 3) == pytest.approx([14.6, 3, 0.5, 0], rel=1e-9)
    assert get_spacing('list:times="999,2.5"')(LINEAR, 2).tolist() == [999, 2.5]
