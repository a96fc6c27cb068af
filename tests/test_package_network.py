"""The network inside the package: what it is, and that it draws digits through any schedule."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

import dtool
from dtool.compare.frechet import distance
from dtool.networks.network import Network
from dtool.plugins.registry import registry

pytest.importorskip("onnxruntime")

SCHEDULES = [e.name for e in registry().schedulers if e.provider.name == "dtool" and e.name != "betas"]


@cache
def network() -> Network:
    return dtool.default_network()


def told(schedule: str) -> Network:
    """The same weights, said to have been trained under another schedule: it is then fed that schedule's index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = network().spec.model_copy(update={"schedule": schedule})
        return dtool.load(str(files("dtool.networks") / "digits.onnx"), spec=spec)


def quality(net: Network, recipe: str) -> float:
    """Fréchet distance on pooled pixels between 40 samples and the training images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images: NDArray[np.float32] = dtool.sample(net, recipe, n=40, steps=12).x0
    assert net.spec.statistics is not None
    return distance(images, net.spec.statistics)


@cache
def native() -> float:
    return quality(network(), f"ddim@{network().spec.schedule}")


def test_it_is_small_and_says_what_it_is() -> None:
    assert (files("dtool.networks") / "digits.onnx").stat().st_size <= 4_000_000  # type: ignore[attr-defined]
    spec = network().spec
    assert (spec.shape, spec.classes, spec.clip) == ((1, 28, 28), 10, True)
    assert spec.class_names == tuple("0123456789")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_any_schedule_gives_digits(schedule: str) -> None:
    assert quality(network(), f"ddim@{schedule}") < 1.4 * native()


@pytest.mark.parametrize("schedule", ["cosine", "sigmoid", "sigmoid-beta"])
def test_feeding_the_index_instead_would_not(schedule: str) -> None:
    assert quality(told(schedule), f"ddim@{schedule}") > 2.5 * native()


def test_the_class_is_the_one_asked_for() -> None:
    """Samples of a class are nearer to each other than to other classes' (mean images, no classifier)."""
    images = dtool.sample(network(), "ddim", n=60, steps=10).x0.reshape(60, -1)
    labels = np.arange(60) % 10
    first, second = images[:30], images[30:]
    means = np.stack([first[labels[:30] == k].mean(axis=0) for k in range(10)])
    nearest = ((second[:, None] - means[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == labels[30:]).mean() > 0.5  # by chance: 0.1


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m"])
def test_same_bits_alone_and_in_a_batch(recipe: str) -> None:
    many = dtool.sample(network(), recipe, n=20, steps=4, seed=3, guidance=2.0).x0
    alone = dtool.sample(network(), recipe, ids=[13], steps=4, seed=3, guidance=2.0).x0
    assert (alone[0] == many[13]).all()
