"""DEIS: its weights against quadrature over the time of its own SDE."""

from __future__ import annotations

from math import exp, expm1, log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from dtool.certify.grids import point_at_lam
from dtool.samplers import deis, get_sampler
from tests.support.multistep import random_nodes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0.1, 1.0, 6.0])
def test_deis_in_time_integrates_over_the_time_of_the_vp_sde(seed, length):
    """α(t) = exp(-½(0.1 t + 9.95 t²)), σ² = 1 - α²; time is found by root finding, the integral by quadrature."""
    nodes, _ = random_nodes(seed, 3)
    now = nodes[0]
    to = point_at_lam(now.lam + length)

    def lam_of(t):
        power = 0.1 * t + 9.95 * t * t
        return -power / 2 - log(-expm1(-power)) / 2

    def time(lam):
        return brentq(lambda t: lam_of(t) - lam, 1e-14, 3.0, xtol=1e-15)

    wanted = np.zeros(3)
    times = [time(n.lam) for n in nodes]
    for k in range(3):
        others = [t for j, t in enumerate(times) if j != k]
        scale = np.prod([times[k] - t for t in others])
        inner = lambda lam, o=others: -to.sigma * exp(to.lam - lam) * (time(lam) - o[0]) * (time(lam) - o[1])  # noqa: E731
        wanted[k] = quad(inner, now.lam, to.lam, epsabs=1e-12, epsrel=1e-11, limit=200)[0] / scale
    got = deis_weights(nodes, to)
    assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def deis_weights(nodes, to):
    """What deis multiplies each ε with: run with unit vectors."""
    for k, node in enumerate(nodes):
        node.x, node._eps = np.zeros(len(nodes)), np.eye(len(nodes))[k]
    return get_sampler("deis:variable=t,order=3").step(nodes[0], to, variable="t", order=3)


def test_the_quadrature_is_gauss_and_legendres():
    x, w = np.polynomial.legendre.leggauss(8)
    assert np.array(sorted(deis.GAUSS)) == pytest.approx(np.stack([(1 + x) / 2, w / 2], axis=1), abs=1e-15)
