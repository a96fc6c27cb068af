"""Dynamic thresholding: the formula, the backends, the command."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.backends.limit import Limit
from dtool.errors import UsageError
from dtool.testing.toy import SHAPE, closed_form
from tests.commandline import ran


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
    got = Limit(low, high, quantile)(images.copy())
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert got.min() >= low - 1e-9
    assert got.max() <= high + 1e-9
    np.testing.assert_allclose(got[1], images[1], rtol=1e-12)


def test_tensors_as_arrays() -> None:
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).standard_normal((4, 2, 7)) * 3
    for limit in (Limit(-1, 1), Limit(-1, 1, 0.8), Limit(0, 2, 1.0)):
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


def test_the_command(tmp_path, capsys) -> None:
    pytest.importorskip("onnxruntime")
    for name, words in (("clip", ()), ("threshold", ("--threshold", "0.9"))):
        done = ran(capsys, "sample", "-n", 2, "--steps", 4, "--npz", tmp_path / f"{name}.npz", *words)
        assert done.code == 0, done.err
    images = [np.load(tmp_path / f"{name}.npz")["x0"] for name in ("clip", "threshold")]
    assert np.abs(images[0] - images[1]).max() > 1e-3
    done = ran(capsys, "sample", "--threshold", "2", "-o", tmp_path / "a.png")
    assert done.code == 2
    assert "not a share" in done.err
    assert not (tmp_path / "a.png").exists()
