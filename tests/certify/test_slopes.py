"""How fast an error falls."""

import numpy as np
import pytest

from dtool.certify.slopes import converged_slope, extrapolate_slope, fit_slope


def test_a_slope_that_has_not_settled_is_measured_further():
    def late(n):
        return 1e-5 * (64 / n) ** 2 * (1 + 128 / n)

    assert fit_slope(late).value > 2.2
    assert converged_slope(late).value == pytest.approx(2.06, abs=0.01)
    assert converged_slope(late).errors[-1][0] > fit_slope(late).errors[-1][0]
    assert converged_slope(lambda n: n**-2.0).errors == fit_slope(lambda n: n**-2.0).errors


@pytest.mark.parametrize(("order", "constant"), [(1, 0.4), (2, 30.0), (3, 2e3), (4, 1e3), (6, 1e6)])
def test_a_slope_is_found_where_the_error_can_be_trusted(order, constant):
    found = fit_slope(lambda n: constant / n**order + 1e-13)
    assert found.value == pytest.approx(order, abs=0.02)


def test_an_error_that_does_not_fall_has_no_slope():
    assert np.isnan(fit_slope(lambda _: 0.3).value)
    assert fit_slope(lambda _: 1e-14).exact


def test_the_finest_slope_is_the_best_where_slopes_still_change():
    late = fit_slope(lambda n: abs(1 / n**3 - 50 / n**4))
    assert late.value + 0.02 < late.finest < 3
    assert np.isnan(fit_slope(lambda _: 1e-14).finest)


@pytest.mark.parametrize("order", [1, 2])
def test_the_limit_of_slopes_after_an_error_that_passes_zero(order):
    def crossing(n):
        return abs(1 / n**order - 300 / n ** (order + 1)) / 100

    assert fit_slope(crossing).finest < order - 0.1
    assert extrapolate_slope(crossing) == pytest.approx(order, abs=0.05)


def test_slopes_that_do_not_settle_have_no_limit():
    assert np.isnan(extrapolate_slope(lambda n: 1e-4 * (1 + n % 3)))
    assert np.isnan(extrapolate_slope(lambda _: 1e-14))
    assert np.isnan(extrapolate_slope(lambda n: 1e-5 * 2 ** (n / 4096)))
