"""Running plans: closed forms, swapped schedules, and what is refused."""

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.network import Network
from tests.support.gaussian import RECIPES, SHAPE, gaussian_eps


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", [0, 11])
def test_compiled_run_equals_the_rule_run_by_hand(net: Network, recipe: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(2, 40))
    plan = dtool.plan(recipe, steps=steps)
    x, z = rng.standard_normal((5, *SHAPE)), rng.standard_normal((plan.rows, 5, *SHAPE))
    parsed = dtool.Recipe.parse(recipe)
    points = dtool.plan.grid(net.schedule, parsed.spacing or dtool.get_spacing("trailing"), steps)

    def eps(state: Any, point: dtool.Point) -> Any:
        return net.predict(state, np.full(5, point.t))

    by_hand = dtool.plan.run_eager(parsed.rule, points, eps, x, lambda i: z[i])
    ours = dtool.sample(net, plan, x=x, noise=z).x0
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, by_hand, rtol=0, atol=1e-11)


@pytest.mark.parametrize("recipe", ["ddim", "heun", "dpmpp-2m"])
@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_the_same_network_in_other_words_gives_the_same_images(recipe: str, prediction: str) -> None:
    levels, eps = dtool.get_scheduler("linear"), gaussian_eps()

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
        levels, eps = dtool.get_scheduler(schedule), gaussian_eps(schedule=schedule)

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
