"""TCD as published, and off the training steps."""

import numpy as np
import pytest

from dtool.plan import CLEAN, Point, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 11])
def test_tcd_as_published(gamma, steps):
    """To s = ⌊(1-γ)t'⌋ by DDIM, then x' = (α'/α_s) x_s + √(1 - ᾱ'/ᾱ_s) z."""
    levels = get_scheduler("scaled-linear")
    made = plan("tcd", gamma=gamma, scheduler=levels, steps=steps, spacing="leading")
    assert (made.t == np.round(made.t)).all()
    for i, t in enumerate(made.t[1:]):
        s = int((1 - gamma) * t) if gamma else int(t)
        q = levels.sigma[s] / made.sigma[i]
        scale = made.alpha[i + 1] / levels.alpha[s]
        assert made.a[i] == pytest.approx(scale * q, rel=1e-9)
        assert made.b[i, 0] == pytest.approx(scale * (levels.alpha[s] - q * made.alpha[i]), rel=1e-9)
        wanted = 1 - (made.alpha[i + 1] / levels.alpha[s]) ** 2
        assert made.c[i] ** 2 == pytest.approx(wanted, abs=1e-12)
    assert (made.a[-1], made.b[-1, 0], made.c[-1]) == pytest.approx((0, 1, 0), abs=1e-12)


def test_tcd_between_training_steps_and_off_any_schedule():
    levels = get_scheduler("linear")
    made = plan("tcd:gamma=0.5", scheduler=levels, points=[800.5, 300.25])
    alpha, sigma = levels.level(150.125)
    to = levels.level(300.25)
    kept = to[0] * float(sigma / alpha)
    assert made.c[0] ** 2 == pytest.approx(float(to[1]) ** 2 - float(kept) ** 2, rel=1e-12)
    off = compile_plan(get_sampler("tcd:gamma=0.5"), (Point(1.0, 10.0), Point(1.0, 4.0), CLEAN))
    assert off.c[0] == pytest.approx(np.sqrt(4.0**2 - 2.0**2), rel=1e-12)
