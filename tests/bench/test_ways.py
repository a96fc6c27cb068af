"""The ways of drawing a batch."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.bench.ways import Workload, max_difference


@pytest.mark.parametrize(
    ("recipe", "guidance", "calls"),
    [
        ("ddim", None, [(8, 3)]), ("ddim", 1.0, [(8, 3)]), ("ddim", 0.0, [(8, 3)]), ("ddim", 2.5, [(8, 6)]),
        ("ddim~2.5@-1.3:0.3", 2.5, [(5, 3), (3, 6)]), ("ddim~cfgpp", 1.0, [(8, 6)]),
    ],
)  # fmt: skip
def test_the_bare_network_is_given_an_image_twice_where_guidance_runs_it_twice(recipe, guidance, calls):
    plan = dtool.plan(recipe, steps=8)
    assert Workload(plan=plan, guidance=guidance, clip=False, chunk=3).list_calls(3) == calls


def test_a_difference_is_the_largest_and_nan_is_not_hidden():
    one = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    other = one.copy()
    other[1, 2] += 0.25
    assert max_difference(one, other) == pytest.approx(0.25)
    other[0, 0] = np.nan
    assert np.isnan(max_difference(one, other))
    assert max_difference(None, one) is None
