"""k-diffusion's grids, against our spacings with its ends."""

import pytest

from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.parity.k_diffusion_side import sampling


def test_ends_of_their_own():
    """Its grids have ends of their own, and a zero appended."""
    table = get_scheduler("edm")
    for token, make in (
        ("karras:sigma_min=0.03,sigma_max=15,rho=5", lambda: sampling().get_sigmas_karras(12, 0.03, 15, 5.0)),
        ("exponential:sigma_min=0.03,sigma_max=15", lambda: sampling().get_sigmas_exponential(12, 0.03, 15)),
        (
            "polyexponential:sigma_min=0.03,sigma_max=15,rho=2",
            lambda: sampling().get_sigmas_polyexponential(12, 0.03, 15, 2.0),
        ),
    ):
        assert [p.v for p in grid(table, get_spacing(token), 12)] == pytest.approx(make().tolist(), rel=1e-5, abs=1e-12)
