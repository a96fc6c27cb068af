"""Certificate 2: orders of convergence, against the exact solution of the probability-flow ODE."""

import numpy as np
import pytest
from rules import (
    configurations,
    constant_weights,
    deterministic,
    dpmpp_3m,
    examined,
    keeps_marginals,
    predictor_corrector,
)
from scipy.integrate import solve_ivp
from scipy.stats import norm

from dtool.plan import Point
from dtool.samplers import sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.testing import grids
from dtool.testing.order import global_slope, keeps, local_slope, looks_back, shipped_slope
from dtool.testing.slopes import slope_of
from dtool.testing.targets import THREE, gaussian

SOLVERS = [token for token in configurations() if keeps_marginals(token) and deterministic(token)]


ORDERS = ("order-local", "order-global", "order-shipped")


def density(x, at):
    scale = np.hypot(at.alpha * np.array(THREE.stds), at.sigma)
    return norm.pdf(x[:, None], at.alpha * np.array(THREE.means), scale) @ THREE.weights


@pytest.mark.parametrize("lam", [-3.0, -0.5, 1.0, 3.0])
def test_the_closed_form_network_is_the_score(lam):
    point = grids.at(lam)
    x = np.linspace(-2, 2, 41) * THREE.std(point)
    step = 1e-5 * THREE.std(point)
    score = (np.log(density(x + step, point)) - np.log(density(x - step, point))) / (2 * step)
    assert THREE.eps(x, point) == pytest.approx(-point.sigma * score, abs=1e-7)
    assert point.alpha * THREE.x0(x, point) + point.sigma * THREE.eps(x, point) == pytest.approx(x, abs=1e-12)


def test_the_exact_end_is_that_of_a_fine_solver():
    start, end = grids.at(-2.5), grids.at(2.0)
    x = np.array([-1.7, -0.2, 0.4, 2.0])
    field = lambda v, y: THREE.eps(y, Point(1.0, float(v)))  # noqa: E731
    fine = solve_ivp(field, (start.v, end.v), x / start.alpha, method="DOP853", rtol=1e-12, atol=1e-13)
    assert THREE.transport(x, start, end) == pytest.approx(fine.y[:, -1] * end.alpha, abs=1e-9)


def test_the_exact_end_on_a_gaussian_is_linear():
    start, end, law = grids.at(-2.0), grids.at(1.0), gaussian(0.3, 0.6)
    x = np.linspace(-3, 3, 9)
    expected = end.alpha * 0.3 + law.std(end) / law.std(start) * (x - start.alpha * 0.3)
    assert law.transport(x, start, end) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("order", "constant"), [(1, 0.4), (2, 30.0), (3, 2e3), (4, 1e3), (6, 1e6)])
def test_a_slope_is_found_where_the_error_can_be_trusted(order, constant):
    found = slope_of(lambda n: constant / n**order + 1e-13)
    assert found.value == pytest.approx(order, abs=0.02)


def test_an_error_that_does_not_fall_has_no_slope():
    assert np.isnan(slope_of(lambda _: 0.3).value)
    assert slope_of(lambda _: 1e-14).exact


@pytest.mark.parametrize("token", SOLVERS)
def test_orders_are_as_declared(token):
    found = examined(token, *ORDERS)
    assert [r.status for r in found.values()] == ["pass"] * 3, found
    order = sampler(token).order
    slopes = [float(value) for value in found["order-global"].figure.split(" / ")]
    assert slopes == pytest.approx([order] * len(slopes), abs=0.1)


@pytest.mark.parametrize("token", [t for t in configurations() if t not in SOLVERS])
def test_no_order_is_claimed_for_what_does_not_solve_the_ode(token):
    assert {r.status for r in examined(token, *ORDERS).values()} == {"skip"}


def test_a_missing_factor_in_the_third_order_is_found():
    right, wrong = dpmpp_3m(2), dpmpp_3m(1)
    assert global_slope(right).value == pytest.approx(3, abs=0.1)
    assert global_slope(wrong).value == pytest.approx(2, abs=0.1)
    assert local_slope(wrong, "uneven").value < 3.2
    assert [r.status for r in examined(wrong, "order-local", "order-global").values()] == ["fail", "fail"]


def test_a_start_up_that_promises_too_much_is_found():
    assert examined(dpmpp_3m(2, startup_order=3), "order-shipped")["order-shipped"].status == "fail"
    assert examined(dpmpp_3m(2, startup_order=1), "order-shipped")["order-shipped"].status == "pass"


def test_a_corrector_adds_an_order_one_call_later():
    assert keeps(predictor_corrector)
    assert looks_back(predictor_corrector)
    assert local_slope(predictor_corrector).value == pytest.approx(3, abs=0.1)
    assert global_slope(predictor_corrector).value == pytest.approx(3, abs=0.1)


def test_weights_for_equal_steps_lose_their_order_on_graded_ones():
    assert global_slope(constant_weights).value == pytest.approx(2, abs=0.1)


def test_an_order_that_is_declared_too_low_is_found_too():
    heun = sampler("heun")

    @rule_of("modest", order=1, calls=2)
    def modest(now, to):
        return (yield from heun.step(now, to))

    assert examined(modest, "order-global")["order-global"].status == "fail"


def test_only_a_multistep_rule_looks_back():
    assert [looks_back(sampler(name)) for name in ("euler", "heun", "dpmpp-2m")] == [False, False, True]
    assert shipped_slope(sampler("dpmpp-2m"), "uneven").value == pytest.approx(2, abs=0.1)
