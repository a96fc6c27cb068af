"""Guidance in a plan's rows."""

import numpy as np

import dtool
from dtool.plan.guiding import compute_progress, count_evaluations, guide


def test_progress_is_the_share_of_the_rows_unless_it_is_given():
    plan = dtool.plan("ddim", steps=5)
    np.testing.assert_array_equal(compute_progress(plan), [0, 0.25, 0.5, 0.75, 1])
    grows = dtool.get_guidance("cfg-linear:scale=3")
    np.testing.assert_allclose(guide(plan, grows).guided, [0, 0.5, 1, 1.5, 2])
    flat = guide(plan, grows, np.full(5, 0.5))
    np.testing.assert_allclose(flat.guided, 1)
    assert (count_evaluations(guide(plan, grows), 3.0), count_evaluations(flat, 3.0)) == (9, 10)
