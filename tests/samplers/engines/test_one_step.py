"""The one-step engine: its step to the image."""

import pytest

from dtool.certify import grids
from dtool.plan import CLEAN, Point
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from tests.support.rules import configurations


@pytest.mark.parametrize("token", ["euler", "ddim", "ddim:eta=0.5", "ddpm", "ddpm:sigma=beta", "ddpm:sigma=none"])
@pytest.mark.parametrize("start", [Point(0.3, 0.95), Point(0.0, 1.0), Point(1.0, 40.0)])
def test_one_step_to_the_image_is_x0(token, start):
    made = compile_plan(get_sampler(token), (start, CLEAN), prediction="x0")
    assert (made.a.tolist(), made.b.tolist(), made.c.tolist()) == ([0.0], [[1.0]], [0.0])


@pytest.mark.parametrize("token", configurations())
def test_the_last_step_to_the_image_adds_no_noise(token):
    made = compile_plan(get_sampler(token), grids.random_grid(6, 2, clean=True), prediction="x0")
    assert made.c[-1] == 0
