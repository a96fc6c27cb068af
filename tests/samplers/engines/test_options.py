"""Options that several samplers share: what they do, and that they are described."""

import inspect

import numpy as np
import pytest

from dtool.certify.grids import by_lam
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.two_gaussians import DETERMINISTIC, STOCHASTIC, eps


@pytest.mark.parametrize("token", STOCHASTIC)
@pytest.mark.parametrize("s_noise", [0.0, 0.9, 1.1])
def test_s_noise_scales_every_draw_and_nothing_else(token, s_noise):
    points = by_lam(5)
    plain = compile_plan(get_sampler(token), points, prediction="x0")
    scaled = compile_plan(
        get_sampler(f"{token}{',' if ':' in token else ':'}s_noise={s_noise}"), points, prediction="x0"
    )
    assert scaled.c == pytest.approx(s_noise * plain.c)
    assert plain.c.max() > 0
    x, still = np.linspace(-9, 9, 5), lambda _: 0.0
    assert run_eager(get_sampler(token), points, eps, x, still) == pytest.approx(
        run_eager(get_sampler(f"{token}{',' if ':' in token else ':'}s_noise={s_noise}"), points, eps, x, still),
        rel=1e-12,
    )


@pytest.mark.parametrize("token", [*DETERMINISTIC, *STOCHASTIC])
def test_options_are_described(token):
    rule = get_sampler(token)
    assert rule.family in {"one step", "Runge-Kutta", "stochastic"}
    assert rule.cite
    assert all(field.description for field in rule.model.model_fields.values())
    assert "network call" in inspect.cleandoc(rule.doc)
