"""Certificate 2: orders of convergence, against the exact solution of the probability-flow ODE."""

from math import sqrt

import pytest

import dtool
import dtool.certify
from dtool.certify.order import global_slope, has_kept_values, is_multistep, local_slope, shipped_slope
from dtool.certify.slopes import fit_slope
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from tests.support.rules import (
    configurations,
    constant_weights,
    deterministic,
    dpmpp_3m,
    examined,
    keeps_marginals,
    predictor_corrector,
)
from tests.support.steps import rk4

SOLVERS = [token for token in configurations() if keeps_marginals(token) and deterministic(token)]


ORDERS = ("order-local", "order-global", "order-shipped")


@pytest.mark.parametrize("token", SOLVERS)
def test_orders_are_as_declared(token):
    found = examined(token, *ORDERS)
    assert [r.status for r in found.values()] == ["pass"] * 3, found
    order = get_sampler(token).order
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
    assert has_kept_values(predictor_corrector)
    assert is_multistep(predictor_corrector)
    assert local_slope(predictor_corrector).value == pytest.approx(3, abs=0.1)
    assert global_slope(predictor_corrector).value == pytest.approx(3, abs=0.1)


def test_weights_for_equal_steps_lose_their_order_on_graded_ones():
    assert global_slope(constant_weights).value == pytest.approx(2, abs=0.1)


def test_an_order_that_is_declared_too_low_is_found_too():
    heun = get_sampler("heun")

    @rule_of("modest", order=1, calls=2)
    def modest(now, to):
        return (yield from heun.step(now, to))

    assert examined(modest, "order-global")["order-global"].status == "fail"


def test_only_a_multistep_rule_looks_back():
    assert [is_multistep(get_sampler(name)) for name in ("euler", "heun", "dpmpp-2m")] == [False, False, True]
    assert shipped_slope(get_sampler("dpmpp-2m"), "uneven").value == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "token",
    [
        *(f"unipc:order={p},corrector={c}" for p in (1, 2, 3) for c in ("true", "false")),
        *(f"deis:order={p}" for p in (2, 4)),
        *(f"sa-solver:tau=0,predictor={p},corrector={q}" for p, q in [(1, 0), (3, 0), (1, 1), (1, 3), (2, 3), (3, 2)]),
        "dpm-solver:order=2,variant=midpoint",
        "lms:order=3",
        "ipndm:order=3",
        "ipndm:variable=true",
    ],
)
def test_orders_hold_for_every_order_option(token):
    rule = get_sampler(token)
    assert global_slope(rule, "uneven").value == pytest.approx(rule.order, abs=0.15)


def test_with_noise_no_more_than_order_two_is_claimed():
    assert [get_sampler(f"dpmpp-3m-sde:eta={eta}").order for eta in (0, 0.5, 1)] == [3, 2, 2]
    assert [get_sampler(f"sa-solver:tau={tau}").order for tau in (0, 0.5)] == [3, 2]
    assert [get_sampler(f"res-multistep:eta={eta}").order for eta in (0, 1)] == [2, 1]


def test_order_four_is_measured():
    assert global_slope(rk4).value == pytest.approx(4, abs=0.1)
    assert local_slope(rk4).value == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(("order", "constant"), [(3, 1e2), (4, 10.0), (5, 1e3), (6, 1e3), (6, 1e6)])
def test_high_orders_are_measured_where_the_error_can_be_trusted(order, constant):
    found = fit_slope(lambda n: constant / n**order * (1 + 3 / n) + 1e-14 * sqrt(n))
    assert found.value == pytest.approx(order, abs=0.05)
    assert len(found.errors) >= 3


def test_the_order_is_that_of_the_options():
    @rule_of("either", order=1, orders=lambda wrong: (2 if wrong else 1, 1))
    def either(now, to, *, wrong: bool = False):
        return to.alpha * now.x0 + to.sigma * now.eps

    for wrong, status in ((False, "pass"), (True, "fail")):
        found = {one.__name__: one for one in dtool.certify.checks(either.bind(wrong=wrong))}
        assert found["order-global"]().status == status
