"""Dynamic thresholding: the formula, the backends."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.certify.closed_form_network import SHAPE, closed_form
from dtool.errors import UsageError
from dtool.run.clipping import Clipping
from tests.support.gaussian import SHAPE as GAUSSIAN_SHAPE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("quantile", [0.01, 0.5, 0.9, 0.995, 1.0])
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 255.0), (-3.0, 1.0)])
def test_the_formula(seed: int, quantile: float, bounds: tuple[float, float]) -> None:
    """arXiv:2205.11487, section 2.3, about the middle of the range: clip at s, divide by s, s at least the range."""
    low, high = bounds
    middle, reach = (low + high) / 2, (high - low) / 2
    images = np.random.default_rng(seed).standard_normal((4, 3, 5, 6)) * reach + middle
    images[1] = (images[1] - middle) * 0.1 + middle  # one that is within the range as it is
    expected = []
    for image in images - middle:
        s = max(reach, np.quantile(np.abs(image), quantile))
        expected.append(np.clip(image, -s, s) / s * reach + middle)
    got = Clipping(low, high, quantile)(images.copy())
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert got.min() >= low - 1e-9
    assert got.max() <= high + 1e-9
    np.testing.assert_allclose(got[1], images[1], rtol=1e-12)


def test_tensors_as_arrays() -> None:
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).standard_normal((4, 2, 7)) * 3
    for limit in (Clipping(-1, 1), Clipping(-1, 1, 0.8), Clipping(0, 2, 1.0)):
        host = limit(images.copy())
        np.testing.assert_allclose(limit(torch.from_numpy(images)).numpy(), host, rtol=1e-12)


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m", "ddpm"])
def test_a_run_is_kept_within_the_range_and_is_not_clipping(recipe: str) -> None:
    net = dtool.network(closed_form, shape=SHAPE, clip=True)
    plain, limited = (dtool.sample(net, recipe, steps=6, n=3, threshold=q, trace=True) for q in (None, 0.7))
    assert np.abs(limited.trace.x0).max() <= 1 + 1e-6
    assert np.abs(plain.x0 - limited.x0).max() > 1e-3
    alone = dtool.sample(net, recipe, steps=6, ids=[2], threshold=0.7).x0[0]
    assert (alone == limited.x0[2]).all(), "a quantile is of an image, not of the batch"


@pytest.mark.parametrize("quantile", [0.0, -0.5, 1.01])
def test_a_share_is_between_0_and_1(quantile: float) -> None:
    net = dtool.network(closed_form, shape=SHAPE)
    with pytest.raises(UsageError, match="not a share"):
        dtool.sample(net, "ddim", steps=2, threshold=quantile)
    with pytest.raises(UsageError, match="clip is off"):
        dtool.sample(net, "ddim", steps=2, threshold=0.9, clip=False)


def test_clipping_bounds_the_image_and_derives_eps_again() -> None:
    wild = dtool.network(lambda x, t: 3 * x, shape=GAUSSIAN_SHAPE, data_range=(-0.5, 0.25))
    plan = dtool.plan("ddim", points=[900, 500, 100])
    x = np.random.default_rng(0).standard_normal((4, *GAUSSIAN_SHAPE))
    out = dtool.sample(wild, plan, x=x, clip=True, trace=True)
    assert out.trace is not None
    assert out.trace.x0.min() >= -0.5
    assert out.trace.x0.max() <= 0.25
    schedule = dtool.get_scheduler("linear")
    for step in range(2):
        alpha, sigma = schedule.level([900, 500, 100][step])
        to_alpha, to_sigma = schedule.level([900, 500, 100][step + 1])
        eps = (out.trace.x[step] - alpha * out.trace.x0[step]) / sigma
        np.testing.assert_allclose(out.trace.x[step + 1], to_alpha * out.trace.x0[step] + to_sigma * eps, atol=1e-12)


@pytest.mark.parametrize(("most", "bounds"), [(1.0, (-1, 1)), (1.5, (-1, 1)), (2.0, (0, 1))])
def test_an_upper_bound(most: float, bounds: tuple[float, float]) -> None:
    """s = min(max(quantile, reach), most·reach): on [-1, 1] diffusers' clamp(quantile, 1, sample_max_value)."""
    low, high = bounds
    middle, reach = (low + high) / 2, (high - low) / 2
    images = np.random.default_rng(1).standard_normal((4, 3, 5)) * np.array([0.3, 1, 3, 20])[:, None, None]
    got = Clipping(low, high, 0.9, most)(images.copy())
    for image, kept in zip(images - middle, got, strict=True):
        s = min(max(reach, np.quantile(np.abs(image), 0.9)), most * reach)
        assert kept == pytest.approx(np.clip(image, -s, s) * reach / s + middle)
    if most == 1:
        assert got == pytest.approx(images.clip(low, high)), "a bound of the range itself is clipping"


def test_the_bound_on_every_backend() -> None:
    for backend in ("numpy", "torch"):
        net = dtool.network(lambda x, t: 3.0 * x, shape=(2, 3), backend=backend)
        got = [dtool.sample(net, "ddim", steps=3, n=3, threshold=q).x0 for q in (0.8, "0.8:1.2", "0.8:1")]
        clipped = dtool.sample(net, "ddim", steps=3, n=3, clip=True).x0
        assert np.abs(got[0] - got[1]).max() > 1e-3
        assert got[2] == pytest.approx(clipped, abs=1e-6)


def test_the_networks_own_thresholding_and_range() -> None:
    from dtool.run.numpy_backend import FunctionNetwork

    fields = {"shape": (2, 3), "schedule": "linear", "clip": True}
    plain = FunctionNetwork(lambda x, t: 3.0 * x, dtool.NetworkSpec(**fields))
    own = FunctionNetwork(plain.predict, dtool.NetworkSpec(**fields, threshold=0.8, threshold_max=1.2))
    wide = FunctionNetwork(plain.predict, dtool.NetworkSpec(**fields, clip_range=2.0))
    asked = dtool.sample(plain, "ddim", steps=3, n=3, threshold="0.8:1.2").x0
    assert (dtool.sample(own, "ddim", steps=3, n=3).x0 == asked).all()
    assert np.abs(dtool.sample(wide, "ddim", steps=3, n=3).x0).max() == pytest.approx(2.0)
    assert wide.spec.clip_bounds == (-2.0, 2.0)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("0.9:0.5", "its bound is not 1 or more"), ("0.9:inf", "its bound is not 1 or more"),
        ("0.9:nan", "its bound is not 1 or more"), ("0.9:1:2", "cannot be read"), ("", "cannot be read"),
        ("2:3", "not a share of the pixels"), (float("nan"), "not a share of the pixels"),
    ],
)  # fmt: skip
def test_a_bound_that_is_none(given: str, cause: str) -> None:
    net = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    with pytest.raises(UsageError, match=cause) as error:
        dtool.sample(net, "ddim", steps=2, threshold=given)
    assert "0.995" in error.value.hint
