"""Different names for one thing, and the coefficients that papers print."""

import dataclasses
from itertools import pairwise
from math import expm1, sqrt

import numpy as np
import pytest
from rules import configurations, deterministic, examined

from dtool.errors import UsageError
from dtool.plan import CLEAN, Node, Point, plan, run_eager
from dtool.plan import compile as compile_plan
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.schedulers import schedule
from dtool.testing import grids, identities
from dtool.testing.targets import THREE

BAR = 1e-11

# Euler's method for the probability-flow ODE, and the reverse step with the posterior's noise, by other names.
EULER = [
    "ddim:eta=0",
    "unipc:order=1,corrector=false",
    "dpm-solver:order=1",
    "deis:order=1",
    "lms:order=1",
    "ipndm:order=1",
    "sa-solver:tau=0,predictor=1,corrector=0",
    "er-sde:order=1,phi=ode",
    "flow-ancestral:eta=0",
    "euler-ancestral:eta=0",
    "flow-euler",
    "gradient-estimation:gamma=1",
]
ANCESTRAL = ["ddim:eta=1", "euler-ancestral", "sa-solver:tau=1,predictor=1,corrector=0", "er-sde:order=1,phi=sde"]


def tables(first, second, points):
    """The rows of two rules on one grid, in the x0 form."""
    return [compile_plan(sampler(token), points, prediction="x0") for token in (first, second)]


def same(one, other):
    assert one.rows == other.rows
    for column in ("a", "b", "c"):
        assert getattr(one, column) == pytest.approx(getattr(other, column), abs=1e-12), column


def some_grids():
    table = schedule("linear", T=200)
    alpha, sigma = table.alpha[::-1], table.sigma[::-1]
    yield (*(Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)), CLEAN)
    yield from (grids.random(12, seed, clean=seed % 2 == 0) for seed in range(4))


def apart(one, other, points):
    """How far two recipes are from being one method, on a grid; what nobody has registered yet is skipped."""
    for token in (one, other):
        if not registry().samplers.knows(token.partition(":")[0]):
            pytest.skip(f"there is no {token}")
    return identities.apart(sampler(one), sampler(other), points)


# Names for one method on any grid, as the literature and the libraries have them.
SAME = [
    *(("euler", other) for other in EULER),
    *(("ddpm:sigma=tilde", other) for other in ANCESTRAL),
    ("dpmpp-2m", "unipc:order=2,variant=bh2,corrector=false"),
    ("dpm-solver-2s:r=0.5", "dpm2"),
    ("dpmpp-2m-sde:eta=0", "dpmpp-2m"),
    ("dpmpp-3m-sde:eta=0", "dpmpp-3m"),
    ("dpmpp-2m:variant=heun", "sa-solver:tau=0,predictor=2,corrector=0"),
    ("dpmpp-3m", "sa-solver:tau=0,predictor=3,corrector=0"),
    ("dpmpp-2m:variant=heun", "res-multistep"),
    ("edm-heun:churn=0,gamma=0", "heun"),
    ("edm-euler:churn=0,gamma=0", "euler"),
    ("dpm2-ancestral:eta=0", "dpm2"),
    ("dpmpp-2s-ancestral:eta=0", "dpmpp-2s"),
    ("seeds-2:eta=0", "dpmpp-2s"),
    ("seeds-3:eta=0", "dpmpp-3s"),
    ("dpm-solver:order=2", "deis:order=2,variable=logrho"),
    ("dpm-solver:order=3", "deis:order=3,variable=logrho"),
    ("lms:order=4", "deis:order=4,variable=rho"),
    ("lms:order=2", "deis:order=2,variable=rho"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_names_for_one_method(one, other):
    for points in some_grids():
        assert apart(one, other, points) < BAR


# Methods that are often taken for one another: they differ by more than rounding.
DIFFERENT = [
    ("dpmpp-2m", "dpmpp-2m:variant=heun"),
    ("unipc:order=2,variant=bh1,corrector=false", "dpmpp-2m"),
    ("ddim:eta=0.5", "dpmpp-2m-sde:eta=0.5"),
    ("dpmpp-3m", "dpmpp-3m:variant=published"),
    ("dpm-solver-2s", "dpmpp-2s"),
    ("heun", "dpm2"),
    ("dpm-solver:order=2", "dpmpp-2m"),
    ("deis:order=3,variable=t", "deis:order=3,variable=rho"),
    ("unipc:corrector=true", "unipc:corrector=false"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_methods_that_are_not_the_same(one, other):
    assert apart(one, other, grids.by_lam(10, "uneven")) > 1e-4


def claimed():
    for entry in registry().samplers:
        rule = entry.load()
        yield from (pytest.param(rule, recipe, id=f"{rule.name}-{recipe}") for recipe in rule.same)


@pytest.mark.parametrize(("rule", "recipe"), list(claimed()))
def test_what_a_sampler_says_of_itself_holds(rule, recipe):
    """`same` of every registered sampler, under its condition."""
    only = dataclasses.replace(rule, same={recipe: rule.same[recipe]})
    for words, one, other, panel in identities.claims(only):
        for points in panel:
            assert identities.apart(one, other, points) < identities.BAR, words


def test_a_false_claim_is_found():
    for false in ({"euler": "eta=0.5"}, {"heun": ""}, {"ddpm": "eta=0"}):
        rule = dataclasses.replace(sampler("ddim"), same=false)
        assert examined(rule, "same")["same"].status == "fail"


@pytest.mark.parametrize("condition", ["but for the noise", "on Sundays, eta=1"])
def test_a_claim_that_cannot_be_examined_is_refused(condition):
    rule = dataclasses.replace(sampler("ddim"), same={"euler": condition})
    with pytest.raises(UsageError, match="cannot be examined"):
        list(identities.claims(rule))
    with pytest.raises(UsageError, match="neither takes nonsense=1"):
        list(identities.claims(dataclasses.replace(rule, same={"euler": "nonsense=1"})))


@pytest.mark.parametrize("order", [2, 3, 4])
def test_constant_weights_are_the_variable_ones_on_steps_equal_in_v(order):
    """iPNDM's weights of Adams and Bashforth are those of LMS, and of DEIS in ρ, where the steps are equal in σ/α."""
    equal = [grids.at(-float(np.log(v))) for v in np.linspace(20, 0.5, 12)]
    assert apart(f"ipndm:order={order}", f"lms:order={order}", equal) < BAR
    assert apart(f"ipndm:order={order}", f"lms:order={order}", grids.by_lam(12)) > 1e-4


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_ddim_goes_below_and_adds_noise(eta):
    """Down to √(v'² - up²) without noise, then up = η·v'√(1 - v'²/v²) of it (k-diffusion's σ_down and σ_up)."""
    for now, to in pairwise(grids.random(8, 1, clean=False)):
        up = eta * to.v * sqrt(1 - (to.v / now.v) ** 2)
        down = sqrt(to.v**2 - up**2)
        made = compile_plan(sampler("ddim", eta=eta), (now, to), prediction="x0")
        assert made.c[0] == pytest.approx(to.alpha * up, abs=1e-12)
        assert made.a[0] == pytest.approx(to.alpha / now.alpha * down / now.v, rel=1e-9)
        assert made.b[0, 0] == pytest.approx(to.alpha * (1 - down / now.v), rel=1e-9)
        if registry().samplers.knows("euler-ancestral"):
            ancestral = sampler("euler-ancestral", eta=eta)
            assert identities.apart(ancestral, sampler("ddim", eta=eta), (now, to)) < BAR


def test_the_two_variances_of_ddpm_differ_in_the_noise_alone():
    table = schedule("linear", T=100)
    large, small = (plan(f"ddpm:sigma={s}", scheduler=table, steps=20, prediction="x0") for s in ("beta", "tilde"))
    for column in ("a", "b"):
        assert getattr(large, column) == pytest.approx(getattr(small, column), abs=1e-12)
    bar = large.alpha**2
    posterior = (1 - bar[1:]) / (1 - bar[:-1])  # β̃/β
    assert small.c[:-1] == pytest.approx(large.c[:-1] * np.sqrt(posterior), abs=1e-12)


def test_the_optimal_variance_for_unit_data_is_beta():
    """Analytic-DPM with E‖ε‖²/d of data N(0, I) is DDPM with σ² = β (arXiv:2201.06503, theorem 1)."""
    for points in some_grids():
        assert apart("analytic-ddpm:stats=unit", "ddpm:sigma=beta", points) < BAR


@pytest.mark.parametrize(("name", "least"), [("analytic-ddpm", "ddim:eta=1"), ("analytic-ddim", "ddim:eta=0")])
def test_the_optimal_variance_is_within_its_bounds(name, least):
    """λ² ≤ σ*² ≤ λ² + (gain·σ/α)², gain being that of x0 in the mean (arXiv:2201.06503, theorem 2)."""
    for now, to in pairwise(grids.random(9, 2, clean=False)):
        best, own = (compile_plan(sampler(token), (now, to), prediction="x0") for token in (name, least))
        gain = best.b[0, 0]
        assert own.c[0] <= best.c[0] <= np.hypot(own.c[0], gain * now.v) + 1e-12


def test_v_is_alpha_eps_minus_sigma_x0():
    """arXiv:2202.00512, appendix D: x0 = α·x - σ·v, and ε = σ·x + α·v, in variance-preserving coordinates."""
    points = grids.random(6, 4, clean=False)
    made = compile_plan(sampler("ddim"), points, prediction="v")
    assert made.c_skip == pytest.approx(made.alpha)
    assert made.c_out == pytest.approx(-made.sigma)


@pytest.mark.parametrize("token", [t for t in configurations() if deterministic(t)])
def test_a_sampler_is_its_coefficients(token):
    """Every deterministic sampler, probed on unit vectors and replayed as one linear solver over its whole history."""
    points = grids.random(7, 5, clean=False)
    calls = compile_plan(sampler(token), points, prediction="x0").rows
    inputs, levels = [], []

    def probe(x, at):
        inputs.append(x.copy())
        levels.append(at)
        return (x - at.alpha * np.eye(calls + 1)[len(levels)]) / at.sigma  # the image is a unit vector of its own

    end = run_eager(sampler(token), points, probe, np.eye(calls + 1)[0])
    x = np.linspace(-1.5, 1.5, 5) * THREE.std(points[0])
    images = []
    for row, at in zip(inputs, levels, strict=True):
        state = row[0] * x + sum(w * image for w, image in zip(row[1:], images, strict=False))
        images.append(THREE.x0(state, at))
    replayed = end[0] * x + sum(w * image for w, image in zip(end[1:], images, strict=True))
    assert replayed == pytest.approx(run_eager(sampler(token), points, THREE.eps, x), abs=1e-9)


def test_the_posterior_of_the_textbook():
    """√ᾱ_{t-1}β_t/(1-ᾱ_t) for x0, √α_t(1-ᾱ_{t-1})/(1-ᾱ_t) for x, β̃_t for the noise (arXiv:2006.11239, eq. 6-7)."""
    table = schedule("linear", T=300)
    made = plan("ddpm", scheduler=table, steps=300, prediction="x0")
    beta = np.linspace(1e-4, 0.02, 300) * 1000 / 300
    bar = np.cumprod(1 - beta)
    last = np.concatenate([[1.0], bar[:-1]])
    assert made.b[::-1, 0] == pytest.approx(np.sqrt(last) * beta / (1 - bar), abs=1e-10)
    assert made.a[::-1] == pytest.approx(np.sqrt(1 - beta) * (1 - last) / (1 - bar), abs=1e-10)
    assert made.c[::-1] == pytest.approx(np.sqrt((1 - last) / (1 - bar) * beta), abs=1e-10)
    wide = plan("ddpm:sigma=beta", scheduler=table, steps=300, prediction="x0")
    assert wide.c[:-1] == pytest.approx(np.sqrt(beta[:0:-1]), abs=1e-10)
    assert wide.c[-1] == 0, "no noise in the last step"
    assert not plan("ddpm:sigma=none", scheduler=table, steps=300).stochastic


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


@pytest.mark.parametrize("token", ["euler", "ddim", "ddim:eta=0.5", "ddpm", "ddpm:sigma=beta", "ddpm:sigma=none"])
@pytest.mark.parametrize("start", [Point(0.3, 0.95), Point(0.0, 1.0), Point(1.0, 40.0)])
def test_one_step_to_the_image_is_x0(token, start):
    made = compile_plan(sampler(token), (start, CLEAN), prediction="x0")
    assert (made.a.tolist(), made.b.tolist(), made.c.tolist()) == ([0.0], [[1.0]], [0.0])


@pytest.mark.parametrize("token", configurations())
def test_the_last_step_to_the_image_adds_no_noise(token):
    made = compile_plan(sampler(token), grids.random(6, 2, clean=True), prediction="x0")
    assert made.c[-1] == 0


def test_weights_of_2m_on_a_uniform_grid():
    """In λ, D = 3/2·x0 - 1/2·x0_before: b = α(1-e^{-h})·(3/2, -1/2) (arXiv:2211.01095, algorithm 2)."""
    points = grids.by_lam(20)
    made = compile_plan(sampler("dpmpp-2m"), points, prediction="x0")
    h = points[1].lam - points[0].lam
    for i, (now, to) in enumerate(pairwise(points)):
        weights = (1.5, -0.5) if i else (1.0, 0.0)
        assert made.b[i] == pytest.approx(np.multiply(-to.alpha * expm1(-h), weights), abs=1e-12)
        assert made.a[i] == pytest.approx(to.sigma / now.sigma, abs=1e-12)


def test_2m_starts_and_ends_as_ddim():
    points = grids.random(5, 0, clean=True)
    two, one = tables("dpmpp-2m", "ddim", points)
    for i in (0, 4):
        assert two.a[i] == pytest.approx(one.a[i], abs=1e-12)
        assert two.b[i] == pytest.approx([one.b[i, 0], 0.0], abs=1e-12)


def test_heun_is_the_trapezoid_rule():
    """x̄' = x̄ + (v'-v)(ε + ε')/2 in x̄ = x/α; here with numbers for x, ε and ε'."""
    now, to = grids.at(-0.4), grids.at(0.7)
    steps = sampler("heun").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    assert guess / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * 0.3)
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)
