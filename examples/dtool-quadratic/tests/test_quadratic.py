"""What the author of a plugin tests: dtool's examination, and what is special about this package."""

import numpy as np
import pytest

import dtool
from dtool.plan import run_eager
from dtool.testing import checks


@pytest.mark.parametrize("examine", list(checks("midpoint")), ids=lambda examine: examine.__name__)
def test_midpoint_passes_the_examination(examine):
    result = examine()
    assert result.status != "fail", result


@pytest.mark.parametrize("T", [1, 2, 10, 1000])
def test_the_signal_fades_along_a_straight_line(T):  # noqa: N803
    alpha = dtool.schedule("quadratic-alpha", T=T).alpha
    assert np.allclose(alpha[:-1], 1 - np.arange(1, T) / T)
    assert 0 < alpha[-1] < 1 / T


def test_the_network_is_called_half_way_and_told_the_time_of_that_level():
    plan = dtool.plan("midpoint@quadratic-alpha", steps=3)
    assert list(plan.step_end) == [False, True, False, True, True]
    v = plan.sigma / plan.alpha
    assert v[1] == pytest.approx((v[0] * v[2]) ** 0.5)
    alpha, sigma = dtool.schedule("quadratic-alpha").level(plan.time)
    assert np.allclose(sigma / alpha, v)
    assert plan.time[1] % 1 != 0


def test_midpoint_is_exact_for_the_eps_that_it_is_exact_for():
    """One interval, however long, where ε = 2 + 3/v²: x̄ ends at x̄ + 2(v' - v) + 3(1/v - 1/v')."""
    now, to = dtool.Point(0.2, 0.98), dtool.Point(0.9, 0.43)
    end = run_eager(dtool.sampler("midpoint"), [now, to], lambda x, at: 2 + 3 / at.v**2, 0.7)
    wanted = 0.7 / now.alpha + 2 * (to.v - now.v) + 3 * (1 / now.v - 1 / to.v)
    assert end / to.alpha == pytest.approx(wanted, abs=1e-12)


def test_two_calls_a_step_are_worth_it():
    """On Gaussian data the ODE's end is known; forty steps of two calls end closer to it than Euler's eighty."""
    spread = 0.5
    schedule = dtool.schedule("quadratic-alpha")

    def eps(x, t):
        alpha, sigma = (level[:, None] for level in schedule.level(t))
        return sigma * x / (alpha**2 * spread**2 + sigma**2)

    network = dtool.network(eps, shape=(1,), schedule="quadratic-alpha")
    start = np.array([[-1.5], [0.3], [2.0]])
    lam = schedule.lam[-2], schedule.lam[0]
    first, last = (float(np.hypot(a * spread, s)) for a, s in (schedule.level(schedule.T - 2), schedule.level(0)))

    def error(recipe, steps):
        times = schedule.time(np.linspace(*lam, steps + 1))
        plan = dtool.plan(recipe, network=network, points=times[:-1], end=times[-1])
        return np.abs(dtool.sample(network, plan, x=start).x0 - start * last / first).max()

    assert error("midpoint", 40) < error("euler", 80) / 3
    assert error("midpoint", 40) < error("midpoint", 20) / 3
