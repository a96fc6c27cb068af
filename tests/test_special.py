"""Samplers of distilled networks and flows, ER-SDE, inversion, and DDIM whose ε is not clipped."""

from itertools import pairwise

import numpy as np
import pytest
from rules import examined

import dtool
from dtool.errors import CompileError, UsageError
from dtool.plan import CLEAN, Point, plan, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.schedulers import schedule
from dtool.testing import checks, grids
from dtool.testing.moments import moments
from dtool.testing.targets import THREE
from dtool.testing.walk import optimal, walk

NAMES = ["ddim-inversion", "ddim-inversion:rounds=2", "er-sde:phi=ode,order=2"]  # others: tests of the registry


@pytest.mark.parametrize("name", NAMES)
def test_certificates(name):
    wrong = [r for r in (examine() for examine in checks(name) if examine.__name__ != "batch") if r.status == "fail"]
    assert not wrong


def flow_points(times):
    return tuple(Point(1 - s, s) for s in times)


def falling(seed, n, low=0.0, high=1.0):
    return np.sort(np.random.default_rng(seed).uniform(low, high, n))[::-1]


@pytest.mark.parametrize("steps", [1, 4, 13])
def test_lcm_as_published(steps):
    """x' = α'(c_skip x + c_out x0) + σ' z, with s = 10 t and σ_d = ½; noise at every step but the last."""
    made = plan("lcm:scaling=10", scheduler="scaled-linear", steps=steps)
    alpha, sigma = np.append(made.alpha[1:], 1.0), np.append(made.sigma[1:], 0.0)
    s = 10 * made.t
    assert made.a == pytest.approx(alpha * 0.25 / (s**2 + 0.25), rel=1e-12)
    assert made.b[:, 0] == pytest.approx(alpha * s / np.sqrt(s**2 + 0.25), rel=1e-12)
    assert made.c == pytest.approx(sigma, abs=1e-12)
    plain = plan("lcm", scheduler="scaled-linear", steps=steps)
    assert not plain.a.any()
    assert plain.b[:, 0] == pytest.approx(alpha)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 11])
def test_tcd_as_published(gamma, steps):
    """To s = ⌊(1-γ)t'⌋ by DDIM, then x' = (α'/α_s) x_s + √(1 - ᾱ'/ᾱ_s) z."""
    levels = schedule("scaled-linear")
    made = plan("tcd", gamma=gamma, scheduler=levels, steps=steps, spacing="leading")
    assert (made.t == np.round(made.t)).all()
    for i, t in enumerate(made.t[1:]):
        s = int((1 - gamma) * t) if gamma else int(t)
        q = levels.sigma[s] / made.sigma[i]
        scale = made.alpha[i + 1] / levels.alpha[s]
        assert made.a[i] == pytest.approx(scale * q, rel=1e-9)
        assert made.b[i, 0] == pytest.approx(scale * (levels.alpha[s] - q * made.alpha[i]), rel=1e-9)
        wanted = 1 - (made.alpha[i + 1] / levels.alpha[s]) ** 2
        assert made.c[i] ** 2 == pytest.approx(wanted, abs=1e-12)
    assert (made.a[-1], made.b[-1, 0], made.c[-1]) == pytest.approx((0, 1, 0), abs=1e-12)


def test_tcd_between_training_steps_and_off_any_schedule():
    levels = schedule("linear")
    made = plan("tcd:gamma=0.5", scheduler=levels, points=[800.5, 300.25])
    alpha, sigma = levels.level(150.125)
    to = levels.level(300.25)
    kept = to[0] * float(sigma / alpha)
    assert made.c[0] ** 2 == pytest.approx(float(to[1]) ** 2 - float(kept) ** 2, rel=1e-12)
    off = compile_plan(sampler("tcd:gamma=0.5"), (Point(1.0, 10.0), Point(1.0, 4.0), CLEAN))
    assert off.c[0] == pytest.approx(np.sqrt(4.0**2 - 2.0**2), rel=1e-12)


@pytest.mark.parametrize("sigma_min", [0.0, 0.002, 0.5])
def test_consistency_as_published(sigma_min):
    """In VE coordinates: x' = f(x) + √(t'² - ε²) z."""
    levels = [80.0, 24.0, 3.0, 0.4]
    made = compile_plan(sampler("consistency", sigma_min=sigma_min), [*(Point(1.0, v) for v in levels), CLEAN])
    assert not made.a.any()
    assert made.b[:, 0] == pytest.approx(np.ones(4))
    assert made.c == pytest.approx([*np.sqrt(np.maximum(np.square(levels[1:]) - sigma_min**2, 0)), 0.0], rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_flow_ancestral_in_the_flows_own_coordinates(eta, seed):
    """s_d = s'(1 + η(s'/s - 1)), κ = (1-s')/(1-s_d): x' = κ(s_d/s x + (1 - s_d/s) x0) + √(s'² - κ²s_d²) z."""
    times = falling(seed, 9)
    made = compile_plan(sampler("flow-ancestral", eta=eta), (*flow_points(times), CLEAN), prediction="flow")
    now, to = times[:-1], times[1:]
    down = to * (1 + eta * (to / now - 1))
    kappa = (1 - to) / (1 - down)
    assert made.a[:-1] == pytest.approx(kappa * down / now, rel=1e-9)
    assert made.b[:-1, 0] == pytest.approx(kappa * (1 - down / now), rel=1e-9)
    assert made.c[:-1] ** 2 == pytest.approx(to**2 - (kappa * down) ** 2, abs=1e-12)
    assert made.c[-1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_flow_heun_is_heun_on_the_velocity(seed):
    times = np.append(falling(seed, 7), 0.0)
    points = flow_points(times)

    def velocity(x, s):
        at = Point(1 - s, s)
        return THREE.eps(x, at) - THREE.x0(x, at)

    x = y = np.linspace(-1, 1, 5)
    for s, t in pairwise(times):
        first = velocity(y, s)
        slope = first if t == 0 else (first + velocity(y + (t - s) * first, t)) / 2
        y = y + (t - s) * slope
    made = compile_plan(sampler("flow-heun"), points, prediction="flow")
    assert walk(made, optimal(THREE, made), x) == pytest.approx(y, abs=1e-11)
    assert made.rows == 2 * len(times) - 3


def test_flow_heun_takes_both_calls_from_pure_noise():
    made = compile_plan(sampler("flow-heun"), flow_points([1.0, 0.6, 0.3, 0.0]), prediction="flow")
    assert made.rows == 5
    assert np.isfinite(walk(made, optimal(THREE, made), np.linspace(-1, 1, 5))).all()


def phi(v, kind):
    return {"er": v * (np.exp(v**0.3) + 10), "sde": v**2, "ode": v}[kind]


@pytest.mark.parametrize("kind", ["er", "sde", "ode"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_er_sde_integrates_polynomials_exactly(kind, order):
    """x'/α' = r x/α + φ(v')∫ φ'/φ² x0(v) dv for an x0 that is a polynomial in v, the integral by a fine sum."""
    v = np.array([6.0, 5.0, 3.5, 2.0])
    points = [Point(0.8, 0.8 * value) for value in v]
    coefficients = np.array([0.3, -0.2, 0.1])[:order]

    def x0(at):
        return np.polyval(coefficients[::-1], at.v)

    def eps(x, at):
        return (x - at.alpha * x0(at)) / at.sigma

    x = run_eager(sampler("er-sde", order=order, phi=kind), points[:-1], eps, np.array([1.7]))
    rule = sampler("er-sde", order=order, phi=kind)
    seen = run_eager(rule, points, eps, np.array([1.7]))
    fine = np.linspace(v[3], v[2], 400_001)
    weight = (
        np.gradient(phi(fine, kind), fine, edge_order=2) / phi(fine, kind) ** 2 * np.polyval(coefficients[::-1], fine)
    )
    r = phi(v[3], kind) / phi(v[2], kind)
    wanted = 0.8 * (r * x / 0.8 + phi(v[3], kind) * np.trapezoid(weight, fine))
    assert seen == pytest.approx(wanted, rel=1e-7)


def test_er_sde_noise_and_its_names():
    points = grids.random(8, 0, clean=True)
    made = compile_plan(sampler("er-sde"), points)
    v = np.array([p.v for p in points])
    r = phi(v[1:-1], "er") / phi(v[:-2], "er")
    alpha = np.array([p.alpha for p in points[1:-1]])
    assert made.c[:-1] == pytest.approx(alpha * np.sqrt(v[1:-1] ** 2 - (r * v[:-2]) ** 2), rel=1e-9)
    assert not compile_plan(sampler("er-sde:phi=ode"), points).stochastic


def test_er_sde_holds_at_huge_noise():
    made = compile_plan(sampler("er-sde"), [Point(1.0, v) for v in (1e12, 1e6, 10.0, 0.1)])
    assert np.isfinite(made.b).all()


@pytest.mark.parametrize("token", ["er-sde:phi=sde", "er-sde:phi=sde,order=2"])
def test_er_sde_is_of_weak_order_two_with_noise(token):
    def error(n):
        points = grids.by_lam(n)
        _, variances = moments(compile_plan(sampler(token), points, prediction="x0"), 0.2, 0.5)
        return abs(np.sqrt(variances[-1]) - np.hypot(0.5 * points[-1].alpha, points[-1].sigma))

    assert np.log2(error(512) / error(1024)) == pytest.approx(2, abs=0.1)


def toy(x, t):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return 0.5 * x + 0.6 * np.sin(2 * x) * (1.2 - level)


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


def test_raw_eps_in_a_rule_of_either_basis():
    """One method, written in x0 and in eps: the same run with clipping and without."""
    net = dtool.network(toy, shape=(3,), schedule="cosine")
    runs = []
    for basis in ("x0", "eps"):

        @rule_of("raw", order=1, basis=basis)
        def raw(now, to):
            return to.alpha * now.x0 + to.sigma * now.raw_eps

        made = compile_plan(raw, grid_of(net, 5), schedule=net.schedule)
        x = np.random.default_rng(1).standard_normal((4, 3))
        runs.append([dtool.sample(net, made, x=x, clip=clip).x0 for clip in (True, False)])
    assert runs[0][0] == pytest.approx(runs[1][0], abs=1e-9)
    assert runs[0][1] == pytest.approx(runs[1][1], abs=1e-9)
    assert abs(runs[0][0] - runs[0][1]).max() > 1e-3


def grid_of(net, steps):
    from dtool.plan import grid
    from dtool.schedulers import spacing

    return grid(net.schedule, spacing("trailing"), steps)


def test_the_raw_prediction_of_an_earlier_call_is_not_to_be_had():
    @rule_of("late", order=1)
    def late(now, to):
        last = now.before
        return to.alpha * now.x0 + to.sigma * (now.eps if last is None else last.raw_eps)

    with pytest.raises(CompileError, match="raw prediction of an earlier"):
        compile_plan(late, grids.by_lam(4))


def smooth(x, t):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return 0.6 * x + 0.2 * np.sin(x + level)


@pytest.mark.parametrize(("rounds", "missed"), [(0, 0.2), (1, 0.03), (4, 1e-4), (12, 1e-9)])
def test_there_and_back_again(rounds, missed):
    net = dtool.network(smooth, shape=(5,), schedule="linear", prediction="v", clip=True)
    image = np.random.default_rng(0).uniform(-0.8, 0.8, (3, 5))
    made = plan("ddim-inversion", rounds=rounds, steps=40, network=net)
    assert (made.rows, made.steps, made.inverse) == (40 * (1 + rounds), 40, True)
    up = dtool.sample(net, made, x=image, trace=True)
    back = dtool.sample(net, plan("ddim", steps=40, network=net), x=up.x0, clip=False).x0
    assert abs(back - image).max() < missed
    assert abs(back - image).max() > (missed / 100 if rounds < 12 else -1)
    np.testing.assert_array_equal(up.trace.x[0], image)


def test_the_inversions_grid_is_ddims_backwards():
    up, down = plan("ddim-inversion", steps=7), plan("ddim", steps=7)
    assert (up.alpha[0], up.sigma[0], up.init) == (1, 0, 1)
    assert up.t[1:].tolist() == down.t[:0:-1].tolist()
    assert up.time[0] == 0, "the image is shown at the first level"
    given = plan("ddim-inversion", points=[900, 500, 100])
    assert given.t[1:].tolist() == [100, 500]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("prediction", ["eps", "v", "flow"])
def test_an_image_is_no_level_outside_the_trained_ones(prediction):
    net = dtool.network(smooth, shape=(5,), schedule="cosine", prediction=prediction)
    out = dtool.sample(net, "ddim-inversion", steps=9, x=np.zeros((2, 5)))
    assert np.isfinite(out.x0).all()


def test_what_an_inversion_refuses():
    net = dtool.network(smooth, shape=(5,), clip=True)
    image = np.zeros((2, 5))
    with pytest.raises(UsageError, match="leads from an image") as error:
        dtool.sample(net, "ddim-inversion", n=2)
    assert "x=" in (error.value.hint or "")
    with pytest.raises(UsageError, match="cannot clip"):
        dtool.sample(net, "ddim-inversion", x=image, clip=True)
    blind = dtool.network(smooth, shape=(5,), prediction="x0")
    with pytest.raises(CompileError, match="not finite") as error:
        dtool.sample(blind, "ddim-inversion", x=image)
    assert "end=0" in (error.value.hint or "")
    made = plan("ddim-inversion", steps=6, end=0, network=blind)
    assert np.isfinite(dtool.sample(blind, made, x=image).x0).all()
    with pytest.raises(CompileError, match="turns round"):
        compile_plan(sampler("ddim-inversion"), grids.up_again(8))


def test_an_inversion_finds_what_is_wrong_with_it():
    @rule_of("wrong", order=1, basis="eps", inverse=True)
    def wrong(now, to):
        return to.alpha / now.alpha * now.x + 1.05 * (to.sigma - now.sigma * to.alpha / now.alpha) * now.eps

    found = examined(wrong, "order-shipped", "round-trip")
    assert [r.status for r in found.values()] == ["fail", "fail"]


def test_a_point_knows_its_schedule():
    levels = schedule("cosine")
    point = grid_of(dtool.network(toy, shape=(3,), schedule="cosine"), 3)[0]
    assert point.schedule is not None
    assert point.schedule.hash == levels.hash
    assert point == Point(point.alpha, point.sigma, point.t)
    assert CLEAN.schedule is None
