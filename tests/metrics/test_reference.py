"""What is found from real images: features and nulls."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.metrics import Reference, evaluate, evaluate_all, resolve_metric
from tests.support.point_sets import draw_gaussians

QUICK = {"resamples": 40, "permutations": 59}


def test_a_plain_null_does_not_depend_on_n():
    """MMD's null is found at half the reference's size, and then made that of n and m."""
    sds = []
    for seed in range(120):
        x, y = draw_gaussians(seed, 100, 60)
        sds.append(resolve_metric("mmd")(x, y))
    y = draw_gaussians(999, 60)[0]
    nulls = [Reference(draw_gaussians(s, 60)[0]).null(resolve_metric("mmd"), 100, 60) for s in range(12)]
    assert np.mean([n.sd for n in nulls]) == pytest.approx(np.std(sds), rel=0.35)
    assert Reference(y).null(resolve_metric("mmd"), 10, 60).sd > Reference(y).null(resolve_metric("mmd"), 100, 60).sd


def test_features_of_a_network():
    x, y = draw_gaussians(0, 40, 60)
    figures = evaluate_all(x, y, features=lambda images: images[:, :1] ** 2, names=["fd-features", "mmd:on=network"])
    assert figures["mmd:on=network"].value == pytest.approx(resolve_metric("mmd")(x[:, :1] ** 2, y[:, :1] ** 2))
    with pytest.raises(UsageError, match="one row per image"):
        evaluate("fd-features", x, y, features=lambda images: 3.0)
    with pytest.raises(UsageError, match="its own features"):
        evaluate("fd-features", x, Reference(y), features=lambda images: images)


def test_images_are_pooled_for_the_frechet_distance():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 300, 1, 16, 16))
    figure = evaluate("fd:extrapolate=false", x, y, resamples=4, splits=4)
    cells = [v.reshape(300, 8, 2, 8, 2).mean(axis=(2, 4)).reshape(300, -1) for v in (x, y)]
    assert figure.value == pytest.approx(resolve_metric("fd:extrapolate=false")(*cells))
    assert evaluate("fd", x, y, resamples=4, splits=4).z is None, "half of 300 is too few to extrapolate 64 features"


def test_constant_references_have_no_z():
    same = np.ones((40, 2))
    assert evaluate("energy", same, same, **QUICK).z is None
    with pytest.raises(UsageError, match="all the same"):
        evaluate("mmd", same, same)
