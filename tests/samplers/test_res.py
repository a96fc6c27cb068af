"""RES, multistep: its ancestral step."""

from __future__ import annotations

from math import sqrt

import pytest

from dtool.certify.grids import point_at_lam
from tests.support.multistep import rows_on


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ancestral_res_steps_further_down_and_back_up(eta):
    now, to = point_at_lam(0.2), point_at_lam(1.1)
    made = rows_on(f"res-multistep:eta={eta}", (now, to))
    up = min(to.v, eta * to.v * sqrt(1 - (to.v / now.v) ** 2))
    assert made.c[0] == pytest.approx(to.alpha * up, rel=1e-12)
    assert made.a[0] == pytest.approx(to.alpha / now.alpha * sqrt(to.v**2 - up**2) / now.v, rel=1e-12)
