"""Budgets that share their times."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.fit.run import fit_budget
from dtool.fit.shared_times import fit_subset
from dtool.fit.work import Work


def test_the_times_of_fewer_calls_are_among_those_of_more(mixture_session):
    larger = fit_budget(mixture_session, 4, Work(), minutes=0, judge=False)
    smaller = fit_subset(mixture_session, larger, 2, Work(), judge=False)
    assert smaller.rows == 2
    assert np.abs(smaller.lam[:, None] - larger.lam).min(axis=1).max() < 1e-9
    assert smaller.fit.validation < 0.1
    with pytest.raises(UsageError, match="4 of 4 times"):
        fit_subset(mixture_session, larger, 4, Work())
