"""What a schedule's tables of levels must be: a table that is not is told what is wrong with it."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.schedulers.level_tables import MAX_STEPS, check_table, read_numbers
from dtool.schedulers.schedule import from_betas, from_lam


@pytest.mark.parametrize(
    ("lam", "coordinates", "cause"),
    [
        ([950, 0, -950], "vp", "sigma is 0 at step 0"),
        ([0, -800, -950], "vp", "alpha is 0 at step 1"),
        ([0, -950], "ve", "sigma is not a finite table: at step 1 it is larger"),
        ([950, -950], "flow", "sigma is 0 at step 0"),
        ([1, 2], "vp", "does not rise at every step of the schedule: from 0 to 1"),
        ([float("nan"), 1], "vp", "no number at step 0"),
        ([], "vp", r"shape \(0,\)"),
        ("x", "vp", "lam is no table"),
        ([2, 1], "zz", "no coordinates 'zz'"),
    ],
)
def test_a_table_of_levels_is_told_what_is_wrong_with_it(lam, coordinates, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        from_lam(lam, coordinates)
    assert caught.value.hint
    assert "beta" not in str(caught.value) + caught.value.hint, "there are no betas"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: check_table("alpha", "x"), "the schedule's alpha is no table of numbers"),
        (lambda: check_table("sigma", [[1.0]]), r"the schedule's sigma is a table of shape \(1, 1\)"),
        (lambda: check_table("alpha", np.zeros(MAX_STEPS + 1)), "steps is too long"),
        (lambda: from_betas(["x"]), "the betas are no table of numbers"),
        (lambda: read_numbers("these are", [1, [2]], "give a list"), "these are no table of numbers"),
    ],
)
def test_what_is_no_table_is_refused(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert caught.value.hint
