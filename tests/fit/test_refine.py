"""All numbers together: the derivative is the derivative, errors fall, and the validation set has the last word."""

import numpy as np

from dtool.fit.field import flatten
from dtool.fit.refine import Refinement, list_places, move
from dtool.fit.rows import fit_rows

LAM = np.array([-2.0, 0.3])


def make_refinement(session, **changes):
    training, teacher = session.take("training")
    validation, judge = session.take("validation")
    return Refinement(
        network_field=session.field, training=training, teacher=teacher, validation=validation, judge=judge, **changes
    )


def test_a_difference_is_the_derivative(gaussian_session):
    refinement = make_refinement(gaussian_session)
    table, _ = fit_rows(gaussian_session.field, refinement.teacher, LAM, 2, refinement.training)
    found = refinement._walk(table)
    for place in list_places(table):
        forth, back = (refinement._walk(move(table, [place], np.array([h]))).walk.images for h in (1e-4, -1e-4))
        exact = flatten(forth - back) / 2e-4
        assert np.abs(refinement._differentiate(found, place) - exact).max() < 2e-3 * np.abs(exact).max() + 1e-9


def test_refining_lowers_the_error_on_noises_that_it_did_not_see(gaussian_session):
    seen = []
    refinement = make_refinement(gaussian_session, on_step=seen.append)
    table, _ = fit_rows(gaussian_session.field, refinement.teacher, LAM + np.array([-1, 1.5]), 2, refinement.training)
    best = refinement.refine(table, 6)
    assert best.validation < 0.9 * seen[0].validation
    assert [one.validation for one in seen] == sorted((one.validation for one in seen), reverse=True)


def test_times_that_are_shared_stay(gaussian_session):
    refinement = make_refinement(gaussian_session, kinds=("a", "b"))
    table, _ = fit_rows(gaussian_session.field, refinement.teacher, LAM, 2, refinement.training)
    assert np.allclose(refinement.refine(table, 2).table.lam, LAM)
    stopped = make_refinement(gaussian_session, should_stop=lambda: True).refine(table, 5)
    assert stopped.table is table
