"""The fast loop on numpy arrays against the loop: every sampler, limited or not, under every kind of prediction."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from dtool.plan import plan
from dtool.run import loop, numpy_loop
from dtool.run.clipping import Clipping
from tests.support.rules import configurations

LIMITS = {"unlimited": None, "clipped": Clipping(-1, 1), "thresholded": Clipping(-0.5, 2, 0.9)}
SILENT = ["dpmpp-2m@flow", "lcm@linear:zero_snr=true/trailing", "ddpm@linear:zero_snr=true/trailing"]  # alpha = 0
RECIPES = [*configurations(), "ddpm:sigma=tilde@cosine", "heun@ve/karras", *SILENT]
PREDICTIONS = [("eps", np.float32), ("v", np.float32), ("x0", np.float64), ("flow", np.float32)]


def network(output, x, t):
    """Answers in the same array each time, as a bound network does."""
    np.tanh(x * (1 + 1e-3 * t[:, None, None]), out=output)
    output += np.cos(3 * x)
    return output


class Home:
    """A network that reads x where it lies; it must be given that array, scaled or not."""

    def __init__(self, x):
        self.home, self.output = np.empty_like(x), np.empty_like(x)

    def __call__(self, x, t):
        assert x is self.home
        return network(self.output, x, t)


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m", "heun@ve/karras", "euler-ancestral@edm"])
def test_x_lies_where_the_network_reads_it(recipe):
    random = np.random.default_rng(1)
    table = plan(recipe, steps=5)
    x, *noise = random.standard_normal((table.rows + 1, 3, 2, 4)).astype(np.float32)
    times, before = loop.repeat_times(table.time, 3, np.float32), x.copy()
    fast = numpy_loop.run(table, Home(x), x, times, iter(noise), limit=Clipping(-1, 1))
    slow = loop.run(table, partial(network, np.empty_like(x)), x, times, iter(noise), limit=Clipping(-1, 1))
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_numbers(recipe, limit):
    random = np.random.default_rng(len(recipe))
    for prediction, dtype in PREDICTIONS[recipe in SILENT :]:
        table = plan(recipe, steps=9, prediction=prediction)
        x = random.standard_normal((3, 2, 4)).astype(dtype)
        noise = random.standard_normal((table.rows, 3, 2, 4)).astype(dtype)
        times = loop.repeat_times(table.time, 3, dtype)
        before = x.copy()
        slow, fast = (
            one(table, partial(network, np.empty_like(x)), x, times, iter(noise), limit=LIMITS[limit])
            for one in (loop.run, numpy_loop.run)
        )
        assert fast.dtype == slow.dtype == dtype
        assert np.isfinite(slow).all()
        np.testing.assert_array_equal(fast, slow)
        np.testing.assert_array_equal(x, before)
