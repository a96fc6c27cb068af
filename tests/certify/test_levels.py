"""Schedules and spacings that are wrong on purpose."""

import numpy as np
import pytest

import dtool
from dtool.certify import levels
from dtool.certify.conformance import checks, run_check
from dtool.certify.rounding import rounding_loss
from dtool.errors import DtoolError, UsageError
from dtool.plan import Recipe
from dtool.samplers import get_sampler as named
from dtool.schedulers.schedule import Schedule, from_betas, from_lam
from dtool.schedulers.scheduler import scheduler
from dtool.spacings.spacing import spacing


@pytest.mark.parametrize("share", [1e-20, 1e-40, 3e-277])
def test_a_schedule_with_next_to_no_signal_fails(share):
    table = from_lam(np.linspace(5, np.log(share) / 2, 1000))
    found = levels.examine_samples("samples", table)
    assert found.status == "fail"
    assert f"ᾱ = {share:.2g} at its last level" in found.detail
    assert "zero_snr" in found.detail
    ends = {one.__name__: run_check(one) for one in checks(Recipe(named("ddim"), table)) if one.__name__ == "ends"}[
        "ends"
    ]
    assert ends.status == "fail"
    assert "rounding" in ends.detail


@pytest.mark.parametrize(
    ("share", "loss", "status"), [(1e-12, 0.125, "pass"), (1e-13, 0.5, "fail"), (1e-14, 2, "fail")]
)
def test_half_of_the_data_s_deviation_may_be_lost_to_rounding(share, loss, status):
    table = from_lam(np.linspace(5, np.log(share) / 2, 1000))
    assert rounding_loss(named("ddim"), table)[0] == pytest.approx(loss, rel=1e-3)
    assert levels.examine_samples("samples", table).status == status


def test_a_spacing_that_always_refuses_fails():
    @spacing("refuses")
    def refuses(schedule, n):
        raise UsageError("not today", "come tomorrow")

    assert levels.examine_steps("steps", refuses).status == "fail"
    assert levels.examine_steps("steps", dtool.get_spacing("list:times=999;0")).status == "skip"


def test_a_schedule_that_returns_no_schedule_is_refused():
    @scheduler("mine")
    def mine(*, T: int = 10):  # noqa: N803
        return list(from_betas(np.full(T, 0.1)).alpha)

    with pytest.raises(DtoolError, match="returned a list, not a Schedule"):
        mine()


def test_a_whole_time_that_is_not_the_table_s_entry_fails():
    class OffByABit(Schedule):
        def level(self, t):
            alpha, sigma = super().level(t)
            return np.nextafter(alpha, 2), sigma

    table = dtool.get_scheduler("cosine:T=50")
    assert levels.examine_inverse("inverse", table).status == "pass"
    off = levels.examine_inverse("inverse", OffByABit(table.alpha, table.sigma))
    assert off.status == "fail"
    assert "whole times are not the table's entries" in off.detail
