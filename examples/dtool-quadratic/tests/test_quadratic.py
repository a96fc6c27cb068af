"""What the author of a plugin tests: dtool's examination, and what is special about this package."""

import numpy as np
import pytest

import dtool
from dtool.plan import run_eager
from dtool.testing import checks


@pytest.mark.parametrize("examine", list(checks("exp-heun")), ids=lambda examine: examine.__name__)
def test_exp_heun_passes_the_examination(examine):
    result = examine()
    assert result.status != "fail", result


@pytest.mark.parametrize("T", [1, 2, 10, 1000])
def test_the_signal_fades_along_a_straight_line(T):  # noqa: N803
    alpha = dtool.schedule("quadratic-alpha", T=T).alpha
    assert np.allclose(alpha[:-1], 1 - np.arange(1, T) / T)
    assert 0 < alpha[-1] < 1 / T


def test_exp_heun_is_exact_where_the_prediction_is_linear_in_lambda():
    """One interval, however long, for x0 = 3 + 2(λ - λ0): d(x/σ)/dλ = exp(λ)·x0 has the end (x0 - 2)·α + C·σ."""
    now, to = dtool.Point(0.2, 0.98), dtool.Point(0.9, 0.43)

    def predicted(point):
        return 3 + 2 * (point.lam - now.lam)

    def eps(x, point):
        return (x - point.alpha * predicted(point)) / point.sigma

    constant = (0.7 - now.alpha * (predicted(now) - 2)) / now.sigma
    end = run_eager(dtool.sampler("exp-heun"), [now, to], eps, 0.7)
    assert end == pytest.approx(to.alpha * (predicted(to) - 2) + to.sigma * constant, abs=1e-12)


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

    assert error("exp-heun", 40) < error("euler", 80) / 3
    assert error("exp-heun", 40) < error("exp-heun", 20) / 3
