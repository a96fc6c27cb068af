"""The intervals that are tried."""

from __future__ import annotations

import pytest

import dtool
from dtool.compare.guidance_trials import list_intervals


@pytest.mark.parametrize(("recipe", "steps"), [("ddim", 20), ("heun", 10), ("ddim@linear:zero_snr=true", 12)])
def test_intervals_hold_a_fifth_and_two_fifths_of_the_levels_and_not_the_first(recipe, steps):
    plan = dtool.plan(recipe, steps=steps, prediction="v")
    intervals = list_intervals(plan)
    rows = [plan.lam[(plan.lam >= low) & (plan.lam <= high)] for low, high in intervals]
    levels = len(set(plan.lam.tolist()))
    counts = [len(set(one.tolist())) for one in rows]
    assert {round(count / levels, 1) for count in counts} <= {0.1, 0.2, 0.3, 0.4, 0.5}
    assert all(plan.lam[0] not in one for one in rows)
    assert len(set(intervals)) == len(intervals) > 3
    assert all(low < high for low, high in intervals)
