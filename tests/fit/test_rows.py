"""Rows by least squares, on the states that the rows before them lead to."""

import numpy as np

from dtool.fit.rows import fit_rows, solve_least_squares
from dtool.fit.table import measure_rmse, run_table

LAM = np.array([-2.0, 0.0, 1.5])


def test_weights_are_those_that_made_the_target():
    random = np.random.default_rng(0)
    columns = list(random.standard_normal((3, 50, 2)))
    target = 2 * columns[0] - 3e-4 * columns[2]
    assert np.abs(solve_least_squares(columns, target) - [2, 0, -3e-4]).max() < 1e-12
    alike = solve_least_squares([columns[0], columns[0]], columns[0])
    assert np.allclose(alike, 0.5), "of several solutions the smallest"


def test_rows_lead_along_the_solution_and_none_can_be_better(gaussian_session):
    noises, teacher = gaussian_session.take("training")
    table, walk = fit_rows(gaussian_session.field, teacher, LAM, 2, noises)
    ends = [teacher.locate(LAM[1]), teacher.locate(LAM[2]), teacher.images]
    for i, target in enumerate(ends):
        off = walk.states[i + 1] - target
        for column in [walk.states[i], *walk.entries[max(0, i - 1) : i + 1]]:
            assert abs((off * column).mean()) < 1e-9, "what is left is at right angles to all that a row may use"
    assert table.b[0, 1] == 0, "the first row has no past"
    again = run_table(gaussian_session.field, table, noises)
    assert measure_rmse(again.images, walk.images) < 1e-12


def test_what_is_kept_of_a_walk_changes_nothing(gaussian_session):
    noises, teacher = gaussian_session.take("training")
    _, walk = fit_rows(gaussian_session.field, teacher, LAM, 3, noises)
    moved = LAM + np.array([0, 0, 0.3])
    before = gaussian_session.field.calls
    one, _ = fit_rows(gaussian_session.field, teacher, moved, 3, noises, walk.keep(2))
    assert gaussian_session.field.calls - before == len(noises), "one call is left to make"
    other, _ = fit_rows(gaussian_session.field, teacher, moved, 3, noises)
    assert np.allclose(one.a, other.a)
    assert np.allclose(one.b, other.b)
