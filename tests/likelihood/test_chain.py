"""The chains that have a bound, and those that have none."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.likelihood import bound
from tests.support.gaussian_data import exact_statistics, gaussian_network

X = np.ones((2, 4))


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (lambda: bound(gaussian_network(1.0), X, dtool.plan("ddim", steps=9)), "adds no noise"),
        (lambda: bound(gaussian_network(1.0), X, dtool.plan("heun", steps=9)), "adds no noise"),
        (lambda: bound(gaussian_network(1.0), X, dtool.plan("dpmpp-2m-sde", steps=9)), "DDPM's mean"),
        (lambda: bound(gaussian_network(1.0), X, 9, spacing="trailing:end=alpha_bar_0"), "ends before the image"),
        (lambda: bound(gaussian_network(1.0), X, 9, spacing="restart"), "the levels go back up"),
        (lambda: bound(gaussian_network(1.0), X, 9, variance="learned"), "predicts no variance"),
        (lambda: bound(gaussian_network(1.0), X, 9, variance="gamma"), "no variance 'gamma'"),
        (
            lambda: bound(gaussian_network(1.0), X, 9, variance="beta", statistics=exact_statistics(1.0)),
            "statistics are for",
        ),
        (lambda: bound(gaussian_network(1.0), X + 0.001, 9), "not on 256 levels"),
        (lambda: bound(gaussian_network(1.0), X * np.nan, 9), "not finite"),
        (lambda: bound(gaussian_network(1.0), X, 9, levels=1), "levels=1 is too few"),
        (lambda: bound(gaussian_network(1.0), np.zeros((2, 5)), 9), "images have shape"),
        (lambda: bound(gaussian_network(1.0), X, 9, labels=1), "not conditional"),
        (lambda: bound(gaussian_network(1.0), X, 9, ids=[1, 1]), "1 distinct ids for 2 images"),
        (lambda: bound(gaussian_network(1.0), X, 9, variance="beta", noise=np.zeros((3, 2, 4))), "noise has shape"),
        (lambda: bound(gaussian_network(1.0), X, 9, repeats=0), "draws are too few"),
        (lambda: bound(gaussian_network(1.0), X, 9, batch_size=0), "batch_size"),
        (lambda: bound(gaussian_network(1.0), X, 0), "steps"),
        (
            lambda: bound(gaussian_network(1.0), X, dtool.plan("ddpm", steps=3), spacing="karras"),
            "already has its levels",
        ),
    ],
)
def test_what_has_no_bound_is_refused(call, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        call()
    assert caught.value.hint


@pytest.mark.filterwarnings("ignore:.*clamped")
@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_plan_names_its_levels_and_its_variance(schedule):
    x = 0.5 * np.random.default_rng(0).standard_normal((5, 4))
    network = gaussian_network()
    plan = dtool.plan(f"ddpm:sigma=beta@{schedule}/trailing", steps=9, network=network)
    bits = bound(network, x, plan, levels=None)
    same = bound(network, x, 9, variance="beta", scheduler=schedule, spacing="trailing", levels=None)
    assert bits.variance == "beta"
    assert np.array_equal(bits.per_image, same.per_image)
    assert bits.to_dict()["terms"][-1]["name"] == "L_0"
    assert bound(network, x, dtool.plan("ddpm", steps=3), levels=None).variance == "tilde"
    assert bound(network, x, dtool.plan("analytic-ddpm", steps=3), levels=None).variance == "analytic"
    assert bound(network, x, 3, levels=None).variance == "analytic"
    assert len(bits.terms) == 10
