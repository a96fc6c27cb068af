"""SA-Solver: the noise that it adds, its evaluations, the coefficients of appendix D."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, sqrt

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.plan import points_on, run_eager
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from tests.support.multistep import integrals, rows_on


def test_sa_solver_adds_the_noise_of_the_sde_of_strength_tau_squared():
    points = grids.random_grid(6, 0, clean=False)
    made = rows_on("sa-solver:tau=0.6", points)
    wanted = [to.sigma * sqrt(1 - exp(-2 * 0.36 * (to.lam - now.lam))) for now, to in pairwise(points)]
    assert made.c == pytest.approx(wanted, rel=1e-9)


def test_noise_between_two_times():
    points = points_on(get_scheduler("linear"), [900, 700, 500, 300, 100], 0)
    made = rows_on("sa-solver:noise_above=0.3,noise_below=0.7", points)
    assert (made.c > 0).tolist() == [False, True, True, True, False]


def predict_image(x, at):
    return np.tanh(x / (1 + at.v)) * at.alpha


@pytest.mark.parametrize("pece", [False, True])
@pytest.mark.parametrize("tau", [0.0, 0.7])
def test_algorithm_1_of_the_paper(pece, tau):
    """Predict, evaluate, correct with the same noise, and with PECE evaluate again; weights by quadrature."""
    points = grids.random_grid(7, 3, clean=False)
    z = np.random.default_rng(0).standard_normal((40, 5))
    calls: list[float] = []

    def evaluate(x, at):
        calls.append(at.lam)
        return predict_image(x, at)

    def weigh(known, start, end):
        rate = 1 + tau**2
        kernel = lambda at: end.sigma * exp(-(tau**2) * (end.lam - at)) * rate * exp(at)  # noqa: E731
        parts = integrals(kernel, [lam for lam, _ in known], start.lam, end.lam)
        return sum(w * image for w, (_, image) in zip(parts, known, strict=True))

    before = x = predicted = np.linspace(-1, 1, 5)
    images: list[tuple[float, np.ndarray]] = []
    noise = 0.0
    for i, now in enumerate(points[:-1]):
        image = evaluate(predicted, now)
        drawn = z[len(calls) - 1]
        x = predicted
        if i:
            last = points[i - 1]
            h = now.lam - last.lam
            corrected = [(now.lam, image), *images[-2:][::-1]]
            x = now.sigma / last.sigma * exp(-(tau**2) * h) * before + weigh(corrected, last, now) + noise
            if pece:
                image = evaluate(x, now)
                drawn = z[len(calls) - 1]
        images.append((now.lam, image))
        before, to = x, points[i + 1]
        h = to.lam - now.lam
        noise = to.sigma * sqrt(-expm1(-2 * tau**2 * h)) * drawn
        predicted = to.sigma / now.sigma * exp(-(tau**2) * h) * x + weigh(images[-2:][::-1], now, to) + noise
    rule = get_sampler("sa-solver", tau=tau, pece=pece)
    eps = lambda x, at: (x - at.alpha * predict_image(x, at)) / at.sigma  # noqa: E731
    ours = run_eager(rule, points, eps, np.linspace(-1, 1, 5), lambda i: z[i])
    assert ours == pytest.approx(predicted, abs=1e-9)
    assert len(calls) == rows_on(rule.token, points).rows == (13 if pece else 7)


def test_appendix_d():
    """Of two nodes the slope has the weight that it has in a short step: α'(1 + τ²)h²/2."""
    points = grids.random_grid(4, 1, clean=False)
    made = rows_on("sa-solver:corrector=0,simple_order_2=true,tau=0.5", points)
    before, now, to = points[2:]
    h = to.lam - now.lam
    slope = to.alpha * 1.25 * h * h / 2 / (now.lam - before.lam)
    assert made.b[3] == pytest.approx([-to.alpha * expm1(-1.25 * h) + slope, -slope])


def test_the_last_steps_at_a_lower_order():
    """The last predictor has one node and its corrector, a call later, two; of more than 15 steps only if asked for."""
    points = grids.by_lam(16)
    full, lower = (rows_on(f"sa-solver{option}", points) for option in ("", ":lower_order_final=always"))
    assert np.array_equal(full.b[:-1], lower.b[:-1])
    assert np.count_nonzero(lower.b[-1]) == 4 - 1
    assert rows_on("sa-solver:lower_order_final=under-15", points).b.tolist() == full.b.tolist()


def test_a_step_of_no_length_still_corrects():
    spaced = [dtool.plan(f"sa-solver:tau=0/karras:end={end}", steps=6) for end in ("sigma_min", "stay")]
    assert [plan.rows for plan in spaced] == [6, 6]
    assert spaced[1].a[-1] == pytest.approx(1)
    assert spaced[1].b[-1].sum() == pytest.approx(0, abs=1e-9)
    assert np.abs(spaced[1].b[-1]).max() > 0.1
