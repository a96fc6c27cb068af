"""DDPM as its paper writes it, and the bounds of a variance that is learned."""

from itertools import pairwise

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import CLEAN, Point, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from tests.support.method_pairs import BAR, apart


def some_grids():
    table = get_scheduler("linear", T=200)
    alpha, sigma = table.alpha[::-1], table.sigma[::-1]
    yield (*(Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)), CLEAN)
    yield from (grids.random_grid(12, seed, clean=seed % 2 == 0) for seed in range(4))


def test_the_two_variances_of_ddpm_differ_in_the_noise_alone():
    table = get_scheduler("linear", T=100)
    large, small = (plan(f"ddpm:sigma={s}", scheduler=table, steps=20, prediction="x0") for s in ("beta", "tilde"))
    for column in ("a", "b"):
        assert getattr(large, column) == pytest.approx(getattr(small, column), abs=1e-12)
    bar = large.alpha**2
    posterior = (1 - bar[1:]) / (1 - bar[:-1])  # β̃/β
    assert small.c[:-1] == pytest.approx(large.c[:-1] * np.sqrt(posterior), abs=1e-12)


def test_the_optimal_variance_for_unit_data_is_beta():
    """Analytic-DPM with E‖ε‖²/d of data N(0, I) is DDPM with σ² = β (arXiv:2201.06503, theorem 1)."""
    for points in some_grids():
        assert apart("analytic-ddpm:stats=unit", "ddpm:sigma=beta", points) < BAR


@pytest.mark.parametrize(("name", "least"), [("analytic-ddpm", "ddim:eta=1"), ("analytic-ddim", "ddim:eta=0")])
def test_the_optimal_variance_is_within_its_bounds(name, least):
    """λ² ≤ σ*² ≤ λ² + (gain·σ/α)², gain being that of x0 in the mean (arXiv:2201.06503, theorem 2)."""
    for now, to in pairwise(grids.random_grid(9, 2, clean=False)):
        best, own = (compile_plan(get_sampler(token), (now, to), prediction="x0") for token in (name, least))
        gain = best.b[0, 0]
        assert own.c[0] <= best.c[0] <= np.hypot(own.c[0], gain * now.v) + 1e-12


def test_the_posterior_of_the_textbook():
    """√ᾱ_{t-1}β_t/(1-ᾱ_t) for x0, √α_t(1-ᾱ_{t-1})/(1-ᾱ_t) for x, β̃_t for the noise (arXiv:2006.11239, eq. 6-7)."""
    table = get_scheduler("linear", T=300)
    made = plan("ddpm", scheduler=table, steps=300, prediction="x0")
    beta = np.linspace(1e-4, 0.02, 300) * 1000 / 300
    bar = np.cumprod(1 - beta)
    last = np.concatenate([[1.0], bar[:-1]])
    assert made.b[::-1, 0] == pytest.approx(np.sqrt(last) * beta / (1 - bar), abs=1e-10)
    assert made.a[::-1] == pytest.approx(np.sqrt(1 - beta) * (1 - last) / (1 - bar), abs=1e-10)
    assert made.c[::-1] == pytest.approx(np.sqrt((1 - last) / (1 - bar) * beta), abs=1e-10)
    wide = plan("ddpm:sigma=beta", scheduler=table, steps=300, prediction="x0")
    assert wide.c[:-1] == pytest.approx(np.sqrt(beta[:0:-1]), abs=1e-10)
    assert wide.c[-1] == 0, "no noise in the last step"
    assert not plan("ddpm:sigma=none", scheduler=table, steps=300).stochastic


def test_the_bounds_are_those_of_the_paper():
    """arXiv:2102.09672, eq. 15: Σ = exp(v log β_t + (1-v) log β̃_t), with v the fraction; β of the shortened chain."""
    made = plan("ddpm:sigma=learned", scheduler="cosine:T=100,max_beta=0.9", steps=10, spacing="linspace")
    bar = np.append(made.alpha**2, 1.0)
    beta = 1 - bar[:-1] / bar[1:]
    tilde = (1 - bar[1:]) / (1 - bar[:-1]) * beta
    assert made.c[:-1] ** 2 == pytest.approx(beta[:-1], rel=1e-9)
    assert made.c_low[:-1] ** 2 == pytest.approx(tilde[:-1], rel=1e-9)
    assert (made.c[-1], made.c_low[-1]) == (0, 0)
    assert made.learned
    assert not plan("ddpm", steps=10).learned
