"""CFG++ against small loops of its own, as the functions that people know are defined: α = 1, σ the noise level."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import exp, expm1, log

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.plan.reference import ask_network, run_rows
from dtool.plugins.known_recipes import COMFYUI
from dtool.samplers import get_sampler

SHAPE, COUNT, SCALE, LABELS = (2, 3), 3, 0.6, [0, 1, 1]
SCHEDULE = dtool.get_scheduler("edm")
Image = np.ndarray
Denoise = Callable[[Image, float], tuple[Image, Image]]  # x, σ ↦ the guided image and the one without the conditions


def predict(x: Image, t: Image, label: Image) -> Image:
    """An x0 network that depends on x, its neighbours, the time and the class."""
    level = (1 + 1e-3 * t)[:, None, None]
    return np.tanh(x / level + 0.4 * label[:, None, None]) + 0.2 * np.sin(np.roll(x, 1, axis=-1) / level)


NETWORK = dtool.network(predict, shape=SHAPE, schedule="edm", prediction="x0", classes=2, clip=False)


def denoise(x: Image, sigma: float) -> tuple[Image, Image]:
    t = np.full(len(x), float(SCHEDULE.time(-log(sigma))))
    free = predict(x, t, np.full(len(x), 2))
    return free + SCALE * (predict(x, t, np.array(LABELS)) - free), free


def split(now: float, to: float, eta: float) -> tuple[float, float]:
    """(σ_down, σ_up)."""
    up = min(to, eta * (to**2 * (now**2 - to**2) / now**2) ** 0.5)
    return (to**2 - up**2) ** 0.5, up


def euler(x, levels, draw, eta=0.0):
    for now, to in pairwise(levels):
        image, free = denoise(x, now)
        down, up = split(now, to, eta)
        x = image + down * (x - free) / now + up * (draw() if up else 0)
    return x


def two_stages(x, levels, draw, eta=1.0):
    for now, to in pairwise(levels):
        image, free = denoise(x, now)
        down, up = split(now, to, eta)
        if down == 0:
            x = image
            continue
        middle = (now * down) ** 0.5
        _, late = denoise(middle / now * x + (1 - middle / now) * free, middle)
        x = down / now * x + (1 - down / now) * late + up * draw() + image - free
    return x


def two_steps(x, levels, draw):
    old = before = None
    for now, to in pairwise(levels):
        image, free = denoise(x, now)
        x_next = image + to / now * (x - free)
        if old is not None and to > 0:
            r = log(before / now) / log(now / to)
            x_next = x_next + (1 - to / now) / (2 * r) * (image - old)
        x, old, before = x_next, free, now
    return x


def exponential(x, levels, draw, eta=0.0):
    old = before = old_down = None
    for now, to in pairwise(levels):
        image, free = denoise(x, now)
        down, up = split(now, to, eta)
        if down == 0 or old is None:
            x = image + down * (x - free) / now
        else:
            h, c2 = log(now / down), log(old_down / before) / log(now / down)
            phi1 = expm1(-h) / -h
            phi2 = (phi1 - 1) / -h
            x = exp(-h) * (x + image - free) + h * ((phi1 - phi2 / c2) * free + phi2 / c2 * old)
        x = x + up * (draw() if up else 0)
        old, before, old_down = free, now, down
    return x


def estimate(x, levels, draw, gamma=2.0):
    old = None
    for now, to in pairwise(levels):
        image, free = denoise(x, now)
        slope = (x - free) / now
        x = image + to * slope
        if old is not None and to > 0:
            x = x + (gamma - 1) * (slope - old) * (to - now)
        old = slope
    return x


LOOPS = {
    "euler_cfg_pp": euler,
    "euler_ancestral_cfg_pp": lambda *given: euler(*given, eta=1.0),
    "dpmpp_2s_ancestral_cfg_pp": two_stages,
    "dpmpp_2m_cfg_pp": two_steps,
    "res_multistep_cfg_pp": exponential,
    "res_multistep_ancestral_cfg_pp": lambda *given: exponential(*given, eta=1.0),
    "gradient_estimation_cfg_pp": estimate,
}


def run_here(plan: dtool.Plan, loop: Callable[..., Image], x: Image, noise: Image) -> Image:
    """The loop's own result on the plan's levels, in units in which α = 1."""
    levels = [*(plan.sigma / plan.alpha)[plan.step_starts].tolist(), 0.0]
    draws = iter(noise)
    return loop(x / plan.alpha[0], levels, lambda: next(draws))


@pytest.mark.parametrize("place", ["karras", "trailing"])
@pytest.mark.parametrize("name", COMFYUI)
def test_a_known_name_is_what_its_function_computes(name, place):
    plan = dtool.plan(f"{name}/{place}", network=NETWORK, steps=9)
    random = np.random.default_rng(0)
    x = plan.init * random.standard_normal((COUNT, *SHAPE))
    noise = random.standard_normal((plan.draws, COUNT, *SHAPE))
    expected = run_here(plan, LOOPS[name], x, noise)
    ours = dtool.sample(NETWORK, plan, x=x, noise=noise, labels=LABELS, guidance=SCALE).x0
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)
    without_guidance = dtool.sample(NETWORK, plan, x=x, noise=noise, labels=LABELS, guidance=1.0).x0
    assert np.abs(without_guidance - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("rule", "plain"),
    [
        ("dpmpp-2m-cfgpp", "dpmpp-2m"),
        ("dpmpp-2s-ancestral-cfgpp", "dpmpp-2s-ancestral"),
        ("dpmpp-2s-ancestral-cfgpp:eta=0.4", "dpmpp-2s-ancestral:eta=0.4"),
        ("res-multistep-cfgpp", "res-multistep"),
    ],
)
def test_without_guidance_it_is_the_method_that_it_is_named_after(rule, plain):
    for seed in range(3):
        points = grids.random_grid(8, seed, clean=seed % 2 == 0)
        random = np.random.default_rng(seed)
        x, *noise = random.standard_normal((20, 4))
        ends = [
            run_eager(get_sampler(token), points, lambda x, at: np.tanh(x) * at.sigma, x, lambda i, z=noise: z[i])
            for token in (rule, plain)
        ]
        assert ends[0] == pytest.approx(ends[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rule", ["dpmpp-2m-cfgpp", "dpmpp-2s-ancestral-cfgpp:eta=0", "res-multistep-cfgpp"])
def test_the_rows_are_the_rule_run_step_by_step_with_both_predictions(rule):
    """Also where the grid goes up again, after which no history counts."""
    for points in (grids.random_grid(8, 1, clean=True), grids.random_grid(8, 2, clean=False)):
        plan = compile_plan(get_sampler(rule), points, prediction="eps")
        assert plan.compares.any()

        def given(x, at):
            return np.tanh(x + at.sigma)

        def free(x, at):
            return 0.5 * np.tanh(x - at.alpha)

        x = np.linspace(-2, 2, 5)
        eager = run_eager(get_sampler(rule), points, given, x, without=free)
        levels = [dtool.Point(float(a), float(s)) for a, s in zip(plan.alpha, plan.sigma, strict=True)]

        def ask(x, i, plan=plan, levels=levels):
            return ask_network(plan, i, lambda x, _: given(x, levels[i]), x, without=lambda x, _: free(x, levels[i]))

        assert run_rows(plan, ask, x) == pytest.approx(eager, rel=1e-8, abs=1e-8)
        alone = run_eager(get_sampler(rule), points, given, x)
        assert np.abs(alone - eager).max() > 1e-2
