"""The verdict: which recipe is best, and which cannot be told from it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import dtool
from dtool.compare.paired_errors import measure_error, paired_p_value
from dtool.compare.result import ComparisonEntry
from dtool.compare.verdict import write_verdict
from dtool.targets import target

QUICK = {"repeats": 1, "n": 200}


def make_entry(name, error):
    """A recipe of which only the distance to the solution matters."""
    return ComparisonEntry(
        name=name, recipe="ddim", steps=9, calls=9, evaluations=9, guidance="", scale=1.0, plan="", seconds=1,
        seconds_low=1, seconds_high=1, images_per_second=1, solver=error,
    )  # fmt: skip


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_verdict_names_the_best_and_what_is_as_good(exact, seed):
    comparison = dtool.compare(
        exact.network(), ["dpmpp-2m", "unipc"], steps=[2, 60], reference=exact, seed=seed, **QUICK
    )
    alike = "dpmpp-2m with 60 calls and unipc with 60 calls"
    assert comparison.verdict == f"By MMD² (RBF) {alike} cannot be told apart at n = 200, and lead the others."


@pytest.mark.parametrize("seed", [0, 1])
def test_from_the_same_seeds_a_slightly_worse_recipe_is_found_out(exact, seed):
    comparison = dtool.compare(exact.network(), ["ddim"], steps=[30, 60], reference=exact, seed=seed, **QUICK)
    assert comparison.verdict == "ddim with 60 calls is best by MMD² (RBF)."


def test_twice_the_same_law_cannot_be_told_apart(exact):
    comparison = dtool.compare(exact.network(), ["dpmpp-2m", "unipc"], steps=60, reference=exact, **QUICK)
    assert "no recipe can be told from another" in comparison.verdict


@pytest.mark.parametrize(("k", "all_named"), [(2, "not surely nearer than"), (6, "and 2 others")])
def test_of_many_of_one_law_none_is_surely_nearer(k, all_named):
    """The null of the whole verdict, the best chosen after the fact: it fails in 5 % of comparisons at most."""
    random, failed = np.random.default_rng(k), 0
    for _ in range(200):
        squares = np.exp(random.standard_normal((k, 16, 1)) + random.standard_normal((16, 1)))
        images, truth = np.sqrt(squares), np.zeros((16, 1))
        entries = [make_entry(f"r{i}", measure_error(each, truth, 0.0, (-1, 1))) for i, each in enumerate(images)]
        p = partial(lambda drawn, i, j: paired_p_value(drawn[i], drawn[j], np.zeros((16, 1))), images)
        failed += all_named not in write_verdict(entries, images, None, None, p)
    assert failed <= 22  # of 200; at 5 % more would come once in a thousand times


def test_nothing_is_said_of_recipes_that_are_too_near_to_the_solution():
    near = make_entry("r", measure_error(np.ones((4, 1)), np.zeros((4, 1)), 0.5, (-1, 1)))
    assert "No recipe can be judged" in write_verdict([near, near], [np.ones((4, 1))] * 2, None, None, lambda i, j: 0.0)


def test_without_data_the_solver_decides(exact):
    comparison = dtool.compare(exact.network(), ["ddim", "dpmpp-2m", "ddpm"], steps=10, **QUICK)
    assert comparison.verdict.startswith("dpmpp-2m with 10 calls is nearest to the solution")
    assert "1 of 3 have no solution" in comparison.verdict
    only = dtool.compare(exact.network(), ["ddpm", "dpmpp-2m-sde"], steps=10, solver=False, **QUICK)
    assert "nothing to judge by" in only.verdict
    assert only.solution is None
