"""A plan as one linear map."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import compile as compile_plan
from dtool.plan import reference
from dtool.plan.linear_map import unroll
from dtool.plan.reference import Answer
from dtool.samplers import get_sampler
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector

RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_the_linear_map_is_what_the_rows_do(rule):
    """Images and noises at random, the same for both."""
    made = compile_plan(rule, grids.random_grid(7, 3, clean=True), prediction="x0")
    random = np.random.default_rng(0)
    images, noises, start = random.standard_normal((made.rows, 4)), random.standard_normal((made.rows, 4)), np.ones(4)

    def ask(x, i):
        return Answer(images[i] if made.images[i] else (x - made.alpha[i] * images[i]) / made.sigma[i])

    states = np.array(list(reference.iterate_states(made, ask, start, lambda i: noises[i])))
    signal, noise = unroll(made)
    assert signal @ np.vstack([start, images]) + noise @ noises == pytest.approx(states, rel=1e-9, abs=1e-9)
