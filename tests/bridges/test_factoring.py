"""Rows from an unrolled table, on tables that are made of known rows."""

import numpy as np
import pytest

import dtool
from dtool.bridges.factoring import factor_rows
from dtool.plan import Point
from dtool.plan import compile as compile_plan
from dtool.plan.reference import Answer, iterate_states

POINTS = [Point(0.1, 0.99), Point(0.3, 0.9), Point(0.6, 0.7), Point(0.8, 0.5), Point(0.9, 0.3), Point(1.0, 0.0)]


def unrolled(plan):
    """(states, entries, first noise) of a plan over symbols: the start, the images, the noises."""
    n = plan.rows
    unit = np.eye(1 + 2 * n)
    entries = []

    def ask(x, i):
        image = unit[1 + i]
        entries.append(image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i])
        return Answer(entries[-1])

    states = np.array(list(iterate_states(plan, ask, unit[0], lambda i: unit[1 + n + i])))
    return states, np.array(entries), 1 + n


@pytest.mark.parametrize(
    "token", ["ddim", "ddpm", "heun", "dpmpp-2m", "unipc:order=3", "lms", "dpmpp-sde", "sa-solver"]
)
def test_the_rows_of_a_plan_are_found_again(token):
    plan = compile_plan(dtool.get_sampler(token), POINTS, prediction="x0")
    states, entries, first = unrolled(plan)
    starts = np.isin(np.arange(plan.rows), plan.step_starts).tolist()
    columns = factor_rows(states, entries, None, first, starts, 1e-11, token).to_columns()
    assert columns["b"].shape[1] <= plan.history
    assert np.allclose(columns["c"], plan.c, atol=1e-12)
    found, saved, x = [states[0]], states[0], states[0]
    for i in range(plan.rows):
        saved = x if columns["save"][i] else saved
        noise = np.zeros(len(x))
        noise[first + i] = columns["c"][i]
        x = columns["a"][i] * x + columns["a_saved"][i] * saved + noise
        for back in range(min(i + 1, columns["b"].shape[1])):
            x = x + columns["b"][i, back] * entries[i - back]
        found.append(x)
    assert np.allclose(found, states, atol=1e-10)


def test_the_wrong_basis_makes_a_longer_history():
    plan = compile_plan(dtool.get_sampler("dpmpp-2m"), POINTS, prediction="x0")
    states, images, first = unrolled(plan)
    alpha, sigma = plan.alpha[:, None], plan.sigma[:, None]
    noises = (states[:-1] - alpha * images) / sigma
    starts = [True] * plan.rows
    right, wrong = (factor_rows(states, e, None, first, starts, 1e-11, "2m").history for e in (images, noises))
    assert right == 2
    assert wrong > 2


def test_a_small_weight_of_a_late_step_is_not_lost_beside_a_large_start():
    states = np.array([[100.0, 0, 0, 0], [99.0, 1.0, 0, 0], [99.0, 1.0 - 2e-7, 1e-3, 0]])
    entries = np.array([[0.0, 1, 0, 0], [0, 0, 1.0, 0]])
    rows = factor_rows(states, entries, None, 4, [True, True], 1e-9, "small")
    assert rows.b[1] == pytest.approx([1e-3, -2e-7])


def test_what_no_row_can_make_is_refused_with_its_call():
    n = 20
    entries = np.eye(n + 1)[1:]
    states = np.zeros((n + 1, n + 1))
    states[0, 0] = 1
    for i in range(n):  # each x has all images so far with new weights
        states[i + 1, : i + 2] = np.random.default_rng(i).standard_normal(i + 2)
    with pytest.raises(
        dtool.UsageError, match=r"many: x after network call \d+ needs more than a row of a plan may use"
    ):
        factor_rows(states, entries, None, n + 1, [True] * n, 1e-9, "many")
