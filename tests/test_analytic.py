"""Analytic-DPM: on Gaussian data each step is the exact posterior, however long; and what is measured of a network."""

import json

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.samplers import sampler
from dtool.samplers.statistics import VarianceStatistics, variance_of
from dtool.schedulers import schedule
from dtool.testing import grids
from dtool.testing.moments import moments


def closed_form(points, std):
    """E (z - ε)² of the optimal network on data N(0, std²): α²std²/(α²std² + σ²)."""
    levels = sorted((p for p in points if p.sigma > 0 and p.alpha > 0), key=lambda p: p.lam)
    levels = [p for i, p in enumerate(levels) if i == 0 or p.lam > levels[i - 1].lam]
    lam = np.array([p.lam for p in levels])
    return VarianceStatistics(lam, 1 / (1 + np.exp(-2 * lam) / std**2), 1.0, 1)


@pytest.mark.parametrize("name", ["analytic-ddpm", "analytic-ddim"])
@pytest.mark.parametrize("std", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 37])
@pytest.mark.parametrize("seed", range(3))
def test_moments_are_exact_at_any_number_of_steps(tmp_path, name, std, steps, seed):
    points = grids.random(steps, seed, clean=False)
    file = tmp_path / "gaussian.json"
    closed_form(points, std).write(file)
    made = compile_plan(sampler(name, stats=str(file)), points, prediction="x0")
    means, variances = moments(made, 0.3, std)
    end = points[-1]
    assert means[-1] == pytest.approx(0.3 * end.alpha, abs=1e-12)
    assert variances[-1] == pytest.approx((std * end.alpha) ** 2 + end.sigma**2, abs=1e-12)


@pytest.mark.parametrize("name", ["analytic-ddpm", "analytic-ddim"])
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_unit_data_need_no_file(name, steps):
    points = grids.by_lam(steps, "uneven")
    _, variances = moments(compile_plan(sampler(name), points, prediction="x0"), 0.0, 1.0)
    assert variances[-1] == pytest.approx(points[-1].alpha ** 2 + points[-1].sigma ** 2, abs=1e-12)


def test_unit_data_make_it_beta():
    analytic, beta = (
        plan(token, scheduler="cosine:T=100,max_beta=0.9", steps=10) for token in ("analytic-ddpm", "ddpm:sigma=beta")
    )
    assert analytic.c == pytest.approx(beta.c, rel=1e-9)
    assert analytic.b == pytest.approx(beta.b, rel=1e-9)


@pytest.mark.parametrize("steps", [5, 20])
def test_between_beta_and_tilde(tmp_path, steps):
    """Data within [-1, 1] vary at most as N(0, I) does: DDPM's two choices bound the optimal one (theorem 2)."""
    levels = schedule("linear")
    file = tmp_path / "narrow.json"
    lam = levels.lam[::-1]
    VarianceStatistics(lam.copy(), 1 / (1 + np.exp(-2 * lam) / 0.3**2), 1.0, 1).write(file)
    made, low, high = (
        plan(t, steps=steps) for t in (f"analytic-ddpm:stats={json.dumps(str(file))}", "ddpm", "ddpm:sigma=beta")
    )
    assert (made.c[:-1] > low.c[:-1]).all()
    assert (made.c[:-1] < high.c[:-1]).all()
    assert made.c[-1] == 0


def test_the_noise_of_a_step_to_the_first_level_is_held_below_what_is_seen():
    free, held = (plan("analytic-ddpm", clip=clip, scheduler="cosine", steps=10, end=0.0) for clip in (1e9, 1.0))
    assert held.c[:-1] == pytest.approx(free.c[:-1])
    assert held.c[-1] == pytest.approx(2 / 255 * np.sqrt(np.pi / 2), rel=1e-3)
    assert free.c[-1] > held.c[-1]


def gaussian_network(std, prediction="eps", levels="cosine", **more):
    table = schedule(levels)

    def fn(x, t, label=None):
        alpha, sigma = (v.reshape(-1, *[1] * (x.ndim - 1)) for v in table.level(t))
        eps = sigma * x / (alpha**2 * std**2 + sigma**2)
        x0 = alpha * std**2 * x / (alpha**2 * std**2 + sigma**2)
        return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0, "flow": eps - x0}[prediction]

    return dtool.network(fn, shape=(40,), schedule=levels, prediction=prediction, **more)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow"])
def test_what_is_measured_is_the_closed_form(tmp_path, prediction):
    """At n·d = 40,000 normal numbers a mean square is known to 1 / √20,000."""
    std, path = 0.5, tmp_path / "stats.json"
    images = std * np.random.default_rng(0).standard_normal((1000, 40))
    seen = []
    found = dtool.measure_variance(
        gaussian_network(std, prediction), images, path, levels=12, progress=lambda *at: seen.append(at)
    )
    exact = 1 / (1 + np.exp(-2 * found.lam) / std**2)
    assert found.missed == pytest.approx(exact, rel=5 / np.sqrt(20_000))
    assert found.lam.size == 12
    assert (found.lam[0], found.lam[-1]) == (schedule("cosine").lam[-1], schedule("cosine").lam[0])
    assert seen[-1] == (12, 12)
    again = VarianceStatistics.read(path)
    np.testing.assert_array_equal(again.missed, found.missed)
    assert (again.bound, again.images) == (1.0, 1000)
    wanted = 1 / (std**-2 + np.exp(2 * found.lam))
    assert [variance_of(str(path), lam) for lam in found.lam] == pytest.approx(wanted, rel=5 / np.sqrt(20_000))


def test_samples_are_as_wide_as_the_data(tmp_path):
    """The whole way: measure, then sample in six steps. Without it, six steps of DDPM are too narrow by a quarter."""
    net = gaussian_network(0.5)
    images = 0.5 * np.random.default_rng(1).standard_normal((2000, 40))
    path = tmp_path / "stats.json"
    dtool.measure_variance(net, images, path, levels=50)
    runs = [
        dtool.sample(net, plan(token, steps=6, end=30.0, network=net), n=500, seed=3).x0.std() / 0.5
        for token in (f"analytic-ddpm:stats={json.dumps(str(path))}", "ddpm")
    ]
    assert runs[0] == pytest.approx(1, abs=0.03)
    assert runs[1] < 0.9


def test_measuring_does_not_depend_on_the_batch_and_not_on_the_run():
    net = gaussian_network(0.5)
    images = np.random.default_rng(2).uniform(-1, 1, (30, 40))
    one = dtool.measure_variance(net, images, levels=3)
    net.micro_batch = 7
    assert dtool.measure_variance(net, images, levels=3).missed == pytest.approx(one.missed, rel=1e-6)
    assert dtool.measure_variance(net, images, levels=3, seed=1).missed != pytest.approx(one.missed, rel=1e-6)


def test_a_conditional_network_and_one_with_a_variance():
    plain = gaussian_network(0.5)
    images = np.random.default_rng(3).uniform(-1, 1, (20, 40))
    wanted = dtool.measure_variance(plain, images, levels=2).missed
    conditional = dtool.network(
        lambda x, t, label: plain.fn(x, t) * np.where(label == 3, 0, 1)[:, None],
        shape=(40,), schedule="cosine", classes=5,
    )  # fmt: skip
    assert dtool.measure_variance(conditional, images, levels=2).missed == pytest.approx(wanted)
    mute = dtool.measure_variance(conditional, images, labels=[3] * 20, levels=2)
    assert mute.missed == pytest.approx(np.ones(2), abs=0.2)
    double = dtool.network(
        lambda x, t: np.tile(plain.fn(x, t), (1, 2)), shape=(40,), schedule="cosine", learned_variance=True
    )
    assert dtool.measure_variance(double, images, levels=2).missed == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((3, 5))}, "the network's are"),
        ({"images": np.zeros((0, 40))}, "the network's are"),
        ({"levels": 0}, "0 levels"),
        ({"labels": [1, 2]}, "not conditional"),
    ],
)
def test_what_cannot_be_measured(arguments, message):
    with pytest.raises(UsageError, match=message):
        dtool.measure_variance(gaussian_network(0.5), **{"images": np.zeros((2, 40)), **arguments})


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "lam": [1, 0], "missed": [1, 1], "bound": 1, "images": 1}']
)
def test_a_file_that_is_none(tmp_path, text):
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(DtoolError, match=r"statistics|another format"):
        plan("analytic-ddpm", stats=str(path), steps=3)
    with pytest.raises(DtoolError, match="cannot read"):
        plan("analytic-ddpm", stats=str(tmp_path / "none.json"), steps=3)


def test_a_file_that_is_written_again_is_read_again(tmp_path):
    path = tmp_path / "stats.json"
    found = []
    for std in (0.2, 0.6):
        closed_form(grids.by_lam(9), std).write(path)
        found.append(plan("analytic-ddpm", stats=str(path), steps=5).c[2])
    assert found[0] < found[1]
