"""Times: a search finds the closed form's, with the first one free, and counts its calls."""

import numpy as np

from dtool.fit.search import TimeSearch, search_times
from dtool.fit.starts import list_starts
from tests.fit.gaussian_closed_form import minimise, one_call

VARIANCES = 0.25 * np.geomspace(1, 1 / 60, 10)


def make_search(session, history=3):
    noises, teacher = session.take("training")
    return TimeSearch(network_field=session.field, teacher=teacher, noises=noises, history=history)


def test_one_time_is_the_best_of_all(gaussian_session):
    search = make_search(gaussian_session)
    found = search.improve(search.try_times(np.array([-1.0])), 12)
    (lam,), least = minimise(lambda p: one_call(p[0], VARIANCES)[0], [0.0], [0.5])
    assert abs(found.rmse / least - 1) < 1e-3
    assert abs(found.table.lam[0] - lam) < 0.05


def test_a_search_from_many_starts_is_no_worse_than_any(mixture_session):
    search = make_search(mixture_session)
    starts = list_starts(mixture_session.network, 3)
    found = search_times(search, starts, search, 6)
    assert found.rmse <= min(search.try_times(lam).rmse for lam in starts)
    assert (np.diff(found.table.lam) > 0).all()


def test_a_column_of_the_jacobian_makes_the_calls_from_there_on(mixture_session):
    search = make_search(mixture_session)
    found = search.try_times(np.array([-2.0, 0.0, 1.0]))
    before = mixture_session.field.calls
    columns = list(search._iterate_columns(found))
    assert mixture_session.field.calls - before == (3 + 2 + 1) * len(search.noises)
    assert len(columns) == 3
    stopped = TimeSearch(
        network_field=search.network_field, teacher=search.teacher, noises=search.noises, history=3,
        should_stop=lambda: True,
    )  # fmt: skip
    assert stopped.improve(found, 5) is found
