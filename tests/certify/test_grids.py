"""The grids on which samplers are examined: where they begin and end, and how their steps vary."""

from itertools import pairwise

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import CLEAN, Recipe


def steps_of(points):
    return np.diff([point.lam for point in points])


@pytest.mark.parametrize("shape", ["uniform", "uneven"])
@pytest.mark.parametrize("n", [4, 32])
def test_grids_in_lambda_span_a_thousandfold_fall_of_the_noise(n, shape):
    points = grids.by_lam(n, shape)
    assert [points[0].v, points[-1].v] == pytest.approx([20, 0.02])
    assert all(point.alpha**2 + point.sigma**2 == pytest.approx(1) for point in points)
    assert len(points) == n + 1
    steps = steps_of(grids.by_lam(4096, shape))
    assert steps.max() / steps.min() == pytest.approx(1 if shape == "uniform" else 3, abs=0.05)
    longer = grids.by_lam(n, shape, lead=2)
    assert longer[2:] == points
    assert (steps_of(longer) > 0).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clean", [False, True])
def test_random_grids_fall_from_noise_to_image(seed, clean):
    points = grids.random_grid(9, seed, clean=clean)
    assert len(points) == 10
    assert all(to.lam - now.lam >= 1e-3 for now, to in pairwise(points))
    assert (points[-1] == CLEAN) == clean
    assert points == grids.random_grid(9, seed, clean=clean) != grids.random_grid(9, seed + 1, clean=clean)


def test_a_grid_of_two_passes_goes_up_once_and_down_to_the_image():
    points = grids.two_pass_grid(12)
    rises = [i for i, (now, to) in enumerate(pairwise(points)) if to.lam < now.lam]
    assert rises == [6]
    assert points[7] == grids.by_lam(12)[3]
    assert points[-1] == CLEAN


def test_what_a_recipe_leaves_open_is_varied_and_the_rest_is_kept():
    labels = [label for label, _ in grids.list_grids(Recipe.parse("ddim"))]
    assert len(set(labels)) == len(labels)
    assert {label.partition("/")[0] for label in labels if "/" in label} == {"linear", "cosine", "linear:zero_snr=true"}
    assert labels[-1] == "a grid that goes up again"
    own = grids.list_grids(Recipe.parse("ddim@cosine/karras"))
    assert [label for label, _ in own] == [f"cosine/karras, {n} steps" for n in (1, 10, 37)]
    assert [len(points) for _, points in own] == [2, 11, 38]
    assert grids.step_counts(Recipe.parse("ddim/list:times=999;500;0").spacing) == (3,)
