"""The fast loop on numpy arrays against the loop: every sampler, limited or not, under every kind of prediction."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from rules import configurations

from dtool.backends import host_loop, loop
from dtool.backends.limit import Limit
from dtool.plan import plan

LIMITS = {"unlimited": None, "clipped": Limit(-1, 1), "thresholded": Limit(-0.5, 2, 0.9)}
SILENT = ["dpmpp-2m@flow", "lcm@linear:zero_snr=true/trailing", "ddpm@linear:zero_snr=true/trailing"]  # alpha = 0
RECIPES = [*configurations(), "ddpm:sigma=tilde@cosine", "heun@ve/karras", *SILENT]
PREDICTIONS = [("eps", np.float32), ("v", np.float32), ("x0", np.float64), ("flow", np.float32)]


def network(output, x, t):
    """Answers in the same array each time, as a bound network does."""
    np.tanh(x * (1 + 1e-3 * t[:, None, None]), out=output)
    output += np.cos(3 * x)
    return output


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_numbers(recipe, limit):
    random = np.random.default_rng(len(recipe))
    for prediction, dtype in PREDICTIONS[recipe in SILENT :]:
        table = plan(recipe, steps=9, prediction=prediction)
        x = random.standard_normal((3, 2, 4)).astype(dtype)
        noise = random.standard_normal((table.rows, 3, 2, 4)).astype(dtype)
        times = loop.network_times(table, 3, dtype)
        before = x.copy()
        slow, fast = (
            one(table, partial(network, np.empty_like(x)), x, times, noise.__getitem__, limit=LIMITS[limit])
            for one in (loop.run, host_loop.run)
        )
        assert fast.dtype == slow.dtype == dtype
        assert np.isfinite(slow).all()
        np.testing.assert_array_equal(fast, slow)
        np.testing.assert_array_equal(x, before)
