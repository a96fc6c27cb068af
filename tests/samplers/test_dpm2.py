"""DPM-2: the midpoint rule, where its middle is, and the fresh noise of its ancestral step."""

from math import sqrt

import numpy as np
import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import Node, run_eager
from dtool.samplers import get_sampler
from tests.support.two_gaussians import eps, posterior


@pytest.mark.parametrize("power", [0.0, 1 / 3, 1.0])
def test_dpm2_is_the_midpoint_rule(power):
    """x̄' = x̄ + (v'-v)·ε at the middle of v^power, reached by Euler's method."""
    now, to = point_at_lam(-0.4), point_at_lam(0.7)
    steps = get_sampler("dpm2").step(Node(now, 0.8, eps=0.3), to, power=power)
    guess, where = next(steps)
    middle = sqrt(now.v * to.v) if power == 0 else ((now.v**power + to.v**power) / 2) ** (1 / power)
    assert where.v == pytest.approx(middle, rel=1e-12)
    assert guess / where.alpha == pytest.approx(0.8 / now.alpha + (middle - now.v) * 0.3, rel=1e-12)
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(where, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * 0.5, rel=1e-12)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_ancestral_dpm2_is_the_midpoint_rule_to_a_lower_level_and_noise_up_from_there(eta):
    """k-diffusion's sample_dpm_2_ancestral: v_up = η v'√(1 - v'²/v²), v_down = √(v'² - v_up²), in x̄ = x/α."""
    now, to = point_at_lam(-0.9), point_at_lam(0.4)
    x, z = np.linspace(-2, 2, 5), np.linspace(1, -1, 5)
    up = min(to.v, eta * to.v * sqrt(1 - (to.v / now.v) ** 2))
    down = sqrt(to.v**2 - up**2)
    middle = sqrt(now.v * down)
    there = x / now.alpha + (middle - now.v) * posterior(x / now.alpha, now.v)
    wanted = x / now.alpha + (down - now.v) * posterior(there, middle) + up * z
    end = run_eager(get_sampler(f"dpm2-ancestral:eta={eta}"), (now, to), eps, x, lambda _: z)
    assert end / to.alpha == pytest.approx(wanted, rel=1e-12)
