"""The teacher is the ODE's solution: its end, its path between levels, and its own error as it says it."""

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.fit import teacher
from dtool.fit.noises import draw_noises
from dtool.fit.teacher import Solver
from dtool.plan import Point
from dtool.targets import target


@pytest.fixture(scope="module")
def solved():
    law = target("gaussian:d=3,condition=10")
    net = law.network()
    noises = draw_noises(net, "judging", 6, seed=0, scale=1.0)
    solver = Solver(net, {})
    solver.choose_steps(noises)
    return law, net, noises, solver, solver.solve(noises)


def levels(net, lam):
    alpha, sigma = net.schedule.level(net.schedule.time(lam))
    return Point(float(alpha), float(sigma))


@pytest.mark.parametrize("lam", [-4.9, -2.0, -0.3, 1.1, 4.0])
def test_the_path_is_the_exact_one_between_its_levels(solved, lam):
    law, net, noises, _, path = solved
    exact = law.exact_map(noises.z, net.schedule, levels(net, lam))
    assert np.abs(path.locate(lam) - exact).max() < 1e-5


def test_the_end_is_the_exact_one_within_its_own_error(solved):
    law, net, noises, solver, path = solved
    last = Point(float(net.schedule.alpha[0]), float(net.schedule.sigma[0]))
    exact = law.x0(law.exact_map(noises.z, net.schedule, last), last)
    off = np.sqrt(np.mean((path.images - exact) ** 2))
    assert off <= solver.error < 1e-5


def test_a_field_that_does_not_converge_is_refused(monkeypatch):
    net = target("gmm:d=2").network()
    monkeypatch.setattr(teacher, "STEPS", (1, 2, 3))
    with pytest.raises(DtoolError, match="does not converge"):
        Solver(net, {}, 1e-9).choose_steps(draw_noises(net, "judging", 8, seed=0, scale=1.0))
