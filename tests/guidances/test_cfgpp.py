"""CFG++ on rules of one evaluation a step, where it is the paper's, and of several."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.plan.reference import Answer, run_rows

SCALE = 0.6
ONE_STEP = ["ddim", "euler"]
SEVERAL = ["heun", "dpm2", "dpmpp-2s", "seeds-2:eta=0", "seeds-3:eta=0", "dpmpp-2m", "unipc", "deis"]
RANDOM = np.random.default_rng(0)
IMAGE, GAP, NOISE = RANDOM.standard_normal((3, 5))  # D, D - D_without and ε_without


def make_plan(recipe, guidance="cfgpp"):
    return dtool.plan(f"{recipe}~{guidance}:scale={SCALE}", steps=4, prediction="x0")


def make_ask(plan, predict):
    """Rows of a network whose image and difference are `predict(i, x)`; ε is that of D and x before the shift."""

    def ask(x, i):
        image, gap = predict(i, x)
        entry = image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i]
        return Answer(entry, gap=gap)

    return ask


@pytest.mark.parametrize("recipe", [*ONE_STEP, *SEVERAL])
def test_where_the_image_and_the_noise_stay_what_they_are_it_is_the_paper_s_step(recipe):
    """Then every x of the run is α·D_without + σ·ε_without before it is moved, and α'·D + σ'·ε_without after a row."""
    plan = make_plan(recipe)
    seen = []

    def predict(i, x):
        before = IMAGE - GAP if i == 0 else IMAGE  # after a row of CFG++ it is the guided image that x is made of
        np.testing.assert_allclose(x, plan.alpha[i] * before + plan.sigma[i] * NOISE, atol=1e-9)
        seen.append(i)
        # D_without is what leaves the noise of x as it is, and D is IMAGE
        return IMAGE, IMAGE - before

    start = plan.alpha[0] * (IMAGE - GAP) + plan.sigma[0] * NOISE
    end = run_rows(plan, make_ask(plan, predict), start)
    assert len(seen) == plan.rows
    np.testing.assert_allclose(end, IMAGE, atol=1e-9)


@pytest.mark.parametrize("recipe", ONE_STEP)
def test_a_step_of_one_evaluation_is_algorithm_2(recipe):
    plan = make_plan(recipe)
    images, gaps = RANDOM.standard_normal((2, plan.rows, 5))
    start = RANDOM.standard_normal(5)
    x = start
    for i in range(plan.rows):
        alpha, sigma = (np.append(column, end)[i + 1] for column, end in ((plan.alpha, 1), (plan.sigma, 0)))
        free = (x - plan.alpha[i] * (images[i] - gaps[i])) / plan.sigma[i]
        x = alpha * images[i] + sigma * free
    end = run_rows(plan, make_ask(plan, lambda i, _: (images[i], gaps[i])), start)
    np.testing.assert_allclose(end, x, rtol=1e-9, atol=1e-9)


def test_a_step_of_heun_is_heun_s_on_the_noise_without_conditions_from_the_moved_x():
    """x/α is moved by D - D_without once a step, and both slopes are ε_without: the second difference moves nothing."""
    plan = make_plan("heun")
    images, gaps = RANDOM.standard_normal((2, plan.rows, 5))
    start = RANDOM.standard_normal(5)
    run = run_rows(plan, make_ask(plan, lambda i, _: (images[i], gaps[i])), start)
    scaled, v = start / plan.alpha[0], np.append(plan.sigma / plan.alpha, 0.0)
    rows = iter(range(plan.rows))

    def slope(scaled, i):
        return (scaled - (images[i] - gaps[i])) / v[i]

    for step in range(plan.steps):
        i = next(rows)
        one, moved = slope(scaled, i), scaled + gaps[i]
        if step == plan.steps - 1:
            scaled = moved - v[i] * one
            break
        j = next(rows)
        guess = moved + (v[j] - v[i]) * one
        scaled = moved + (v[j] - v[i]) * (one + slope(guess, j)) / 2
    np.testing.assert_allclose(run, scaled, rtol=1e-9, atol=1e-9)
