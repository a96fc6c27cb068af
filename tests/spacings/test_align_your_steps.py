"""The published tables of AYS."""

import pytest

from dtool.schedulers import get_scheduler
from tests.support.spacings import LATENT, levels


def test_align_your_steps():
    found = levels("ays", LATENT, 10)
    assert found[[0, 1, 9, 10]] == pytest.approx([14.6146412293, 6.4745760956, 0.1515232662, 0], rel=1e-6)
    twice = levels("ays:table=sdxl", LATENT, 20)
    assert twice[[0, 2, 18]] == pytest.approx([14.6146412293, 6.3184485287, 0.1114188177], rel=1e-6)
    assert twice[1] == pytest.approx((14.6146412293 * 6.3184485287) ** 0.5, rel=1e-6)
    assert levels("ays:table=svd", get_scheduler("edm:sigma_max=700"), 10)[:3] == pytest.approx(
        [700, 54.5, 15.886], rel=1e-6
    )
    assert levels("ays:end=sigma_min", LATENT, 10)[-1] == pytest.approx(0.0291671582, rel=1e-4)


@pytest.mark.parametrize(
    ("table", "name"),
    [("sd1", "StableDiffusionSigmas"), ("sdxl", "StableDiffusionXLSigmas"), ("svd", "StableDiffusionVideoSigmas")],
)
def test_every_level_is_the_published_one(table, name):
    """Against the tables of diffusers, which are rounded."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    published = schedulers.AysSchedules[name]
    whole = get_scheduler("edm:sigma_max=700")
    assert levels(f"ays:table={table}", whole, 10)[:10] == pytest.approx(published[:10], rel=0.016)
