"""A rule run step by step with arrays."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.certify.laws import THREE_GAUSSIANS
from dtool.errors import CompileError
from dtool.plan import CLEAN, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from tests.support.rules import configurations, deterministic
from tests.support.steps import FAR, NEAR


def test_eager_runs_what_cannot_be_compiled():
    rule = rule_of("clipped", order=1)(lambda now, to: to.alpha * np.clip(now.x0, -1, 1) + to.sigma * now.eps)
    end = run_eager(rule, (FAR, NEAR, CLEAN), THREE_GAUSSIANS.eps, np.array([3.0, -8.0]))
    assert (np.abs(end) <= 1).all()
    with pytest.raises(CompileError):
        compile_plan(rule, (FAR, CLEAN))


@pytest.mark.parametrize("token", [t for t in configurations() if deterministic(t)])
def test_a_sampler_is_its_coefficients(token):
    """Every deterministic sampler, probed on unit vectors and replayed as one linear solver over its whole history."""
    points = grids.random_grid(7, 5, clean=False)
    calls = compile_plan(get_sampler(token), points, prediction="x0").rows
    inputs, levels = [], []

    def probe(x, at):
        inputs.append(x.copy())
        levels.append(at)
        return (x - at.alpha * np.eye(calls + 1)[len(levels)]) / at.sigma  # the image is a unit vector of its own

    end = run_eager(get_sampler(token), points, probe, np.eye(calls + 1)[0])
    x = np.linspace(-1.5, 1.5, 5) * THREE_GAUSSIANS.std(points[0])
    images = []
    for row, at in zip(inputs, levels, strict=True):
        state = row[0] * x + sum(w * image for w, image in zip(row[1:], images, strict=False))
        images.append(THREE_GAUSSIANS.x0(state, at))
    replayed = end[0] * x + sum(w * image for w, image in zip(end[1:], images, strict=True))
    assert replayed == pytest.approx(run_eager(get_sampler(token), points, THREE_GAUSSIANS.eps, x), abs=1e-9)


def test_a_rule_sees_both_predictions_at_its_stages_too():
    seen = []

    def step(now, to):
        guess = to.alpha * now.x0 + to.sigma * now.without.eps
        mid = yield guess, to
        seen.extend((float(node.eps), float(node.without.eps), float(node.without.x)) for node in (now, mid))
        return guess

    rule = rule_of("both", order=1, calls=2)(step)
    end = run_eager(rule, (FAR, NEAR), lambda x, at: 2 * x, 1.0, without=lambda x, at: 3 * x)
    assert seen == [(2, 3, 1), (2 * end, 3 * end, end)]
    seen.clear()
    run_eager(rule, (FAR, NEAR), lambda x, at: 2 * x, 1.0)
    assert all(eps == without for eps, without, _ in seen)
