"""Running plans: closed forms, own starts, micro-batches, traces, guidance, clipping, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network

RECIPES = ["ddpm:sigma=beta", "ddpm", "ddpm:sigma=none", "ddim", "ddim:eta=0.6", "euler", "heun", "dpmpp-2m/karras"]
SHAPE = (2, 3)


def gaussian_eps(mean: float = 0.3, variance: float = 0.25, schedule: str = "linear") -> Any:
    """The optimal eps network for data N(mean, variance I): σ(x - αm)/(α²v + σ²)."""
    levels = dtool.schedule(schedule)

    def fn(x: Any, t: Any) -> Any:
        alpha, sigma = (a.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype) for a in levels.level(t))
        return sigma * (x - alpha * mean) / (alpha**2 * variance + sigma**2)

    return fn


@pytest.fixture
def net() -> Network:
    return dtool.network(gaussian_eps(), shape=SHAPE)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", [0, 11])
def test_compiled_run_equals_the_rule_run_by_hand(net: Network, recipe: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(2, 40))
    plan = dtool.plan(recipe, steps=steps)
    x, z = rng.standard_normal((5, *SHAPE)), rng.standard_normal((plan.rows, 5, *SHAPE))
    parsed = dtool.Recipe.parse(recipe)
    points = dtool.plan.grid(net.schedule, parsed.spacing or dtool.spacing("trailing"), steps)

    def eps(state: Any, point: dtool.Point) -> Any:
        return net.predict(state, np.full(5, point.t))

    by_hand = dtool.plan.run_eager(parsed.rule, points, eps, x, lambda i: z[i])
    ours = dtool.sample(net, plan, x=x, noise=z).x0
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, by_hand, rtol=0, atol=1e-11)


@pytest.mark.parametrize("recipe", RECIPES)
def test_same_image_alone_and_in_any_batch(net: Network, recipe: str) -> None:
    many = dtool.sample(net, recipe, n=64, seed=5, steps=7)
    for i in (0, 17, 63):
        assert (dtool.sample(net, recipe, ids=[i], seed=5, steps=7).x0[0] == many.x0[i]).all()
    shuffled = np.random.default_rng(0).permutation(64)
    assert (dtool.sample(net, recipe, ids=shuffled.tolist(), seed=5, steps=7).x0 == many.x0[shuffled]).all()
    assert not (dtool.sample(net, recipe, n=64, seed=6, steps=7).x0 == many.x0).any()


def test_noise_may_be_given_for_draws_or_for_rows(net: Network) -> None:
    plan = dtool.plan("ddpm", steps=6)
    assert (plan.rows, plan.draws) == (6, 5)
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((4, *SHAPE)), rng.standard_normal((6, 4, *SHAPE))
    assert (dtool.sample(net, plan, x=x, noise=z[:5]).x0 == dtool.sample(net, plan, x=x, noise=z).x0).all()


def test_trace_holds_every_step(net: Network) -> None:
    for recipe in ("ddim", "heun"):
        out = dtool.sample(net, recipe, n=3, steps=9, trace=True)
        assert out.trace is not None
        assert out.trace.x.shape == (10, 3, *SHAPE)
        assert out.trace.x0.shape == (9, 3, *SHAPE)
        assert (out.trace.x[-1] == out.x0).all()
        assert (dtool.sample(net, recipe, n=3, steps=9).x0 == out.x0).all(), "looking changes nothing"


def test_trace_predicts_the_image(net: Network) -> None:
    out = dtool.sample(net, "ddim", n=2, steps=5, trace=True)
    assert out.trace is not None
    np.testing.assert_allclose(out.trace.x0[-1], out.x0, atol=1e-6)


def test_progress_counts_every_call(net: Network) -> None:
    seen: list[tuple[int, int]] = []
    dtool.sample(net, "heun", n=5, steps=4, batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 21) for i in range(21)]  # 2·4 - 1 calls for each of 3 batches


def test_interruption_comes_through(net: Network) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dtool.sample(net, "ddim", progress=stop)


def test_clipping_bounds_the_image_and_derives_eps_again() -> None:
    wild = dtool.network(lambda x, t: 3 * x, shape=SHAPE, data_range=(-0.5, 0.25))
    plan = dtool.plan("ddim", points=[900, 500, 100])
    x = np.random.default_rng(0).standard_normal((4, *SHAPE))
    out = dtool.sample(wild, plan, x=x, clip=True, trace=True)
    assert out.trace is not None
    assert out.trace.x0.min() >= -0.5
    assert out.trace.x0.max() <= 0.25
    schedule = dtool.schedule("linear")
    for step in range(2):
        alpha, sigma = schedule.level([900, 500, 100][step])
        to_alpha, to_sigma = schedule.level([900, 500, 100][step + 1])
        eps = (out.trace.x[step] - alpha * out.trace.x0[step]) / sigma
        np.testing.assert_allclose(out.trace.x[step + 1], to_alpha * out.trace.x0[step] + to_sigma * eps, atol=1e-12)


@pytest.mark.parametrize("recipe", ["ddim", "heun", "dpmpp-2m"])
@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_the_same_network_in_other_words_gives_the_same_images(recipe: str, prediction: str) -> None:
    levels, eps = dtool.schedule("linear"), gaussian_eps()

    def fn(x: Any, t: Any) -> Any:
        alpha, sigma = (a.reshape(-1, 1, 1) for a in levels.level(t))
        noise = eps(x, t)
        image = (x - sigma * noise) / alpha
        return image if prediction == "x0" else alpha * noise - sigma * image

    x = np.random.default_rng(2).standard_normal((6, *SHAPE))
    plan = dtool.plan(recipe, steps=12)
    other = dtool.network(fn, shape=SHAPE, prediction=prediction)  # type: ignore[arg-type]
    ours = dtool.sample(other, plan, x=x).x0
    np.testing.assert_allclose(ours, dtool.sample(dtool.network(eps, shape=SHAPE), plan, x=x).x0, atol=1e-9)


@pytest.mark.parametrize("recipe", ["ddim", "heun", "dpmpp-2m"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_swapped_schedule_keeps_the_noise_level(recipe: str, prediction: str) -> None:
    """Any schedule, run through a network trained on another, is the run of a network that was trained on it."""

    def words(schedule: str) -> Any:
        levels, eps = dtool.schedule(schedule), gaussian_eps(schedule=schedule)

        def fn(x: Any, t: Any) -> Any:
            alpha, sigma = (a.reshape(-1, 1, 1) for a in levels.level(t))
            noise = eps(x, t)
            image = (x - sigma * noise) / alpha
            return {"eps": noise, "x0": image, "v": alpha * noise - sigma * image}[prediction]

        return dtool.network(fn, shape=SHAPE, schedule=schedule, prediction=prediction)  # type: ignore[arg-type]

    x = np.random.default_rng(3).standard_normal((6, *SHAPE))
    for other in ("scaled-linear", "sigmoid-beta", "vp"):
        points = np.linspace(900, 60, 15).tolist()  # levels that both schedules have
        plan = dtool.plan(recipe, scheduler=other, points=points)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            swapped = dtool.sample(words("linear"), plan, x=x).x0
        native = dtool.sample(words(other), plan, x=x).x0
        np.testing.assert_allclose(swapped, native, atol=1e-8)


def test_levels_outside_the_trained_range_are_named() -> None:
    net = dtool.network(gaussian_eps(schedule="scaled-linear"), shape=SHAPE, schedule="scaled-linear")
    with pytest.warns(dtool.plan.ClampWarning, match=r"row 0 of 20 lies outside"):
        dtool.sample(net, "ddim@cosine", steps=20)
    with pytest.warns(dtool.plan.ClampWarning, match=r"rows 0-\d+ and \d+-499 of 500 lie outside"):
        dtool.sample(net, "ddim@cosine", steps=500)


def test_guidance_is_the_extrapolation_that_it_says() -> None:
    def fn(x: Any, t: Any, label: Any) -> Any:
        return 0.1 * x + 0.01 * label.reshape(-1, 1, 1).astype(x.dtype)

    net = dtool.network(fn, shape=SHAPE, classes=4)
    x = np.random.default_rng(0).standard_normal((3, *SHAPE))
    labels = [0, 2, 3]
    plan = dtool.plan("ddim", steps=3)

    def expected(scale: float) -> Any:
        def guided(x: Any, t: Any) -> Any:
            c = np.array(labels).reshape(-1, 1, 1)
            return 0.1 * x + 0.01 * (4 + scale * (c - 4))

        return dtool.sample(dtool.network(guided, shape=SHAPE), plan, x=x).x0

    for scale in (0.0, 1.0, 2.5):
        ours = dtool.sample(net, plan, x=x, labels=labels, guidance=scale).x0
        np.testing.assert_allclose(ours, expected(scale), atol=1e-12)
    assert dtool.sample(net, plan, ids=[7, 12]).labels.tolist() == [3, 0]
    none = dtool.sample(net, plan, x=x, labels=-1).x0
    np.testing.assert_allclose(none, expected(0.0), atol=1e-12)


def test_calls_with_guidance_one_are_single() -> None:
    sizes: list[int] = []

    def fn(x: Any, t: Any, label: Any) -> Any:
        sizes.append(len(x))
        return x * 0

    net = dtool.network(fn, shape=(1000, 10), classes=2)
    dtool.sample(net, "ddim", n=1, steps=3)
    del sizes[:-3]  # whether its images depend on one another was tried out first
    dtool.sample(net, "ddim", n=1, steps=3, guidance=3.0)
    assert sizes == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0 images"),
        ({"steps": 0}, "0 steps cannot be had"),
        ({"steps": 1001}, "1001 steps cannot be had"),
        ({"labels": 3}, "not conditional"),
        ({"guidance": 2.0}, "guidance needs a conditional"),
        ({"ids": [-1]}, "image ids"),
        ({"ids": [0], "n": 2}, "n=2, but 1"),
        ({"batch_size": -2}, "batch_size"),
        ({"noise": np.zeros(3)}, "noise is given without a start"),
        ({"x": np.zeros((2, 5))}, "x has shape"),
        ({"x": np.zeros((2, *SHAPE)), "ids": [1, 2]}, "ids name generated starts"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_had_is_refused(net: Network, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dtool.sample(net, "ddim", **arguments)


def test_missing_noise_says_which_shape(net: Network) -> None:
    with pytest.raises(UsageError, match=r"noise for 4 draws") as caught:
        dtool.sample(net, dtool.plan("ddpm", steps=5), x=np.zeros((2, *SHAPE)))
    assert "(4, 2, 2, 3)" in caught.value.hint


def test_a_result_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DtoolError, match="not finite"):
        dtool.sample(dtool.network(lambda x, t: x * np.nan, shape=SHAPE), "ddim", steps=3)


def test_a_network_of_the_wrong_shape_is_an_error() -> None:
    with pytest.raises(DtoolError, match="returned shape"):
        dtool.sample(dtool.network(lambda x, t: x[:, :1], shape=SHAPE), "ddim", steps=3)


def test_nothing_that_was_given_is_changed(net: Network) -> None:
    plan = dtool.plan("ddpm", steps=5)
    x, z = np.ones((2, *SHAPE)), np.ones((4, 2, *SHAPE))
    dtool.sample(net, plan, x=x, noise=z)
    assert (x == 1).all()
    assert (z == 1).all()
