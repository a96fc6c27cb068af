"""DDIM as its paper writes it, and with an ε that is not clipped."""

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest

import dtool
from dtool.certify import grids, identities
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from tests.support.method_pairs import BAR
from tests.support.small_functions import toy


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_ddim_goes_below_and_adds_noise(eta):
    """Down to √(v'² - up²) without noise, then up = η·v'√(1 - v'²/v²) of it (k-diffusion's σ_down and σ_up)."""
    for now, to in pairwise(grids.random_grid(8, 1, clean=False)):
        up = eta * to.v * sqrt(1 - (to.v / now.v) ** 2)
        down = sqrt(to.v**2 - up**2)
        made = compile_plan(get_sampler("ddim", eta=eta), (now, to), prediction="x0")
        assert made.c[0] == pytest.approx(to.alpha * up, abs=1e-12)
        assert made.a[0] == pytest.approx(to.alpha / now.alpha * down / now.v, rel=1e-9)
        assert made.b[0, 0] == pytest.approx(to.alpha * (1 - down / now.v), rel=1e-9)
        if get_registry().samplers.knows("euler-ancestral"):
            ancestral = get_sampler("euler-ancestral", eta=eta)
            assert identities.rule_distance(ancestral, get_sampler("ddim", eta=eta), (now, to)) < BAR


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_as_its_paper_writes_it(eta):
    """x' = √ᾱ'·x0 + √(1-ᾱ'-σ²)·ε + σ·z, σ = η·√((1-ᾱ')/(1-ᾱ))·√(1-ᾱ/ᾱ') (arXiv:2010.02502, eq. 12, 16)."""
    made = plan("ddim", eta=eta, scheduler="cosine", steps=20, prediction="x0")
    for i in range(19):
        now, to = made.alpha[i] ** 2, made.alpha[i + 1] ** 2
        noise = eta * sqrt((1 - to) / (1 - now)) * sqrt(1 - now / to)
        on_eps = sqrt(1 - to - noise**2)
        assert made.a[i] == pytest.approx(on_eps / sqrt(1 - now), rel=1e-9)
        assert made.b[i, 0] == pytest.approx(sqrt(to) - on_eps * sqrt(now / (1 - now)), rel=1e-7)
        assert made.c[i] == pytest.approx(noise, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("prediction", ["eps", "v", "x0", "flow"])
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim_with_a_clipped_image_and_the_networks_own_noise(prediction, eta):
    """α'·clip(x0) + √(σ'² - c²)·ε + c z, with ε as the network says it, row by row."""
    net = dtool.network(toy, shape=(3,), schedule="cosine", prediction=prediction)
    made = plan("ddim", eta=eta, use_clipped=False, steps=6, network=net)
    rng = np.random.default_rng(0)
    x, z = 1.5 * rng.standard_normal((4, 3)), rng.standard_normal((6, 4, 3))
    found = {clip: dtool.sample(net, made, x=x, noise=z, clip=clip).x0 for clip in (True, False)}
    ends = [*zip(made.alpha[1:], made.sigma[1:], strict=True), (1.0, 0.0)]
    for i, (alpha, sigma) in enumerate(ends):
        output = toy(made.c_in[i] * x, np.full(4, made.time[i]))
        image = made.c_skip[i] * x + made.c_out[i] * output
        eps = (x - made.alpha[i] * image) / made.sigma[i]
        x = alpha * image.clip(-1, 1) + np.sqrt(sigma**2 - made.c[i] ** 2) * eps + made.c[i] * z[i]
    assert found[True] == pytest.approx(x, abs=1e-10)
    plain = plan("ddim", eta=eta, steps=6, network=net)
    own = np.random.default_rng(0)
    start, noise = 1.5 * own.standard_normal((4, 3)), own.standard_normal((6, 4, 3))
    assert found[False] == pytest.approx(dtool.sample(net, plain, x=start, noise=noise, clip=False).x0, abs=1e-12)
    if prediction == "eps":  # the toy says images far outside the range, and the two part
        assert abs(dtool.sample(net, plain, x=start, noise=noise, clip=True).x0 - found[True]).max() > 1e-3
