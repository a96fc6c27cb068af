"""The exponential Adams engine: weights against quadrature, its starts and its ends."""

from __future__ import annotations

from itertools import pairwise
from math import exp

import numpy as np
import pytest
from scipy.integrate import quad

from dtool.certify import grids
from dtool.plan import CLEAN, Node
from dtool.samplers.engines import adams
from tests.support.multistep import SEEDS, integrals, random_nodes, rows_on


@pytest.mark.parametrize("z", [1e-9, -1e-4, 0.03, -0.4, 0.999, 1.0, -1.7, 6.0, -25.0])
def test_moments_are_the_integrals(z):
    for j, moment in enumerate(adams.exponential_moments(z, 5)):
        wanted = quad(lambda u, j=j: exp((1 - u) * z) * u**j, 0, 1, epsabs=0, epsrel=1e-13)[0]
        assert moment == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_data_weights_are_the_integrals_of_the_reverse_sde(seed, count):
    nodes, to = random_nodes(seed, count)
    eta = float(np.random.default_rng(seed).uniform(0, 2))
    got = adams.data_weights(nodes, nodes[0], to, eta)
    kernel = lambda lam: to.alpha * (1 + eta) * exp((1 + eta) * (lam - to.lam))  # noqa: E731
    assert got == pytest.approx(integrals(kernel, [n.lam for n in nodes], nodes[0].lam, to.lam), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_noise_weights_are_the_integrals_of_the_ode(seed, count):
    nodes, to = random_nodes(seed, count)
    now = nodes[0]
    in_v = integrals(lambda _: to.alpha, [n.v for n in nodes], now.v, to.v)
    in_lam = integrals(lambda lam: -to.sigma * exp(to.lam - lam), [n.lam for n in nodes], now.lam, to.lam)
    assert adams.v_weights(nodes, now, to) == pytest.approx(in_v, rel=1e-8, abs=1e-12)
    assert adams.lam_weights(nodes, now, to) == pytest.approx(in_lam, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_with_a_corrector_node_ahead_has_the_same_integrals(seed):
    nodes, to = random_nodes(seed, 3)
    ahead = Node(to, 0.0, x0=0.0)
    got = adams.data_weights([ahead, *nodes], nodes[0], to)
    kernel = lambda lam: to.alpha * exp(lam - to.lam)  # noqa: E731
    places = [to.lam, *(n.lam for n in nodes)]
    assert got == pytest.approx(integrals(kernel, places, nodes[0].lam, to.lam), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("token", "depth"), [("dpmpp-2m", 2), ("dpmpp-3m", 3), ("unipc", 3), ("lms", 4), ("deis", 3), ("sa-solver", 3)]
)
def test_the_history_grows_from_one_and_starts_anew_after_a_jump(token, depth):
    rising = grids.two_pass_grid(10)
    made = rows_on(token, rising)
    used = [1 + int(np.flatnonzero(row)[-1]) for row in made.b]
    first = next(i for i, (now, to) in enumerate(pairwise(rising)) if to.lam < now.lam)
    assert made.history == depth
    assert used[:first] == [min(i + 1, depth) for i in range(first)]
    assert used[first : first + 3] == [min(i + 1, depth) for i in range(3)]


@pytest.mark.parametrize("token", ["dpmpp-2m", "dpmpp-3m-sde", "unipc:corrector=false", "sa-solver:corrector=0"])
def test_the_last_step_to_the_image_is_its_prediction(token):
    made = rows_on(token, (*grids.by_lam(6), CLEAN))
    assert made.a[-1] == made.c[-1] == 0
    assert made.b[-1].tolist() == [1.0] + [0.0] * (made.history - 1)


@pytest.mark.parametrize(("token", "full"), [("lms", True), ("ipndm", True), ("deis:order=4", False)])
def test_polynomials_in_v_hold_at_the_image(token, full):
    made = rows_on(token, (*grids.by_lam(6), CLEAN))
    assert (made.b[-1] != 0).tolist() == [True, full, full, full]
